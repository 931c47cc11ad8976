/** The handle of one execution, as producers and task bodies see it. */
import type { Duration } from '../core/duration.js';
import type { Disposition, ExecutionState } from '../core/states.js';
import type { ExecutionEvent } from './events.js';
import type { ExecutionProgress } from './progress.js';

/** One scheduled run of a task under a key. The fields are as of the last `add`, `getExecution` or `sync()`. */
export interface Execution<R> {
  readonly key: string;
  /** The task's name. */
  readonly task: string;
  readonly args: unknown;
  /** When it is due, or was. */
  readonly when: Date;
  /** What the `add` that returned this handle did. */
  readonly disposition: Disposition;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly state: ExecutionState;
  /** Name of the worker that ran it last; `null` before the first start. */
  readonly worker: string | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** Message of the error it failed with, or why it was dropped or struck; else `null`. */
  readonly error: string | null;
  /** How far it is, and the ways to say so from outside. */
  readonly progress: ExecutionProgress;
  /** While it is `queued` and waits for a slot of a concurrency limit: the name of that limit, see `Docket.snapshot`. */
  readonly waitingFor: string | null;

  /** Reads the fields anew. */
  sync(): Promise<void>;

  /** Cancels it wherever it is, see `Docket.cancel`. */
  cancel(): Promise<void>;

  /**
   * Waits until the execution ends and gives what its body returned.
   * @throws TypeError when both `timeout` and `deadline` are given
   * @throws TimeoutError when it did not end in time; the execution goes on
   * @throws ExecutionCancelledError when it was cancelled, or struck
   * @throws ExecutionSupersededError when a newer execution took its key
   * @throws ResultsDisabledError when it was added with `executionTtl: 0`
   * @throws the error of the task when it failed
   */
  result(options?: ResultOptions): Promise<R>;

  /**
   * Gives its state and progress as they are, then every change; ends after a terminal state. Also ends when a newer
   * execution takes its key, and when the docket is closed. Leaving the loop ends the subscription. A consumer that is slow
   * misses steps between, never the latest.
   *
   * Iterating throws ExecutionNotFoundError when nothing is known of the execution any more, and ResultsDisabledError
   * when it was added with `executionTtl: 0`.
   *
   * @example
   * ```ts
   * for await (const event of execution.subscribe()) {
   *   if (event.type === 'progress') console.log(`${event.current} of ${event.total}`);
   *   else console.log(event.state);
   * }
   * ```
   */
  subscribe(): AsyncIterable<ExecutionEvent>;
}

export interface ResultOptions {
  /**
   * Longest wait, from now. Not together with `deadline`.
   * @default waits as long as it takes
   */
  timeout?: Duration;
  /** Point in time at which the wait ends. Not together with `timeout`. */
  deadline?: Date;
  /** Ends the wait, not the execution, when it aborts. */
  signal?: AbortSignal;
}
