/** The handle of an `add` that was struck: nothing was written, so there is nothing to read, to wait for or to cancel. */
import { type ExecutionRecord, NO_PROGRESS } from '../redis/record.js';
import { ExecutionHandle, type ExecutionSource } from './execution.js';
import type { Prepared } from './prepare.js';

/**
 * Speaks for an execution that ended before it began, and never asks the server: another one may live under its key.
 * @param reason - why it was struck; `result()` rejects with it
 */
export function struckExecution(
  { key, task, args }: Prepared,
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
  const alone: ExecutionSource = {
    errors: source.errors,
    keepsState: true, // its end is known, whatever the docket keeps
    read: async () => record,
    cancel: async () => {},
    changeProgress: async () => NO_PROGRESS,
    watch: async () => () => {},
    closed: source.closed,
  };
  const placement = { key, task, args, dueMs, state: 'cancelled', disposition: 'struck', generation: 0 } as const;
  return new ExecutionHandle(alone, placement, record);
}
