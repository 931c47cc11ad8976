/** What `docket` ends with; `docket worker` has its own list beside it. */
import type { TerminalState } from '../core/states.js';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  executionFailed: 3,
  cancelled: 4,
  unknown: 5,
  interrupted: 130,
  terminated: 143,
  brokenPipe: 141,
} as const;

/** What a command ends with that waited for an execution. */
export const EXIT_OF_STATE = {
  completed: EXIT.done,
  failed: EXIT.executionFailed,
  cancelled: EXIT.cancelled,
} as const satisfies Record<TerminalState, number>;

/** For the help of every command. */
export const EXIT_CODES_HELP = `
Exit codes: 0 done, 1 failed (as when Redis cannot be reached), 2 wrong usage. For what waits for an execution: 0 it
completed, 3 it failed, 4 it was cancelled or struck, 5 nobody knows the key, a newer execution took it, or no live
worker has the task. 130 and 143 when SIGINT or SIGTERM ended it, 141 when nobody reads its output any more.`;
