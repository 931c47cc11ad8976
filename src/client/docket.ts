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
import type { Execution } from '../tasks/execution.js';
import { OVERRIDE_NAMES } from '../tasks/overrides.js';
import type { Schedule, SchedulesOptions } from '../tasks/schedules.js';
import type { Snapshot, SnapshotOptions, WorkerInfo } from '../tasks/snapshot.js';
import { inspectSummary } from '../tasks/summary.js';
import type { AnyTask, Task } from '../tasks/task.js';
import type { Tracer } from '../tracing/tracing.js';
import { type StrikeOperand, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { addedExecution } from './added-execution.js';
import { CallSpans, spanName } from './call-spans.js';
import { ProducerConnection } from './connection.js';
import { ExecutionHandle } from './execution.js';
import { type ExecutionSource, RedisExecutionSource } from './execution-source.js';
import { setInternals } from './internals.js';
import { Listener } from './listener.js';
import { type DocketOptions, type ProducerSettings, resolveDocketOptions } from './options.js';
import { PlacementWatchers } from './placement-watchers.js';
import { CallPreparer, type PreparedCall } from './prepare.js';
import { listSchedules, schedulesQuery } from './schedules.js';
import { ServerTime } from './server-time.js';
import { listWorkers, snapshotLimit, takeSnapshot } from './snapshot.js';
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
   * @throws InvalidOptionError when the key cannot be one
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   */
  async cancel(key: string): Promise<void> {
    await this.#cancel(key);
  }

  /** @throws ExecutionSupersededError when a token is given and the key belongs to another delivery */
  async #cancel(key: string, token?: string): Promise<void> {
    this.#checkOpen();
    checkKey(key);
    const { keys } = this.#settings;
    const isDone = await this.#spans.run('cancel', 'client', { key }, () =>
      this.#connection.run((redis) => cancel(redis, keys, key, token)),
    );
    if (!isDone) throw new ExecutionSupersededError(key);
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

const REPLACE_OPTIONS = optionNames<ReplaceOptions>({ key: true, when: true, ...OVERRIDE_NAMES });

const CALL_PARTS = optionNames<Call<unknown>>({ task: true, args: true, options: true });

/** Reads the execution that an `add` found under its key: the handle shows that execution, not the call. */
function readExisting(handle: ExecutionHandle<unknown>): Promise<void> | null {
  if (handle.disposition === 'scheduled') return null;
  return handle.sync().catch((error: unknown) => {
    const isOver = error instanceof ExecutionNotFoundError || error instanceof ExecutionSupersededError;
    if (!isOver && !(error instanceof DocketClosedError)) throw error;
  });
}
