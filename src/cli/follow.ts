/** Follows an execution to its end: what `docket watch` and `docket add --wait` do. Changes come by push, nothing is polled. */
import type { Redis } from 'ioredis';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { ExecutionSupersededError } from '../core/errors.js';
import { isTerminal } from '../core/states.js';
import type { StateEvent } from '../tasks/events.js';
import type { Execution } from '../tasks/execution.js';
import { EXIT, EXIT_OF_STATE } from './exit-codes.js';
import { StateReporter } from './state-reporter.js';
import { viewFor, type WatchView } from './watch-view.js';

/**
 * Shows every change of an execution, and returns the exit code for how it ended. A signal ends the watch, not the execution;
 * a second one ends the process at once.
 * @throws ExecutionSupersededError when a newer execution took its key
 * @throws ExecutionNotFoundError when its record is gone
 */
export async function follow(docket: Docket, execution: Execution<unknown>, isJson: boolean): Promise<number> {
  const redis = await connectionOf(docket, execution);
  const events = execution.subscribe()[Symbol.asyncIterator]();
  let interruption: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    interruption = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    void events.return?.();
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const view = viewFor(execution.key, execution.task, isJson);
  const link = watchLink(redis, view);
  const states = new StateReporter(docket, execution, view);
  let ending: number | null = null;
  try {
    let last: StateEvent | null = null;
    let hasProgress = false;
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const event = next.value;
      if (event.type === 'progress') {
        hasProgress ||= event.updatedAt !== null;
        if (hasProgress) view.show(event); // until then none was reported
      } else if (isTerminal(event.state)) last = event;
      else states.report(event);
    }
    // When the execution had ended before, its progress comes after its state: the end is shown last.
    if (last) states.report(last);
    if (last && isTerminal(last.state)) ending = EXIT_OF_STATE[last.state];
  } finally {
    states.close();
    link.close();
    view.close();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  const code = ending ?? interruption;
  if (code === null) throw new ExecutionSupersededError(execution.key);
  return code;
}

/** Returns the connection to the partition that has the execution, of which changes are heard. */
async function connectionOf(docket: Docket, { key }: Execution<unknown>): Promise<Redis> {
  const { partitions } = internalsOf(docket);
  const found = partitions.known.length > 1 ? await partitions.findRecord(key) : null;
  return await (found ? found.partition.connection.open() : docket.redis);
}

/** Warns when the link to Redis is lost, during which no change is shown, and says when it is back. */
function watchLink(redis: Redis, view: WatchView): { close(): void } {
  let isLost = false;
  const onClose = () => {
    if (!isLost) view.warn('the connection to Redis is lost, trying again');
    isLost = true;
  };
  const onReady = () => {
    if (isLost) view.warn('the connection to Redis is back');
    isLost = false;
  };
  redis.on('close', onClose).on('ready', onReady);
  return { close: () => redis.off('close', onClose).off('ready', onReady) };
}
