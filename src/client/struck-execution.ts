/** The handle of an `add` that was struck: nothing was written, so there is nothing to read, to wait for or to cancel. */
import { type ExecutionRecord, NO_PROGRESS } from '../redis/record.js';
import { ExecutionHandle } from './execution.js';
import type { ExecutionSource } from './execution-source.js';
import type { PreparedCall } from './prepare.js';

/**
 * Makes the handle of an execution that ended before it began. It never asks the server, because another execution may live
 * under the same key.
 * @param reason - why it was struck; `result()` rejects with it
 */
export function struckExecution(
  { key, task, args }: PreparedCall,
  dueMs: number,
  reason: string,
  source: ExecutionSource,
): ExecutionHandle<unknown> {
  const record: ExecutionRecord = {
    state: 'cancelled',
    generation: 0,
    task,
    dueMs,
    attempt: 1,
    worker: null,
    startedMs: null,
    completedMs: null,
    result: null,
    error: null,
    errorLine: reason,
    waitingFor: null,
    progress: NO_PROGRESS,
    readUs: 0,
    message: null,
  };
  const unwritten: ExecutionSource = {
    errors: source.errors,
    keepsState: true, // its end is known, whatever the docket keeps
    find: async () => ({ record, source: unwritten }),
    look: async () => record,
    cancel: async () => ({ state: 'cancelled', outcome: 'ended already' }),
    changeProgress: async () => NO_PROGRESS,
    watch: async () => () => {},
    hasHeardAll: () => false,
    closed: source.closed,
  };
  const init = { key, task, args, dueMs, state: 'cancelled', disposition: 'struck', generation: 0 } as const;
  return new ExecutionHandle(unwritten, init, record);
}
