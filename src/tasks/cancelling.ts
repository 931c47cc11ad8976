/** What `cancel` and `cancelMany` of a docket take and return. */
import type { ExecutionState } from '../core/states.js';
import type { StrikeValue } from '../wire/strikes.js';
import type { AnyTask } from './declared-task.js';

/** What became of an execution that was cancelled. */
export interface CancelResult {
  /**
   * The state in which it was found. `null` when that is not known: there is no such execution, or it has no record and is on
   * a stream.
   */
  readonly state: ExecutionState | null;
  /**
   * - `removed`: it had not started, and never will.
   * - `stopping`: a worker has it. It was asked to stop; if it has not begun, it ends without a run.
   * - `ended already`: it had ended before.
   * - `unknown`: there is no record of it. If an execution without a record (no key, `executionTtl: 0`) is queued under this
   *   id, it will not start, and one that runs is asked to stop.
   */
  readonly outcome: 'removed' | 'stopping' | 'ended already' | 'unknown';
}

/** Which executions `cancelMany` cancels: those that match all that is given. */
export interface CancelFilter {
  /** Task, or its name. */
  task?: AnyTask | string;
  /**
   * State, or several.
   * @default all states of executions that have not ended
   */
  state?: CancellableState | readonly CancellableState[];
  /** Values of arguments, compared as `ListFilter.where` says. */
  where?: Readonly<Record<string, StrikeValue>>;
  /**
   * How many executions are cancelled at most, 1 or more. If the counts of the report add up to this, there may be more.
   * @default no bound
   */
  limit?: number;
  /** Whether all executions are meant when neither task, state nor arguments are given. */
  all?: boolean;
  /** Ends the work when it aborts; what was cancelled stays so. */
  signal?: AbortSignal;
}

/** The states of executions that have not ended. */
export type CancellableState = 'scheduled' | 'queued' | 'running';

/** How many executions `cancelMany` has cancelled. */
export interface CancelReport {
  /** They had not started, and never will. */
  readonly removed: number;
  /** Workers had them, and were asked to stop them. */
  readonly stopping: number;
  /** They ended, or moved on, before they could be cancelled. */
  readonly missed: number;
}
