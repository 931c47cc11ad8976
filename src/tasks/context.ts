/** What a task's body receives beside its arguments. */
import type { Duration } from '../core/duration.js';
import type { AddRest, Call, CallResult } from './call.js';
import type { Execution } from './execution.js';
import type { Task } from './task.js';

export interface TaskContext {
  /** Identity of the execution, the same in every attempt. */
  readonly key: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** True when an earlier delivery of this attempt was lost with its worker: the body may have run before, in part or whole. */
  readonly redelivered: boolean;
  /** When this attempt was due. */
  readonly when: Date;
  /** Aborts when the attempt must end, its reason says why. Pass it to `fetch`, timers and drivers. */
  readonly signal: AbortSignal;
  /**
   * True once the attempt must end. Also turns true inside a synchronous loop that never yields, where `signal` cannot
   * fire. Read it from `ctx`: a destructured copy does not change.
   */
  readonly cancelled: boolean;
  /** Throws the reason of `signal` once the attempt must end. Works in a synchronous loop, and when destructured. */
  readonly throwIfCancelled: () => void;
  /** Where this attempt runs. */
  readonly worker: { readonly name: string; readonly threadId: number };
  /** The docket the execution came from, to add further work. */
  readonly docket: TaskDocket;
  /** Writes lines that carry docket, worker, thread, task, key and attempt. */
  readonly logger: Logger;
}

/** On the context of tasks that declare a `retry` policy. Both calls end the attempt; it counts towards `attempts`. */
export interface RetryControl {
  readonly retry: {
    /** Ends this attempt and schedules the next one after a delay, instead of the policy's. */
    after(delay: Duration): never;
    /** Ends this attempt and schedules the next one at a point in time; the past means now. */
    at(when: Date): never;
  };
}

/** What a task's body can do with its docket; the client's `Docket` satisfies it. */
export interface TaskDocket {
  /** Adds an execution of `task`. The first one under a key wins, see `AddOptions`. */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Promise<Execution<R>>;
  /** Adds a batch in one go, in order; nothing of it is written when one of the calls is invalid. */
  addMany<C extends Call<unknown>>(calls: Iterable<C>): Promise<Execution<CallResult<C>>[]>;
  /** Finds what is known under a key; `null` when nothing is. */
  getExecution(key: string): Promise<Execution<unknown> | null>;
}

export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
}

/** Writes one line: a message, with or without fields of its own. */
export interface Log {
  (fields: object, message: string): void;
  (message: string): void;
}
