/** What a task's body receives beside its arguments. */
import type { Duration } from '../core/duration.js';
import type { StrikeOperand, StrikeOperator } from '../wire/strikes.js';
import type { AddOptions, AddRest, Call, CallResult } from './call.js';
import type { AnyTask, Task } from './declared-task.js';
import type { Execution } from './execution.js';
import type { Progress } from './progress.js';

/** What everything that runs in a worker thread can use. */
export interface ThreadContext {
  /** The docket the thread's executions come from, to add further work. */
  readonly docket: TaskDocket;
  /** Where this runs. */
  readonly worker: { readonly name: string; readonly threadId: number };
  /** Writes lines that carry docket, worker and thread; within a task also task, key and attempt. */
  readonly logger: Logger;
}

export interface TaskContext extends ThreadContext {
  /** Identity of the execution, the same in every attempt. */
  readonly key: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** True when an earlier delivery of this attempt was lost with its worker: the body may have run before, in part or whole. */
  readonly redelivered: boolean;
  /** When this attempt was due. */
  readonly when: Date;
  /**
   * Aborts when the attempt must end; its reason says why: a TimeoutError, an ExecutionCancelledError, or that the
   * worker stops. Pass it to `fetch`, timers and drivers.
   */
  readonly signal: AbortSignal;
  /**
   * True once the attempt must end. Also turns true inside a synchronous loop that never yields, where `signal` cannot
   * fire. Read it from `ctx`: a destructured copy does not change.
   */
  readonly cancelled: boolean;
  /** Throws the reason of `signal` once the attempt must end. Works in a synchronous loop, and when destructured. */
  readonly throwIfCancelled: () => void;
  /** How far this attempt is, for those who look: see {@link Progress}. */
  readonly progress: Progress;
  /** The running execution itself, as others see it. Its `args` are those it was added with. */
  readonly execution: Execution<unknown>;
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

/**
 * On the context of tasks that declare a `perpetual` policy: what is said here is for the next run alone, and counts
 * when this attempt is the last of its run. Of `after` and `at` the last call counts, and both come before `every`.
 */
export interface PerpetualControl {
  readonly perpetual: {
    /**
     * Time from this run's due time to the next one's, in milliseconds when read.
     * @throws InvalidOptionError for a task with a cron expression: use `after` or `at`
     */
    get every(): number;
    set every(every: Duration);
    /**
     * Gives the next run other arguments than this one's. They are encoded now, checked against `input` when it runs.
     * @throws InvalidOptionError, UnencodableValueError or PayloadTooLargeError for arguments that cannot travel
     */
    perpetuate(args: object): void;
    /** Places the next run after a delay, counted from the end of this one. */
    after(delay: Duration): void;
    /** Places the next run at a point in time; the past means now. */
    at(when: Date): void;
    /** Ends the chain: there is no next run, whatever else is said. */
    cancel(): void;
  };
}

/** On the context of tasks that declare a `timeout`. */
export interface TimeoutControl {
  readonly timeout: {
    /**
     * Puts off the end of this attempt's time.
     * @param by - added to what is left; without it, the task's whole timeout is
     * @throws TimeoutError when the time is over already
     */
    extend(by?: Duration): void;
    /** Milliseconds that are left, 0 once the time is over. */
    remaining(): number;
  };
}

/** What a task's body can do with its docket; the client's `Docket` satisfies it. */
export interface TaskDocket {
  /** Adds an execution of `task`. The first one under a key wins, see `AddOptions`. */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Promise<Execution<R>>;
  /** Adds a batch in one go, in order; nothing of it is written when one of the calls is invalid. */
  addMany<C extends Call<unknown>>(calls: Iterable<C>): Promise<Execution<CallResult<C>>[]>;
  /** Puts an execution under a key, whoever has it; what runs under it goes on, and no longer counts. */
  replace<A extends object, R>(
    task: Task<string, A, R>,
    args: NoInfer<A>,
    options: AddOptions & { readonly key: string },
  ): Promise<Execution<R>>;
  /** Cancels an execution wherever it is in the fleet. */
  cancel(key: string): Promise<void>;
  /** Strikes work until it is restored, see `Docket.strike`. */
  strike(
    task?: AnyTask | string | null,
    parameter?: string | null,
    operator?: StrikeOperator,
    value?: StrikeOperand,
  ): Promise<void>;
  /** Takes back the strike that was made with the same arguments; says whether there was one. */
  restore(
    task?: AnyTask | string | null,
    parameter?: string | null,
    operator?: StrikeOperator,
    value?: StrikeOperand,
  ): Promise<boolean>;
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

/** Names that dependencies cannot take. */
export const CONTEXT_NAMES: ReadonlySet<string> = new Set(
  Object.keys({
    attempt: true,
    cancelled: true,
    docket: true,
    execution: true,
    key: true,
    logger: true,
    perpetual: true,
    progress: true,
    redelivered: true,
    retry: true,
    signal: true,
    throwIfCancelled: true,
    timeout: true,
    when: true,
    worker: true,
  } satisfies Record<keyof (TaskContext & RetryControl & PerpetualControl & TimeoutControl), true>),
);
