/** The context that a task's body receives beside its arguments. */
import type { Redis } from 'ioredis';
import type { Duration } from '../core/duration.js';
import type { StrikeOperand, StrikeOperator } from '../wire/strikes.js';
import type { AddOptions, AddRest, Call, CallByName, CallResult, ReplaceOptions } from './call.js';
import type { CancelFilter, CancelReport, CancelResult } from './cancelling.js';
import type { AnyTask, Task } from './declared-task.js';
import type { ExecutionDetails } from './details.js';
import type { Execution } from './execution.js';
import type { Failure, FailureFilter, RetryReport } from './failures.js';
import type { HistoryMinute, HistoryOptions, StatsOptions, TaskStats } from './history.js';
import type { LimitInfo, LimitsOptions } from './limit-info.js';
import type { ListedExecution, ListOptions, ListPage, ListPageOptions } from './listing.js';
import type { Pause, PauseOptions, ResumeOptions } from './pause.js';
import type { Progress } from './progress.js';
import type { Schedule, SchedulesOptions } from './schedules.js';
import type { Snapshot, SnapshotOptions, WorkerInfo } from './snapshot.js';
import type { StrikeInfo } from './strike-info.js';

/** The context of all code in a worker thread. */
export interface ThreadContext {
  /** The docket that the executions of this thread come from, for example to add more work. */
  readonly docket: TaskDocket;
  /** Name of the worker, and Node's id of the thread. */
  readonly worker: { readonly name: string; readonly threadId: number };
  /**
   * Writes to the log of the worker. Lines carry docket, worker and thread, and within a task also task, key and
   * attempt.
   */
  readonly logger: TaskLogger;
}

/** The context of a task's body. */
export interface TaskContext extends ThreadContext {
  /** Key of the execution, or its generated id. It is the same in every attempt. */
  readonly key: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /**
   * True when an earlier delivery of this attempt was lost with its worker or its thread, so the body may already have run in part
   * or whole. False when a worker that stopped has interrupted the body and requeued it.
   */
  readonly redelivered: boolean;
  /** When this attempt was due. */
  readonly when: Date;
  /**
   * Aborts when the attempt must stop. Its reason says why: a TimeoutError, an ExecutionCancelledError, or an
   * InterruptedError when the worker stops or has lost the lease. Pass it to `fetch`, timers and drivers.
   */
  readonly signal: AbortSignal;
  /**
   * True once the attempt must stop. It also becomes true inside a synchronous loop that never yields, where `signal`
   * cannot abort. Read it from `ctx`, because a destructured copy does not change.
   */
  readonly cancelled: boolean;
  /** Throws the reason of `signal` once the attempt must stop. Works in a synchronous loop, and when destructured. */
  readonly throwIfCancelled: () => void;
  /** Reports the progress of this attempt, see {@link Progress}. */
  readonly progress: Progress;
  /** The handle of the running execution, as others see it. Its `args` are the ones it was added with. */
  readonly execution: Execution<unknown>;
  /** Undefined unless the task declares `retry`, or this execution was added with it. */
  readonly retry?: RetryControl['retry'] | undefined;
  /** Undefined unless the task declares `perpetual`, or this execution was added with it: `ctx.perpetual?.cancel()`. */
  readonly perpetual?: PerpetualControl['perpetual'] | undefined;
  /** Undefined unless the task declares a `timeout`, or this execution was added with one. */
  readonly timeout?: TimeoutControl['timeout'] | undefined;
}

/** On the context of tasks with a `retry` policy. Both functions end the attempt, which counts towards `attempts`. */
export interface RetryControl {
  readonly retry: {
    /**
     * Ends this attempt and schedules the next one after this delay, instead of the policy's.
     * @throws InvalidOptionError when `delay` is not a duration
     * @throws AttemptEndedError when the attempt has already ended
     */
    after(delay: Duration): never;
    /**
     * Ends this attempt and schedules the next one at a point in time. A time in the past means now.
     * @throws InvalidOptionError when `when` is not a valid date
     * @throws AttemptEndedError when the attempt has already ended
     */
    at(when: Date): never;
  };
}

/**
 * On the context of tasks with a `perpetual` policy. Everything set here holds for the next run only, and only when
 * this attempt is the last of its run. The last call of `after` or `at` wins, and both take precedence over `every`.
 */
export interface PerpetualControl {
  readonly perpetual: {
    /**
     * Time from the due time of this run to that of the next, in milliseconds when read.
     * @throws InvalidOptionError when the task has a cron expression (use `after` or `at`), or the value is not a
     *   duration
     */
    get every(): number;
    set every(every: Duration);
    /**
     * Sets the arguments of the next run. They are encoded now, and checked against `input` when it runs.
     * @throws InvalidOptionError when `args` is not an object with named fields
     * @throws UnencodableValueError when they hold something that cannot be encoded
     * @throws PayloadTooLargeError when they are larger than `maxPayloadBytes`
     */
    perpetuate(args: object): void;
    /**
     * Schedules the next run after a delay, counted from the end of this one.
     * @throws InvalidOptionError when `delay` is not a duration
     */
    after(delay: Duration): void;
    /**
     * Schedules the next run at a point in time. A time in the past means now.
     * @throws InvalidOptionError when `when` is not a valid date
     */
    at(when: Date): void;
    /** Ends the chain: there is no next run, whatever else was set. */
    cancel(): void;
  };
}

/** On the context of tasks with a `timeout`. */
export interface TimeoutControl {
  readonly timeout: {
    /**
     * Gives the current phase of the attempt more time.
     * @param by - added to the remaining time. @default the task's whole timeout
     * @throws TimeoutError when the time is already over
     * @throws InvalidOptionError when `by` is not a duration
     */
    extend(by?: Duration): void;
    /** Returns the remaining time in milliseconds; 0 once it is over. */
    remaining(): number;
  };
}

/** The docket as a task's body can use it. The client's `Docket` satisfies this interface. */
export interface TaskDocket {
  /** Name of the docket. */
  readonly name: string;
  /**
   * The docket's own connection for your commands, see `Docket.redis`. It opens with the first use in this thread, and
   * the thread closes it. Keep what you store under `key(suffix)`.
   */
  readonly redis: Promise<Redis>;
  /** Names a Redis key for your own data, see `Docket.key`. */
  key(suffix: string): string;
  /** Adds an execution of `task`. While one is alive under the same key, it changes nothing, see `AddOptions`. */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Promise<Execution<R>>;
  /** Adds an execution of the task of this name. */
  add(name: string, args?: object, options?: AddOptions): Promise<Execution<unknown>>;
  /** Adds a batch of calls, in order. Nothing is written when one of them is invalid. */
  addMany<C extends Call<unknown> | CallByName>(calls: Iterable<C>): Promise<Execution<CallResult<C>>[]>;
  /**
   * Adds an execution in place of the one under its key. If that one is running, it runs on, but its outcome is not
   * written.
   */
  replace<A extends object, R>(
    task: Task<string, A, R>,
    args: NoInfer<A>,
    options: ReplaceOptions,
  ): Promise<Execution<R>>;
  replace(name: string, args: object, options: ReplaceOptions): Promise<Execution<unknown>>;
  /** Cancels an execution wherever it is in the fleet, and returns what became of it. */
  cancel(key: string): Promise<CancelResult>;
  /** Cancels all executions that match a filter, see `Docket.cancelMany`. */
  cancelMany(filter: CancelFilter): Promise<CancelReport>;
  /** Lists the schedules, in the order of their keys, see `Docket.schedules`. */
  schedules(options?: SchedulesOptions): AsyncIterable<Schedule>;
  /** Makes a scheduled execution due now, see `Docket.runNow`. Returns whether there was one. */
  runNow(key: string): Promise<boolean>;
  /** Keeps a task or the values of a parameter from running until they are restored, see `Docket.strike`. */
  strike(
    task?: AnyTask | string | null,
    parameter?: string | null,
    operator?: StrikeOperator,
    value?: StrikeOperand,
  ): Promise<void>;
  /** Takes back the strike that was made with the same arguments. Returns whether there was one. */
  restore(
    task?: AnyTask | string | null,
    parameter?: string | null,
    operator?: StrikeOperator,
    value?: StrikeOperand,
  ): Promise<boolean>;
  /** Lists the strikes that are in force. */
  strikes(): Promise<StrikeInfo[]>;
  /** Keeps executions of a task, or of the whole docket, from starting until it is resumed, see `Docket.pause`. */
  pause(task?: AnyTask | string | null, options?: PauseOptions): Promise<void>;
  /** Ends pauses, see `Docket.resume`. Returns whether there was one. */
  resume(task?: AnyTask | string | null, options?: ResumeOptions): Promise<boolean>;
  /** Lists the pauses. */
  pauses(): Promise<Pause[]>;
  /** Finds an execution by its key; `null` when there is none. */
  getExecution(key: string): Promise<Execution<unknown> | null>;
  /** Tells all that is known of one execution; `null` when nothing is, see `Docket.show`. */
  show(key: string): Promise<ExecutionDetails | null>;
  /** Lists executions by task, state and arguments, see `Docket.list`. */
  list(options?: ListOptions): AsyncIterable<ListedExecution>;
  /** Lists one page of them. */
  listPage(options?: ListPageOptions): Promise<ListPage>;
  /** Lists the limits that are in use, who holds their permits and who waits, see `Docket.limits`. */
  limits(options?: LimitsOptions): Promise<LimitInfo[]>;
  /** Lists what failed for good, the newest first, see `Docket.failures`. */
  failures(filter?: FailureFilter): AsyncIterable<Failure>;
  /** Finds a failure by its id; `null` when there is none. */
  failure(id: string): Promise<Failure | null>;
  /** Adds the executions of failures again, see `Docket.retry`. */
  retry(which: string | readonly string[] | FailureFilter): Promise<RetryReport>;
  /** Removes failures for good. Returns how many there were. */
  discard(which: string | readonly string[] | FailureFilter): Promise<number>;
  /** Takes a snapshot of what waits and what runs, see `Docket.snapshot`. */
  snapshot(options?: SnapshotOptions): Promise<Snapshot>;
  /** Returns what the attempts of the last minutes came to, minute by minute, see `Docket.history`. */
  history(options?: HistoryOptions): Promise<HistoryMinute[]>;
  /** Returns what the attempts of the last minutes came to, task by task, see `Docket.stats`. */
  stats(options?: StatsOptions): Promise<TaskStats[]>;
  /** Lists the live workers that can take work. */
  workers(): Promise<WorkerInfo[]>;
  /** Lists the live workers that can run a task, which is given itself or by name: they have it, or a fallback. */
  taskWorkers(task: AnyTask | string): Promise<WorkerInfo[]>;
}

/** The logger of a context. It reads the arguments of a call as pino does. A call never throws. */
export interface TaskLogger {
  readonly debug: TaskLog;
  readonly info: TaskLog;
  readonly warn: TaskLog;
  readonly error: TaskLog;
}

/** Writes one line. Values fill the placeholders of the message (`%s`, `%d`), or follow it; fields come before it. */
export interface TaskLog {
  (message: string, ...values: LogValue[]): void;
  /** An error, or whatever was caught, becomes the field `err`. Its message is that of the line if none is given. */
  (fieldsOrError: unknown, message?: string, ...values: LogValue[]): void;
}

type LogValue = string | number | bigint | boolean | symbol | null | undefined | Error;

/** A logger with four levels. */
export interface Logger {
  readonly debug: Log;
  readonly info: Log;
  readonly warn: Log;
  readonly error: Log;
}

/** Writes one line: a message, with or without fields. */
export interface Log {
  (fields: object, message: string): void;
  (message: string): void;
}

/** Names of the context, which dependencies cannot have. */
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
  } satisfies Record<keyof TaskContext, true>),
);
