/**
 * Runs one attempt step by step, from its encoded arguments to its outcome.
 *
 * A task without schema, dependencies, timeout and log lines pays for none of them: it awaits nothing but its body, and
 * only its context is created.
 */

import type { Outcome } from '../channel/protocol.js';
import { StopReason } from '../channel/slots.js';
import { ResultTooLargeError } from '../core/errors.js';
import type { NamedDependency } from '../tasks/loader.js';
import { validateArguments } from '../tasks/schema.js';
import type { Tracing } from '../tracing/tracing.js';
import { decodeValue, encodeValue } from '../wire/codec.js';
import type { Attempt } from './attempt.js';
import { logEnd, logStart } from './attempt-log.js';
import { runInSpan } from './attempt-span.js';
import { AttemptContext } from './context.js';
import { failureOf, lineOf } from './failure.js';
import { Resolution } from './resolution.js';
import type { SharedInstances } from './shared-instances.js';

/** The services that all attempts on a thread use. */
export interface AttemptServices {
  /** Dependencies of the worker, outermost first. */
  readonly uses: readonly NamedDependency[];
  readonly shared: SharedInstances;
  readonly logsAttempts: boolean;
  readonly tracing: Tracing;
}

/** Runs an attempt to its end, clean-up included, in a span if a tracer is registered. Never rejects. */
export function runAttempt(attempt: Attempt, services: AttemptServices): Promise<Outcome> {
  const { tracer } = services.tracing;
  if (tracer) return runInSpan(attempt, tracer, () => runSteps(attempt, services));
  if (services.tracing.mustLoad) void services.tracing.load(); // for later attempts
  return runSteps(attempt, services);
}

async function runSteps(attempt: Attempt, services: AttemptServices): Promise<Outcome> {
  const { task } = attempt;
  let call: string | undefined;
  let resolution: Resolution | undefined;
  let result: Uint8Array | null = null;
  let failure: { readonly error: unknown } | undefined;
  try {
    attempt.deadline?.start();
    let args = decodeValue(attempt.envelope.args);
    if (services.logsAttempts) call = logStart(attempt, args);
    const context = new AttemptContext(attempt);
    if (task.input) args = await validateArguments(attempt.envelope.task, task.input, args);
    if (task.uses || services.uses.length > 0) {
      resolution = new Resolution(attempt, services.shared, args);
      await resolution.open(services.uses);
      if (task.uses) Object.assign(context, await resolution.open(Object.entries(task.uses)));
    }
    if (task.input || resolution) {
      attempt.throwIfStopped(); // the steps above took time
      attempt.deadline?.start();
    }
    result = encodeResult(attempt, await task.run(args, context));
  } catch (error) {
    failure = { error };
  }
  attempt.deadline?.stop();
  if (attempt.timedOut) failure = { error: attempt.timedOut };

  if (resolution) {
    attempt.deadline?.start();
    try {
      await resolution.close();
    } catch (error) {
      // The error of the body says more, so that of the clean-up must not hide it.
      if (failure) attempt.logger.error({ error: lineOf(error) }, 'the clean-up after a failed attempt failed');
      else failure = { error };
    }
    attempt.deadline?.stop();
    if (attempt.timedOut) failure ??= { error: attempt.timedOut };
  }

  attempt.failure = failure;
  const outcome = outcomeOf(attempt, result, failure);
  if (call !== undefined) logEnd(attempt, call, outcome);
  return outcome;
}

/**
 * Whatever an attempt throws after it was asked to stop, its outcome is that it stopped: timers and drivers throw
 * errors of their own when a signal aborts.
 */
function outcomeOf(
  attempt: Attempt,
  result: Uint8Array | null,
  failure: { readonly error: unknown } | undefined,
): Outcome {
  if (!failure) {
    const next = attempt.nextRunOverride;
    return next ? { kind: 'completed', result, next } : { kind: 'completed', result };
  }
  const { stopReason } = attempt;
  if (stopReason === StopReason.cancelled) return { kind: 'cancelled' };
  if (stopReason === StopReason.interrupted && !attempt.timedOut) return { kind: 'interrupted' };
  return failureOf(attempt, failure.error);
}

function encodeResult(attempt: Attempt, result: unknown): Uint8Array | null {
  if (result === undefined) return null;
  const bytes = encodeValue(result, 'result');
  const limit = attempt.scope.maxPayloadBytes;
  if (bytes.length > limit) throw new ResultTooLargeError(attempt.envelope.task, bytes.length, limit);
  return bytes;
}
