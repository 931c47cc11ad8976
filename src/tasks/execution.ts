/** The handle of an execution, as producers and task bodies use it. */
import type { Duration } from '../core/duration.js';
import type { Disposition, ExecutionState } from '../core/states.js';
import type { CancelResult } from './cancelling.js';
import type { ExecutionEvent } from './events.js';
import type { ExecutionProgress } from './progress.js';
import type { ExecutionSummary } from './summary.js';

/** One call of a task, under a key. The fields are as of the last `add`, `getExecution` or `sync()`. */
export interface Execution<R> {
  /** Its key, or the id that was generated for it. */
  readonly key: string;
  /** Name of the task. */
  readonly task: string;
  /**
   * Its arguments. They are `undefined` when another process added it and it has ended, unless the worker that ended it
   * keeps them (`WorkerOptions.keepArguments`).
   */
  readonly args: unknown;
  /** When it is or was due. */
  readonly when: Date;
  /** What the `add` that returned this handle has done. */
  readonly disposition: Disposition;
  /** Number of the attempt, from 1. While a retry waits, it is that of the attempt to come. */
  readonly attempt: number;
  readonly state: ExecutionState;
  /** Name of the worker that last started this attempt; `null` before its first start. */
  readonly worker: string | null;
  /** When this attempt last started; `null` before its first start. */
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** Name and message of the error it failed with, or the reason why it was dropped or struck; otherwise `null`. */
  readonly error: string | null;
  /** Its progress, with functions to report progress from outside. */
  readonly progress: ExecutionProgress;
  /**
   * Name of the limit that makes it wait, see `Docket.snapshot`; otherwise `null`. It waits for a permit while it is
   * `queued`, and for its turn at a rate or for a debounce while it is `scheduled`. While its task is paused, it is
   * `queued` and this is `paused`.
   */
  readonly waitingFor: string | null;

  /** Returns what `JSON.stringify` shows of the handle: its fields, without arguments and result. */
  toJSON(): ExecutionSummary;

  /**
   * Reads the fields again.
   * @throws ExecutionNotFoundError when there is no such execution any more
   */
  sync(): Promise<void>;

  /** Cancels the execution, and returns what became of it, see `Docket.cancel`. */
  cancel(): Promise<CancelResult>;

  /**
   * Waits until the execution ends and returns the result of its body.
   *
   * The record of a run of a chain passes to the next run as the run ends, so the result of a run that is followed by
   * another is not kept: this rejects with ExecutionSupersededError. Only the last run of a chain has a result. A body
   * that others wait for can write its result elsewhere, such as under `ctx.docket.key()`.
   * @throws TypeError when both `timeout` and `deadline` are given
   * @throws InvalidOptionError when `timeout` is not a duration, or `deadline` is not a valid date
   * @throws TimeoutError when it did not end in time; the execution runs on
   * @throws ExecutionCancelledError when it was cancelled, or struck
   * @throws ExecutionSupersededError when a newer execution took its key, such as the next run of a chain
   * @throws ResultsDisabledError when it was added with `executionTtl: 0`
   * @throws ExecutionNotFoundError when there is no such execution any more
   * @throws the error with which the task failed
   */
  result(options?: ResultOptions): Promise<R>;

  /**
   * Yields the present state and progress, then every change, and ends after a terminal state. It also ends when a newer execution
   * takes the key, and when the docket is closed. Leaving the loop ends the subscription, and so does the signal: the loop ends
   * without an error as soon as it aborts. A slow consumer may miss intermediate changes, but never the latest one.
   *
   * Iterating throws ExecutionNotFoundError when there is no such execution any more, and ResultsDisabledError when it
   * was added with `executionTtl: 0`.
   *
   * @example
   * ```ts
   * for await (const event of execution.subscribe()) {
   *   if (event.type === 'progress') console.log(`${event.current} of ${event.total}`);
   *   else console.log(event.state);
   * }
   * ```
   */
  subscribe(options?: SubscribeOptions): AsyncIterable<ExecutionEvent>;
}

/** Options of `execution.subscribe()`. */
export interface SubscribeOptions {
  /** Ends the subscription when it aborts, even while nothing happens. The execution continues. */
  signal?: AbortSignal;
}

/** Options of `execution.result()`. */
export interface ResultOptions {
  /**
   * Maximum wait from now. Cannot be combined with `deadline`.
   * @default no limit
   */
  timeout?: Duration;
  /**
   * Point in time at which the wait ends. Cannot be combined with `timeout`.
   * @default no limit
   */
  deadline?: Date;
  /** Ends the wait when it aborts. The execution runs on. */
  signal?: AbortSignal;
}
