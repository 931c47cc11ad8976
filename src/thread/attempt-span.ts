/** The span of an attempt. It lasts from the decoding of the arguments to the end of the clean-up. */
import type { Outcome } from '../channel/protocol.js';
import type { Tracer } from '../tracing/tracing.js';
import type { Attempt } from './attempt.js';

/** Runs an attempt in a span that carries its outcome and, if it failed, its error. */
export function runInSpan(attempt: Attempt, tracer: Tracer, run: () => Promise<Outcome>): Promise<Outcome> {
  const { envelope, scope, item } = attempt;
  const attributes = {
    'docket.name': scope.docketName,
    'docket.task': envelope.task,
    'docket.key': attempt.key,
    'docket.attempt': envelope.attempt,
    'docket.redelivered': item.isRedelivered,
    'docket.worker': scope.worker.name,
  };
  return tracer.consume(`docket.run ${envelope.task}`, attributes, envelope.headers, async (span) => {
    const outcome = await run();
    span.set({ 'docket.outcome': outcome.kind });
    const hasFailed = outcome.kind === 'failed' || outcome.kind === 'retry';
    if (hasFailed && attempt.failure) span.fail(attempt.failure.error);
    return outcome;
  });
}
