/** The exit codes of `docket` and `docket-worker`: one table for both. They are documented, so they never change. */
import type { TerminalState } from '../core/states.js';

export const EXIT = {
  /** A command succeeded; a worker has drained, or nothing was left. */
  done: 0,
  failed: 1,
  usage: 2,
  /** The execution that a command waited for failed. */
  executionFailed: 3,
  /** The execution was cancelled, or struck. */
  cancelled: 4,
  /** There is no execution under the key, or a newer one took it; or no live worker has the task. */
  notFound: 5,
  /** Ended by SIGINT. */
  interrupted: 130,
  /** Nothing reads the output any more. */
  brokenPipe: 141,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

/** The exit code of a command that waited for an execution, by the state in which it ended. */
export const EXIT_OF_STATE = {
  completed: EXIT.done,
  failed: EXIT.executionFailed,
  cancelled: EXIT.cancelled,
} as const satisfies Record<TerminalState, number>;

/** For the help of every command but the worker. */
export const EXIT_CODES_HELP = `
Exit codes: 0 done, 1 failed (for example, Redis cannot be reached), 2 wrong usage, 5 not found (an execution, a failure, a
schedule, or a live worker that has the task). After waiting for an execution: 0 it completed, 3 it failed, 4 it was cancelled
or struck, 5 a newer execution took its key. 130 after SIGINT, 143 after SIGTERM, 141 when nothing reads the output any more.`;

/** For the help of the worker. */
export const WORKER_EXIT_CODES_HELP = `
Exit codes: 0 drained or finished, 1 failed, 2 wrong usage, 130 or 143 when a second SIGINT or SIGTERM cut the drain
short, or when a thread was in native code that nothing can interrupt.`;
