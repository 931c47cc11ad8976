/** `Docket`: the producer's side. Adds executions and finds them again; loads nothing that only workers need. */
import { setMaxListeners } from 'node:events';
import { type InspectOptions, inspect } from 'node:util';
import type { Redis } from 'ioredis';
import { DocketClosedError, InvalidOptionError } from '../core/errors.js';
import { runsTask } from '../redis/fleet-store.js';
import { manualClockAt } from '../redis/manual-clock.js';
import { maskUrl } from '../redis/url.js';
import type {
  AddOptions,
  AddRest,
  ArgumentsOfName,
  Call,
  CallByName,
  CallResult,
  NameOf,
  ReplaceOptions,
  ResultOfName,
  TasksByName,
} from '../tasks/call.js';
import type { CancelFilter, CancelReport, CancelResult } from '../tasks/cancelling.js';
import type { CountOptions, ExecutionCounts } from '../tasks/counting.js';
import type { ExecutionDetails } from '../tasks/details.js';
import type { Execution } from '../tasks/execution.js';
import type { Failure, FailureFilter, FailureGroup, FailureGroupFilter, RetryReport } from '../tasks/failures.js';
import type { HistoryMinute, HistoryOptions, StatsOptions, TaskStats } from '../tasks/history.js';
import type { LimitInfo, LimitsOptions } from '../tasks/limit-info.js';
import type { ListedExecution, ListOptions, ListPage, ListPageOptions } from '../tasks/listing.js';
import type { Pause, PauseOptions, ResumeOptions } from '../tasks/pause.js';
import type { Schedule, SchedulesOptions } from '../tasks/schedules.js';
import type { Snapshot, SnapshotOptions, WorkerInfo } from '../tasks/snapshot.js';
import type { StrikeInfo } from '../tasks/strike-info.js';
import { inspectSummary } from '../tasks/summary.js';
import type { AnyTask, Task } from '../tasks/task.js';
import { type StrikeOperand, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { Adder, checkCallsOnly } from './adding.js';
import { CallSpans } from './call-spans.js';
import { Control } from './control.js';
import { setInternals } from './internals.js';
import { type DocketOptions, type ProducerSettings, resolveDocketOptions } from './options.js';
import { Partitions } from './partitions.js';
import { PlacementWatchers } from './placement-watchers.js';
import { CallPreparer } from './prepare.js';
import { ServerTime } from './server-time.js';
import { taskNameOf } from './task-name.js';
import { Views } from './views.js';

/**
 * A named collection of background work on Redis.
 *
 * Connects when it is first used. Close it when you are done, or declare it with `await using`: an open connection keeps the
 * process alive.
 *
 * @example
 * ```ts
 * const docket = new Docket({ url: 'redis://localhost:6379' });
 * const execution = await docket.add(hello, { name: 'ada' });
 * console.log(await execution.result());
 * await docket.close();
 * ```
 */
export class Docket<Tasks extends TasksByName = {}> {
  readonly #settings: ProducerSettings;
  readonly #closing = new AbortController();
  readonly #partitions: Partitions;
  readonly #adder: Adder;
  readonly #control: Control;
  readonly #views: Views;
  #closed: Promise<void> | undefined;

  /** @throws InvalidOptionError naming the option that cannot be used */
  constructor(options: DocketOptions<Tasks> = {}) {
    const settings = resolveDocketOptions(options);
    const { signal: closed } = this.#closing;
    setMaxListeners(0, closed); // every call of result() adds one
    const partitions = new Partitions({ settings, closed, cancel: (key) => this.cancel(key) });
    const spans = new CallSpans(settings.name);
    const watchers = new PlacementWatchers();
    const serverTime = new ServerTime(
      (commands) => partitions.first.run(commands),
      () => manualClockAt(settings.url),
    );
    const preparer = new CallPreparer(settings, serverTime);
    const checkOpen = () => this.#checkOpen();
    this.#settings = settings;
    this.#partitions = partitions;
    this.#adder = new Adder({ settings, partitions, preparer, spans, watchers, checkOpen });
    this.#control = new Control(partitions, spans);
    this.#views = new Views(partitions, checkOpen);
    setInternals(this, {
      settings,
      partitions,
      watchPlacements: (watcher) => watchers.add(watcher),
      changeOwnProgress: async (own, change) => await this.#control.changeOwnProgress(own, change),
      cancelOwn: async (own) => {
        this.#checkOpen();
        return await this.#control.cancelOwn(own);
      },
    });
  }

  /** Name of the docket. */
  get name(): string {
    return this.#settings.name;
  }

  /** Returns what `JSON.stringify` shows of the docket: its name and its URL, without the password. */
  toJSON(): { readonly name: string; readonly url: string } {
    return { name: this.name, url: maskUrl(this.#settings.url) };
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectSummary('Docket', this.toJSON(), depth, options);
  }

  /**
   * Adds an execution of a task. While another execution is scheduled, queued or running under `key`, nothing is written and
   * the handle is that one's (`disposition: 'already_scheduled'`). With `once`, the same holds for one that has ended, until
   * its `executionTtl` has passed. A call that is struck is not written either: its execution is `cancelled` from the start
   * (`disposition: 'struck'`).
   *
   * Concurrent calls travel together: `await Promise.all(items.map((item) => docket.add(task, item)))` is as fast as
   * `addMany`.
   *
   * @throws InvalidOptionError when the key, date or arguments cannot be used; like the next four, before anything is written
   * @throws TaskNotFoundError for a name that is not in the docket's `tasks`
   * @throws InvalidArgumentsError for arguments that do not match the task's `input`
   * @throws UnencodableValueError for arguments that cannot be encoded, naming the field
   * @throws PayloadTooLargeError for arguments over `maxPayloadBytes`
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @throws AddUnconfirmedError when the connection broke before the reply came: it may have been written. Adding it again
   *   with `once` does not run it twice
   * @throws DurabilityError when it was written, but too few replicas had it in time; only with `durability`
   * @throws DocketClosedError after `close()`, as all methods do
   *
   * @example
   * ```ts
   * await docket.add(charge, { orderId: 1 }, { key: 'charge-1', when: '10m' });
   * ```
   */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Promise<Execution<R>>;
  add<Name extends NameOf<Tasks>>(
    name: Name,
    ...rest: AddRest<ArgumentsOfName<Tasks, Name>>
  ): Promise<Execution<ResultOfName<Tasks, Name>>>;
  add(task: AnyTask | string, ...rest: unknown[]): Promise<Execution<unknown>> {
    const [args, options] = rest as [args?: object, options?: AddOptions];
    return this.#adder.add(task, args, options);
  }

  /**
   * Adds a batch; the handles are in the order of the calls. When one call is invalid, nothing of the batch is written.
   * @throws what `add` throws, before anything is written
   * @throws PartialAddError when only part of the batch was confirmed, or none but some may have been written
   *
   * @example
   * ```ts
   * await docket.addMany(orders.map((orderId) => call(charge, { orderId })));
   * ```
   */
  addMany<C extends Call<unknown> | CallByName>(calls: Iterable<C>): Promise<Execution<CallResult<C>>[]>;
  async addMany<C extends Call<unknown> | CallByName>(
    calls: Iterable<C>,
    ...rest: never[]
  ): Promise<Execution<CallResult<C>>[]> {
    this.#checkOpen();
    checkCallsOnly(rest);
    return (await this.#adder.addMany(calls)) as Execution<CallResult<C>>[];
  }

  /**
   * Puts an execution under a key in place of whatever is there; adds it when nothing is. A scheduled, queued or waiting
   * execution is removed. A running one goes on, but its result, its retry and its next run no longer count. Once this
   * resolves, no worker takes anything older under the key. An execution that a worker has taken but not started counts as
   * running: it is taken back when that worker hears of this, which takes as long as a message does, and may start until
   * then. When the call is struck, nothing is written or removed.
   * @throws what `add` throws
   */
  replace<A extends object, R>(
    task: Task<string, A, R>,
    args: NoInfer<A>,
    options: ReplaceOptions,
  ): Promise<Execution<R>>;
  replace<Name extends NameOf<Tasks>>(
    name: Name,
    args: ArgumentsOfName<Tasks, Name>,
    options: ReplaceOptions,
  ): Promise<Execution<ResultOfName<Tasks, Name>>>;
  async replace(task: AnyTask | string, args: unknown, options: ReplaceOptions): Promise<Execution<unknown>> {
    this.#checkOpen();
    return await this.#adder.replace(task, args, options);
  }

  /**
   * Cancels an execution wherever it is. A scheduled, queued or waiting one is removed; a running one is asked to stop, and
   * its thread is terminated if it does not. A perpetual task has no next run. Does not wait for a running execution to
   * end: `result()` does. An execution that a worker has taken but not started ends without a run when that worker hears of
   * the cancel; it may start until then. Idempotent: does nothing for unknown keys and for executions that have ended.
   * @returns the state in which it was found, and what became of it
   * @throws InvalidOptionError when the key cannot be one
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   */
  async cancel(key: string): Promise<CancelResult> {
    this.#checkOpen();
    return await this.#control.cancel(key);
  }

  /**
   * Cancels all executions that match a filter, as `cancel` does, and returns how many. It works in small steps, so Redis serves
   * others meanwhile. Executions that were added before the call and have not started are found wherever they move. Those that are
   * added during the call may be cancelled, too. If it fails half-way, cancelled executions stay cancelled: call it again for the
   * rest.
   * @throws InvalidOptionError when the filter is empty and `all` is not set, or something in it cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @throws the reason of the signal when it aborts
   * @example
   * ```ts
   * const { removed, stopping } = await docket.cancelMany({ task: charge, where: { customerId: 'c-1' } });
   * ```
   */
  async cancelMany(filter: CancelFilter): Promise<CancelReport> {
    this.#checkOpen();
    return await this.#control.cancelMany(filter);
  }

  /**
   * Strikes work until it is restored: a task, a value of a parameter in any task, or both together. Once this resolves, no `add`
   * of a struck call is written anywhere. An execution that was added before is cancelled when a worker takes it; a perpetual task
   * skips its runs, and goes on when it is restored. Executions that run already go on, and so do those that start before their
   * worker hears of the strike.
   *
   * Each strike is independent of the others. A value is compared only with values of its kind: strings, numbers and bigints,
   * booleans, Dates, `null`. An argument of another kind is not struck.
   *
   * @param task - a task or its name; `null` for any task
   * @param parameter - name of an argument; `null` for the task whatever its arguments
   * @param operator - how the argument is compared. @default '=='
   * @param value - what the argument is compared with; `[low, high]`, both included, for `between`
   * @throws InvalidOptionError when one of them cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @example
   * ```ts
   * await docket.strike(charge);
   * await docket.strike(null, 'customerId', '==', 'c-1');
   * await docket.strike(charge, 'orderId', 'between', [1_000, 2_000]);
   * ```
   */
  async strike(
    task: AnyTask | string | null = null,
    parameter: string | null = null,
    operator: StrikeOperator = '==',
    value?: StrikeOperand,
  ): Promise<void> {
    this.#checkOpen();
    await this.#control.strike(task, strikeOf(taskNameOf(task), parameter, operator, value));
  }

  /**
   * Takes back the strike that was made with the same arguments; others stay.
   * @returns whether there was such a strike
   * @throws what `strike` throws
   */
  async restore(
    task: AnyTask | string | null = null,
    parameter: string | null = null,
    operator: StrikeOperator = '==',
    value?: StrikeOperand,
  ): Promise<boolean> {
    this.#checkOpen();
    return await this.#control.restore(task, strikeOf(taskNameOf(task), parameter, operator, value));
  }

  /**
   * Lists the schedules: every chain that has a record, in the order of the keys. That is each execution that was added with
   * `perpetual`, or whose task declares it, and the chains of automatic tasks. Reads page by page, as they are asked for. A
   * schedule that is added, replaced or ended meanwhile may be seen or not; what is seen was so when its page was read. A chain
   * that was added by the name of its task, to a docket without `tasks`, is listed once its first run has ended.
   * @throws InvalidOptionError when an option cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   * @example
   * ```ts
   * for await (const { key, description, nextRuns } of docket.schedules({ task: report })) console.log(key, description, nextRuns);
   * ```
   */
  schedules(options: SchedulesOptions = {}): AsyncIterable<Schedule> {
    this.#checkOpen();
    return this.#views.schedules(options);
  }

  /**
   * Makes a scheduled execution due now: the pending run of a schedule, a retry that waits, or whatever was added for later.
   * Limits, strikes and busy workers still keep it waiting. The run of a schedule comes in addition: the next one is due
   * at the next match of its cron expression, or at the next point of the grid of its interval.
   * @returns whether an execution was scheduled under the key; if not, it waits or runs already, has ended or is unknown
   * @throws InvalidOptionError when the key cannot be one
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   */
  async runNow(key: string): Promise<boolean> {
    this.#checkOpen();
    return await this.#control.runNow(key);
  }

  /**
   * Lists the strikes that are in force.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async strikes(): Promise<StrikeInfo[]> {
    this.#checkOpen();
    return await this.#views.strikes();
  }

  /**
   * Pauses a task, or the whole docket, until it is resumed. Running executions go on, and executions are added as before, but
   * none starts; nothing is lost or cancelled. Once this resolves, a worker starts nothing more of what is paused as soon as it
   * hears of the pause, which takes as long as a message does. Pausing again with the same reason changes nothing. Pauses outlast
   * restarts of workers and of a server that persists.
   *
   * @param task - a task or its name; `null` for the whole docket. @default null
   * @throws InvalidOptionError when the task or the reason cannot be used, or when there are 1,000 pauses already
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @example
   * ```ts
   * await docket.pause(charge, { reason: 'the bank is down' });
   * await docket.pause(); // everything
   * ```
   */
  async pause(task: AnyTask | string | null = null, options: PauseOptions = {}): Promise<void> {
    this.#checkOpen();
    await this.#control.pause(task, options);
  }

  /**
   * Ends the pause of a task, or that of the whole docket, with one reason or with all of them. Executions that waited start in
   * their old order. The pauses of tasks are independent of that of the docket: `resume()` does not end them.
   * @param task - a task or its name; `null` for the whole docket. @default null
   * @returns whether there was such a pause
   * @throws InvalidOptionError when the task or the reason cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @example
   * ```ts
   * await docket.resume(charge, { reason: 'the bank is down' });
   * ```
   */
  async resume(task: AnyTask | string | null = null, options: ResumeOptions = {}): Promise<boolean> {
    this.#checkOpen();
    return await this.#control.resume(task, options);
  }

  /**
   * Lists the pauses: those of the whole docket first, then by task and reason.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async pauses(): Promise<Pause[]> {
    this.#checkOpen();
    return await this.#views.pauses();
  }

  /**
   * Removes everything that was added before this call and has not started: scheduled, queued, or waiting for a permit.
   * Their keys are free again, and their handles learn that they were cancelled. Executions that run go on, and so do those
   * that a worker has already taken. A chain whose next run was pending ends; that of an automatic task is started again
   * within a minute: end it with `cancel`.
   * @returns how many executions were removed
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write. Of several partitions those that can be
   *   reached are cleared, and the message says so
   */
  async clear(): Promise<number> {
    this.#checkOpen();
    return await this.#control.clear();
  }

  /**
   * Lists failures, the newest first: executions that failed for good, and messages that can never run. They are read in
   * bounded pages as you go. See [docs/failures.md](../../docs/failures.md).
   * @throws InvalidOptionError when a part of the filter cannot be used
   * @throws RedisUnavailableError while it is read, when the server cannot be reached
   * @example
   * ```ts
   * for await (const failure of docket.failures({ task: charge, limit: 100 })) {
   *   console.log(failure.key, failure.errorLine, failure.args());
   * }
   * ```
   */
  failures(filter: FailureFilter = {}): AsyncIterable<Failure> {
    this.#checkOpen();
    return this.#views.failures(filter);
  }

  /**
   * Counts failures by task and name of the error, the largest group first. Goes through all that match, in bounded pages, and
   * reads no more of them than that. Those that are added meanwhile are not counted.
   * @throws InvalidOptionError when a part of the filter cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   * @example
   * ```ts
   * for (const { task, errorName, count } of await docket.failureGroups()) console.log(count, task, errorName);
   * ```
   */
  async failureGroups(filter: FailureGroupFilter = {}): Promise<FailureGroup[]> {
    this.#checkOpen();
    return await this.#views.failureGroups(filter);
  }

  /**
   * Finds a failure by its id; `null` when it was retried or discarded, or is no longer kept.
   * @throws InvalidOptionError when the id cannot be one
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async failure(id: string): Promise<Failure | null> {
    this.#checkOpen();
    return await this.#views.failure(id);
  }

  /**
   * Adds the executions of failures again: the same key, task, arguments and `executionTtl`, due now, as their first attempts.
   * Each failure is removed in the script that adds its execution. So a retry whose answer was lost can be repeated: nothing
   * runs twice. With a filter, those that failed before this call are retried, the oldest first.
   * @param which - an id, several ids, or a filter; `{}` selects all
   * @throws InvalidOptionError when an id or a part of the filter cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write. Failures that were retried until then
   *   are no longer kept
   * @example
   * ```ts
   * const { retried, taken } = await docket.retry({ task: charge, errorName: 'TimeoutError' });
   * ```
   */
  async retry(which: string | readonly string[] | FailureFilter): Promise<RetryReport> {
    this.#checkOpen();
    return await this.#control.retry(which);
  }

  /**
   * Removes failures for good.
   * @param which - an id, several ids, or a filter; `{}` selects all
   * @returns how many there were
   * @throws what `retry` throws
   */
  async discard(which: string | readonly string[] | FailureFilter): Promise<number> {
    this.#checkOpen();
    return await this.#control.discard(which);
  }

  /**
   * The docket's own connection for your commands: an ioredis client. Connects when it is first asked for, closes with the
   * docket, and fails fast: commands that are sent while the link is down reject. Adds travel on it too, so do not block or
   * subscribe on it: use `(await docket.redis).duplicate()` for that, and close it yourself. Keep what you store under
   * `docket.key(suffix)`. In a docket with several partitions it leads to the server of partition 0, and so do these keys.
   *
   * @example
   * ```ts
   * const redis = await docket.redis;
   * await redis.incr(docket.key('visits'));
   * ```
   * @throws RedisUnavailableError when the server cannot be reached
   * @throws DocketClosedError when the docket is closed
   */
  get redis(): Promise<Redis> {
    return this.#closing.signal.aborted
      ? Promise.reject(new DocketClosedError())
      : this.#partitions.first.connection.open();
  }

  /**
   * Names a Redis key for your own data: `{name}:user:<suffix>`. It is on the same slot of a cluster and under the same ACL
   * pattern as the docket, and never one of the docket's own keys.
   * @throws InvalidOptionError when the suffix is empty or not a string
   */
  key(suffix: string): string {
    if (typeof suffix !== 'string' || suffix === '') throw new InvalidOptionError('suffix', 'expected text, not empty');
    return this.#settings.keys.user(suffix);
  }

  /**
   * Finds the execution under a key; `null` when there is none, or its `executionTtl` has passed.
   * @throws InvalidOptionError when the key cannot be one
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async getExecution(key: string): Promise<Execution<unknown> | null> {
    this.#checkOpen();
    return await this.#views.getExecution(key);
  }

  /**
   * Tells all that is known of one execution, in whatever state it is; `null` when nothing is known. An execution without a
   * record (no key, `executionTtl: 0`) is found while it is parked or on a stream, by its id; `unknown` says what that leaves
   * open. On a stream it is found only among some ten thousand that were added at about the same time.
   * @throws InvalidOptionError when the key cannot be one
   * @throws RedisUnavailableError when the server cannot be reached
   * @example
   * ```ts
   * const details = await docket.show('charge-1');
   * for (const { at, kind, detail } of details?.history ?? []) console.log(at, kind, detail ?? '');
   * ```
   */
  async show(key: string): Promise<ExecutionDetails | null> {
    this.#checkOpen();
    return await this.#views.show(key);
  }

  /**
   * Lists executions by task, state and arguments: those that run, then the backlog, those that wait for permits, the schedule,
   * and those that have ended. It reads in small steps as you iterate, so Redis serves others meanwhile. An execution that moves
   * meanwhile may be listed twice or not at all.
   *
   * Iterating throws RedisUnavailableError when the server cannot be reached, and the reason of the signal when it aborts.
   * @throws InvalidOptionError naming the option that cannot be used
   * @example
   * ```ts
   * for await (const { key, state } of docket.list({ task: charge, where: { customerId: 'c-1' } })) console.log(key, state);
   * ```
   */
  list(options: ListOptions = {}): AsyncIterable<ListedExecution> {
    this.#checkOpen();
    return this.#views.list(options);
  }

  /**
   * Lists one page of what `list` lists, for programs that show pages. Each call does a bounded amount of work.
   * @throws InvalidOptionError naming the option that cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async listPage(options: ListPageOptions = {}): Promise<ListPage> {
    this.#checkOpen();
    return await this.#views.listPage(options);
  }

  /**
   * Counts executions by task, and by the value of an argument if one is named. It says whose work fills the backlog. It looks at
   * them in the order of `list`, in small steps that leave the server free for others.
   * @throws InvalidOptionError naming the option that cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   * @example
   * ```ts
   * const { counts } = await docket.count({ task: sync, by: 'customerId' });
   * for (const { task, value, count } of counts.slice(0, 10)) console.log(task, value, count);
   * ```
   */
  async count(options: CountOptions = {}): Promise<ExecutionCounts> {
    this.#checkOpen();
    return await this.#views.count(options);
  }

  /**
   * Lists the concurrency limits that are in use: how many permits are taken, by whom, and who waits. Those at which something
   * waits come first.
   * @throws InvalidOptionError when a number is out of range
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async limits(options: LimitsOptions = {}): Promise<LimitInfo[]> {
    this.#checkOpen();
    return await this.#views.limits(options);
  }

  /**
   * Takes a snapshot of the waiting and running executions and of the workers. Cheap, however long the backlog is:
   * the totals are exact, and the lists show the first entries of each kind.
   * @throws InvalidOptionError when `limit` is out of range
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async snapshot(options: SnapshotOptions = {}): Promise<Snapshot> {
    this.#checkOpen();
    return await this.#views.snapshot(options);
  }

  /**
   * Returns what the attempts of the last minutes came to, minute by minute, the oldest first: of all tasks, or of one. A
   * minute in which nothing was counted is there, too. Workers write their counts with each heartbeat, unless their option
   * `history` is off.
   * @throws InvalidOptionError when `minutes` is not a whole number from 1 to 2880, or `task` is no task
   * @throws RedisUnavailableError when the server cannot be reached
   *
   * @example
   * ```ts
   * const minutes = await docket.history({ task: 'charge', minutes: 15 });
   * console.log(minutes.map(({ at, started, failed, duration }) => [at, started, failed, duration?.p95Ms]));
   * ```
   */
  async history(options: HistoryOptions = {}): Promise<HistoryMinute[]> {
    this.#checkOpen();
    return await this.#views.history(options);
  }

  /**
   * Returns what the attempts of the last minutes came to, task by task. 300 tasks are counted apart in each minute; all
   * others, and those that workers run with their fallback, are `other`.
   * @throws InvalidOptionError when `minutes` is not a whole number from 1 to 2880
   * @throws RedisUnavailableError when the server cannot be reached
   *
   * @example
   * ```ts
   * for (const { task, failed, duration } of await docket.stats()) console.log(task, failed, duration?.p95Ms);
   * ```
   */
  async stats(options: StatsOptions = {}): Promise<TaskStats[]> {
    this.#checkOpen();
    return await this.#views.stats(options);
  }

  /**
   * Lists the live workers that can take work, as of their last heartbeats.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async workers(): Promise<WorkerInfo[]> {
    this.#checkOpen();
    return await this.#views.workers();
  }

  /**
   * Lists the live workers that can run a task, which is given itself or by name: they have it, or a fallback.
   * @throws what `workers` throws
   */
  async taskWorkers(task: AnyTask | string): Promise<WorkerInfo[]> {
    const name = typeof task === 'string' ? task : task.name; // whatever has a name will do
    return (await this.workers()).filter((worker) => runsTask(worker, name));
  }

  /**
   * Sends the pending adds, then closes all connections. Every pending `result()` rejects with DocketClosedError.
   * Idempotent.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DocketClosedError());
    await this.#partitions.idle();
    await this.#partitions.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new DocketClosedError();
  }
}
