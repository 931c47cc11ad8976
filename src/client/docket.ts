/** `Docket`: the producer's side. Adds executions and finds them again; loads nothing that only workers need. */
import { setMaxListeners } from 'node:events';
import { type InspectOptions, inspect } from 'node:util';
import type { Redis } from 'ioredis';
import {
  AddUnconfirmedError,
  DocketClosedError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  PartialAddError,
} from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { runNow } from '../redis/chain-index.js';
import { clear } from '../redis/clear-store.js';
import { runsTask } from '../redis/fleet-store.js';
import { removePauses } from '../redis/pause-store.js';
import { cancel } from '../redis/producer-store.js';
import { addStrike, removeStrike } from '../redis/strike-store.js';
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
import { OVERRIDE_NAMES } from '../tasks/overrides.js';
import type { Pause, PauseOptions, ResumeOptions } from '../tasks/pause.js';
import type { Schedule, SchedulesOptions } from '../tasks/schedules.js';
import type { Snapshot, SnapshotOptions, WorkerInfo } from '../tasks/snapshot.js';
import type { StrikeInfo } from '../tasks/strike-info.js';
import { inspectSummary } from '../tasks/summary.js';
import type { AnyTask, Task } from '../tasks/task.js';
import type { Tracer } from '../tracing/tracing.js';
import { type StrikeOperand, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { addedExecution } from './added-execution.js';
import { CallSpans, spanName } from './call-spans.js';
import { cancelCriteria, cancelMatching, cancelResult } from './cancel-many.js';
import { ProducerConnection } from './connection.js';
import { countExecutions } from './count.js';
import { ExecutionHandle } from './execution.js';
import { type ExecutionSource, RedisExecutionSource } from './execution-source.js';
import { checkId, type FailureSelection, Failures, queryOf } from './failures.js';
import { historyQuery, statsQuery, takeHistory, takeStats } from './history.js';
import { setInternals } from './internals.js';
import { limitBounds, listLimits } from './limits.js';
import { type ListSource, list, listPage } from './list.js';
import { Listener } from './listener.js';
import { type DocketOptions, type ProducerSettings, resolveDocketOptions } from './options.js';
import { listPauses, pause, pauseTermsOf, resumeTermsOf } from './pauses.js';
import { PlacementWatchers } from './placement-watchers.js';
import { CallPreparer, type PreparedCall } from './prepare.js';
import { listSchedules, schedulesQuery } from './schedules.js';
import { ServerTime } from './server-time.js';
import { showExecution } from './show.js';
import { listWorkers, snapshotLimit, takeSnapshot } from './snapshot.js';
import { strikeInfos } from './strikes.js';
import { taskNameOf } from './task-name.js';
import { FailedCall, type PlacementResult, Writer } from './writer.js';

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
  readonly #connection: ProducerConnection;
  readonly #listener: Listener;
  readonly #source: ExecutionSource;
  readonly #preparer: CallPreparer;
  readonly #writer: Writer;
  readonly #failures: Failures;
  readonly #spans: CallSpans;
  readonly #watchers = new PlacementWatchers();
  #closed: Promise<void> | undefined;

  /** @throws InvalidOptionError naming the option that cannot be used */
  constructor(options: DocketOptions<Tasks> = {}) {
    const settings = resolveDocketOptions(options);
    const { signal: closed } = this.#closing;
    setMaxListeners(0, closed); // every call of result() adds one
    const connection = new ProducerConnection(settings, closed);
    const listener = new Listener(settings.url, settings.keys, () => connection.open());
    this.#settings = settings;
    this.#connection = connection;
    this.#listener = listener;
    const cancel = (key: string) => this.cancel(key);
    this.#source = new RedisExecutionSource({ settings, connection, listener, closed, cancel });
    this.#preparer = new CallPreparer(settings, new ServerTime((commands) => connection.run(commands)));
    this.#writer = new Writer(settings, connection);
    this.#failures = new Failures(settings, connection);
    this.#spans = new CallSpans(settings.name);
    setInternals(this, {
      settings,
      watchPlacements: (watcher) => this.#watchers.add(watcher),
      changeOwnProgress: (key, token, change) => this.#source.changeProgress(key, { token }, change),
      cancelOwn: (key, token) => this.#cancel(key, token),
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
    const tracer = this.#spans.tracer();
    // Thousands of calls may wait at once, so each has one asynchronous function only.
    return tracer === null ? this.#add(task, args, options) : this.#addTraced(tracer, task, args, options);
  }

  async #addTraced(
    loading: Tracer | Promise<Tracer | null>,
    task: AnyTask | string,
    args: object | undefined,
    options: AddOptions | undefined,
  ): Promise<Execution<unknown>> {
    this.#checkOpen();
    const tracer = await loading;
    if (!tracer) return await this.#add(task, args, options);
    const attributes = this.#spans.attributes({ task });
    return await tracer.produce(spanName('add', task), 'producer', attributes, async (headers, span) => {
      const handle = await this.#add(task, args, options, headers);
      span.set({ 'docket.key': handle.key, 'docket.disposition': handle.disposition });
      return handle;
    });
  }

  async #add(
    task: AnyTask | string,
    args: object | undefined,
    options: AddOptions | undefined,
    headers: string | null = null,
  ): Promise<ExecutionHandle<unknown>> {
    this.#checkOpen();
    const preparing = this.#preparer.prepare(task, args, options, headers);
    const call = preparing instanceof Promise ? await preparing : preparing;
    if (call.kind === 'unique' && call.due === null) this.#listener.expect(call.key); // before it can end
    const result = await this.#writer.add(call);
    this.#watchers.report('added', call, result);
    const handle = addedExecution(call, result, this.#source);
    const reading = readExisting(handle);
    if (reading) await reading;
    this.#writer.checkDurability([handle], [result]);
    return handle;
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
    if (rest.length > 0) {
      throw new InvalidOptionError('addMany', 'takes calls only: give options to each call(task, args, options)');
    }
    const found = this.#spans.tracer();
    const tracer = found instanceof Promise ? await found : found;
    if (!tracer) return await this.#addMany(calls);
    // One span for the whole batch: thousands of spans would show nothing more.
    const attributes = this.#spans.attributes({});
    return await tracer.produce('docket.addMany', 'producer', attributes, async (headers, span) => {
      const handles = await this.#addMany(calls, headers);
      span.set({ 'docket.count': handles.length });
      return handles;
    });
  }

  async #addMany<C extends Call<unknown> | CallByName>(
    calls: Iterable<C>,
    headers: string | null = null,
  ): Promise<Execution<CallResult<C>>[]> {
    const prepared: PreparedCall[] = [];
    for (const one of calls) {
      checkOptionNames(one, CALL_PARTS, 'call.');
      const { task, args, options } = one;
      const preparing = this.#preparer.prepare(task, args, options, headers);
      prepared.push(preparing instanceof Promise ? await preparing : preparing);
    }
    const results = await this.#writer.addMany(prepared);
    const handles = prepared.map((call, i) => {
      const result = results[i]!;
      if (result instanceof FailedCall) return null;
      this.#watchers.report('added', call, result);
      return addedExecution(call, result, this.#source);
    });
    const placed = results.filter((result): result is PlacementResult => !(result instanceof FailedCall));
    if (placed.length < results.length) throw errorOfMany(prepared, handles, results);
    await Promise.all(handles.map((handle) => readExisting(handle!)).filter((reading) => reading !== null));
    this.#writer.checkDurability(handles as Execution<CallResult<C>>[], placed);
    return handles as Execution<CallResult<C>>[];
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
    checkKey(options?.key);
    checkOptionNames(options, REPLACE_OPTIONS, '');
    const { key } = options;
    return await this.#spans.run('replace', 'producer', { task, key }, async (headers) => {
      const call = await this.#preparer.prepare(task, args, options, headers);
      const result = await this.#writer.replace(call);
      this.#watchers.report('replaced', call, result);
      const handle = addedExecution(call, result, this.#source);
      this.#writer.checkDurability([handle], [result]);
      return handle;
    });
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
    return await this.#cancel(key);
  }

  /** @throws ExecutionSupersededError when a token is given and the key belongs to another delivery */
  async #cancel(key: string, token = ''): Promise<CancelResult> {
    this.#checkOpen();
    checkKey(key);
    const { keys } = this.#settings;
    const cancelled = await this.#spans.run('cancel', 'client', { key }, () =>
      this.#connection.run((redis) => cancel(redis, keys, { key, token })),
    );
    if (!cancelled) throw new ExecutionSupersededError(key);
    return cancelResult(cancelled);
  }

  /**
   * Cancels all executions that match a filter, as `cancel` does, and returns how many. It works in small steps, so Redis serves
   * others meanwhile. What was added before the call and has not started is found wherever it moves; what is added during the
   * call may be cancelled, too. When it fails half-way, what was cancelled stays so: call it again for the rest.
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
    const criteria = cancelCriteria(filter);
    const { task } = criteria;
    const work = () => cancelMatching(this.#listSource, criteria, filter);
    return await this.#spans.run('cancelMany', 'client', { task: task || null }, work);
  }

  /**
   * Strikes work until it is restored: a task, a value of a parameter in any task, or both together. Once this resolves, no
   * `add` of a struck call is written anywhere. What was added before is cancelled when a worker takes it; a perpetual task
   * skips its runs, and goes on when it is restored. Executions that run already go on, and so do those that start before
   * their worker hears of the strike.
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
    const { keys } = this.#settings;
    const strike = strikeOf(taskNameOf(task), parameter, operator, value);
    const write = () => this.#connection.run((redis) => addStrike(redis, keys, strike));
    await this.#spans.run('strike', 'client', { task }, write);
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
    const { keys } = this.#settings;
    const strike = strikeOf(taskNameOf(task), parameter, operator, value);
    const write = () => this.#connection.run((redis) => removeStrike(redis, keys, strike));
    return await this.#spans.run('restore', 'client', { task }, write);
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
    const read = <T>(commands: (redis: Redis) => Promise<T>) => {
      this.#checkOpen();
      return this.#connection.run(commands);
    };
    return listSchedules(read, this.#settings.keys, schedulesQuery(options));
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
    checkKey(key);
    return await this.#connection.run((redis) => runNow(redis, this.#settings.keys, key));
  }

  /**
   * Lists the strikes that are in force.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async strikes(): Promise<StrikeInfo[]> {
    this.#checkOpen();
    return await this.#connection.run((redis) => strikeInfos(redis, this.#settings.keys));
  }

  /**
   * Pauses a task, or the whole docket, until it is resumed. What runs goes on, and executions are added as before, but none
   * starts; nothing is lost or cancelled. Once this resolves, a worker starts nothing more of what is paused as soon as it
   * hears of the pause, which takes as long as a message does. Pausing again with the same reason changes nothing. Pauses
   * outlast restarts of workers and of a server that persists.
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
    const { keys } = this.#settings;
    const terms = pauseTermsOf(task, options);
    const write = () => this.#connection.run((redis) => pause(redis, keys, terms));
    await this.#spans.run('pause', 'client', { task }, write);
  }

  /**
   * Ends the pause of a task, or that of the whole docket, with one reason or with all of them. What waited starts in its old
   * order. The pauses of tasks are independent of that of the docket: `resume()` does not end them.
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
    const { keys } = this.#settings;
    const { task: name, reason } = resumeTermsOf(task, options);
    const write = () => this.#connection.run((redis) => removePauses(redis, keys, name, reason));
    return (await this.#spans.run('resume', 'client', { task }, write)) > 0;
  }

  /**
   * Lists the pauses: those of the whole docket first, then by task and reason.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async pauses(): Promise<Pause[]> {
    this.#checkOpen();
    return await this.#connection.run((redis) => listPauses(redis, this.#settings.keys));
  }

  /**
   * Removes everything that was added before this call and has not started: scheduled, queued, or waiting for a permit.
   * Their keys are free again, and their handles learn that they were cancelled. Executions that run go on, and so do those
   * that a worker has already taken. A chain whose next run was pending ends; that of an automatic task is started again
   * within a minute: end it with `cancel`.
   * @returns how many executions were removed
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   */
  async clear(): Promise<number> {
    this.#checkOpen();
    return await this.#connection.run((redis) => clear(redis, this.#settings.keys));
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
    const { query, limit } = queryOf(filter);
    return this.#failures.list(query, limit);
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
    return await this.#failures.groups(queryOf(filter).query);
  }

  /**
   * Finds a failure by its id; `null` when it was retried or discarded, or is no longer kept.
   * @throws InvalidOptionError when the id cannot be one
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async failure(id: string): Promise<Failure | null> {
    this.#checkOpen();
    return await this.#failures.find(checkId(id));
  }

  /**
   * Adds the executions of failures again: the same key, task, arguments and `executionTtl`, due now, as their first attempts.
   * Each failure is removed in the script that adds its execution. So a retry whose answer was lost can be repeated: nothing
   * runs twice. With a filter, those that failed before this call are retried, the oldest first.
   * @param which - an id, several ids, or a filter; `{}` selects all
   * @throws InvalidOptionError when an id or a part of the filter cannot be used
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write. What was retried until then is no
   *   failure any more
   * @example
   * ```ts
   * const { retried, taken } = await docket.retry({ task: charge, errorName: 'TimeoutError' });
   * ```
   */
  async retry(which: string | readonly string[] | FailureFilter): Promise<RetryReport> {
    return await this.#withFailures('retry', which, (ids) => this.#failures.retry(ids));
  }

  /**
   * Removes failures for good.
   * @param which - an id, several ids, or a filter; `{}` selects all
   * @returns how many there were
   * @throws what `retry` throws
   */
  async discard(which: string | readonly string[] | FailureFilter): Promise<number> {
    return await this.#withFailures('discard', which, (ids) => this.#failures.discard(ids));
  }

  async #withFailures<T>(
    operation: string,
    which: FailureSelection,
    work: (ids: readonly string[]) => Promise<T>,
  ): Promise<T> {
    this.#checkOpen();
    return await this.#spans.run(operation, 'client', {}, async () => await work(await this.#failures.idsOf(which)));
  }

  /**
   * The docket's own connection for your commands: an ioredis client. Connects when it is first asked for, closes with the
   * docket, and fails fast: commands that are sent while the link is down reject. Adds travel on it too, so do not block or
   * subscribe on it: use `(await docket.redis).duplicate()` for that, and close it yourself. Keep what you store under
   * `docket.key(suffix)`.
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
    return this.#closing.signal.aborted ? Promise.reject(new DocketClosedError()) : this.#connection.open();
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
    checkKey(key);
    const record = await this.#source.read(key);
    if (!record) return null;
    const { task, dueMs, state, generation } = record;
    const init = { key, task, args: undefined, dueMs, state, disposition: 'scheduled', generation } as const;
    return new ExecutionHandle(this.#source, init, record);
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
    checkKey(key);
    const { keys, errors } = this.#settings;
    return await this.#connection.run((redis) => showExecution(redis, keys, key, errors));
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
    return list(this.#listSource, options);
  }

  /**
   * Lists one page of what `list` lists, for programs that show pages. Each call does a bounded amount of work.
   * @throws InvalidOptionError naming the option that cannot be used
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async listPage(options: ListPageOptions = {}): Promise<ListPage> {
    this.#checkOpen();
    return await listPage(this.#listSource, options);
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
    return await countExecutions(this.#listSource, options);
  }

  /**
   * Lists the concurrency limits that are in use: how many permits are taken, by whom, and who waits. Those at which something
   * waits come first.
   * @throws InvalidOptionError when a number is out of range
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async limits(options: LimitsOptions = {}): Promise<LimitInfo[]> {
    this.#checkOpen();
    const bounds = limitBounds(options);
    return await this.#connection.run((redis) => listLimits(redis, this.#settings.keys, bounds));
  }

  /**
   * Takes a snapshot of the waiting and running executions and of the workers. Cheap, however long the backlog is:
   * the totals are exact, and the lists show the first entries of each kind.
   * @throws InvalidOptionError when `limit` is out of range
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async snapshot(options: SnapshotOptions = {}): Promise<Snapshot> {
    this.#checkOpen();
    const limit = snapshotLimit(options);
    return await this.#connection.run((redis) => takeSnapshot(redis, this.#settings.keys, limit));
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
    const query = historyQuery(options);
    return await this.#connection.run((redis) => takeHistory(redis, this.#settings.keys, query));
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
    const query = statsQuery(options);
    return await this.#connection.run((redis) => takeStats(redis, this.#settings.keys, query));
  }

  /**
   * Lists the live workers that can take work, as of their last heartbeats.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async workers(): Promise<WorkerInfo[]> {
    this.#checkOpen();
    return await this.#connection.run((redis) => listWorkers(redis, this.#settings.keys));
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
    await this.#writer.idle();
    await this.#listener.close();
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #listSource(): ListSource {
    return { connection: this.#connection, keys: this.#settings.keys };
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new DocketClosedError();
  }
}

/** Returns the error of an `addMany` in which calls failed: that of the first one if nothing can have been written. */
function errorOfMany(
  calls: readonly PreparedCall[],
  handles: readonly (Execution<unknown> | null)[],
  results: readonly (PlacementResult | FailedCall)[],
): unknown {
  const unconfirmed: string[] = [];
  const unwritten: string[] = [];
  let cause: unknown;
  for (const [i, result] of results.entries()) {
    if (!(result instanceof FailedCall)) continue;
    const { error } = result;
    cause ??= error;
    (error instanceof AddUnconfirmedError ? unconfirmed : unwritten).push(calls[i]!.key);
  }
  if (unwritten.length === calls.length) return cause;
  return new PartialAddError(handles, { unconfirmed, unwritten }, { cause });
}

const REPLACE_OPTIONS = optionNames<ReplaceOptions>({ key: true, when: true, priority: true, ...OVERRIDE_NAMES });

const CALL_PARTS = optionNames<Call<unknown>>({ task: true, args: true, options: true });

/** Reads the execution that an `add` found under its key: the handle shows that execution, not the call. */
function readExisting(handle: ExecutionHandle<unknown>): Promise<void> | null {
  if (handle.disposition === 'scheduled') return null;
  return handle.sync().catch((error: unknown) => {
    const isOver = error instanceof ExecutionNotFoundError || error instanceof ExecutionSupersededError;
    if (!isOver && !(error instanceof DocketClosedError)) throw error;
  });
}
