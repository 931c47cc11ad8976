/** The producer's side: adds executions and finds them again. Loads nothing that only workers need. */
import { setMaxListeners } from 'node:events';
import type { Redis } from 'ioredis';
import type { Due } from '../core/due.js';
import {
  AddUnconfirmedError,
  DocketClosedError,
  DocketError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  PartialAddError,
  RedisUnavailableError,
} from '../core/errors.js';
import { createIdGenerator } from '../core/ids.js';
import type { CountedPlacement, Disposition, ExecutionState } from '../core/states.js';
import { clear } from '../redis/clear-store.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { cancel, type Placed, readExecution } from '../redis/producer-store.js';
import { changeProgress } from '../redis/progress-store.js';
import type { ExecutionRecord, ProgressRecord } from '../redis/record.js';
import { addStrike, removeStrike } from '../redis/strike-store.js';
import type { AddOptions, AddRest, ArgumentsOf, Call, CallResult, ResultOf } from '../tasks/call.js';
import type { Execution } from '../tasks/execution.js';
import type { ProgressChange } from '../tasks/progress.js';
import { type AnyTask, isTask, type Task } from '../tasks/task.js';
import { type Attributes, type Tracer, Tracing } from '../tracing/tracing.js';
import { type StrikeOperand, type StrikeOperator, strikeOf } from '../wire/strikes.js';
import { ExecutionHandle, type ExecutionSource, type HandleOrigin } from './execution.js';
import { Listener } from './listener.js';
import { type DocketOptions, type DocketSettings, describeDocket, resolveDocketOptions } from './options.js';
import { checkKey, type Prepared, prepare } from './prepare.js';
import { listWorkers, type Snapshot, type SnapshotOptions, takeSnapshot, type WorkerInfo } from './snapshot.js';
import { Struck } from './strikes.js';
import { struckExecution } from './struck-execution.js';
import { Writer, type Written } from './writer.js';

/**
 * A named collection of background work on Redis.
 *
 * Connects when it is first used. Close it, or declare it with `await using`, when done: an open connection keeps the
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
export class Docket<Tasks extends Record<string, AnyTask> = {}> {
  readonly #settings: DocketSettings;
  readonly #newId = createIdGenerator();
  readonly #closing = new AbortController();
  readonly #source: ExecutionSource;
  readonly #listener: Listener;
  readonly #writer: Writer;
  readonly #tracing = new Tracing();
  readonly #watchers = new Set<PlacementWatcher>();
  #connection: Promise<Redis> | undefined;
  #closed: Promise<void> | undefined;

  /** @throws InvalidOptionError naming the option that cannot be used */
  constructor(options: DocketOptions<Tasks> = {}) {
    this.#settings = resolveDocketOptions(options);
    const { url, keys, errors, executionTtlMs } = this.#settings;
    setMaxListeners(0, this.#closing.signal); // one for each who waits for a result
    this.#listener = new Listener(url, keys, () => this.#connect());
    this.#source = {
      errors,
      keepsState: executionTtlMs > 0,
      read: (key) => this.#read(key),
      cancel: (key) => this.cancel(key),
      changeProgress: (key, generation, change) => this.#changeProgress(key, generation, change),
      watch: (key, onEvent) => this.#typed(this.#listener.watch(key, onEvent)),
      closed: this.#closing.signal,
    };
    this.#writer = new Writer({
      settings: this.#settings,
      connect: () => this.#connect(),
      typed: (reading) => this.#typed(reading),
    });
    SETTINGS.set(this, this.#settings);
    WATCHERS.set(this, this.#watchers);
  }

  /** Name of the docket. */
  get name(): string {
    return this.#settings.name;
  }

  /**
   * Adds an execution of a task. While one is scheduled, queued or running under `key`, this changes nothing and answers
   * with a handle of that one (`disposition: 'already_scheduled'`). What is struck is not written, either: it is
   * `cancelled` from the start (`disposition: 'struck'`).
   *
   * Concurrent calls travel together: `await Promise.all(items.map((item) => docket.add(task, item)))` is as good as
   * `addMany`.
   *
   * @throws InvalidOptionError for a key, date or arguments that are not one; nothing was written, as for the next four
   * @throws TaskNotFoundError for a name that is not in the docket's `tasks`
   * @throws InvalidArgumentsError for arguments that do not match the task's `input`
   * @throws UnencodableValueError for arguments that cannot travel, naming the field
   * @throws PayloadTooLargeError for arguments over `maxPayloadBytes`
   * @throws RedisUnavailableError when the server cannot be reached or refuses the write
   * @throws AddUnconfirmedError when the connection broke before the answer came
   * @throws DurabilityError when it was written, but too few replicas had it in time; only with `durability`
   */
  add<A extends object, R>(task: Task<string, A, R>, ...rest: AddRest<NoInfer<A>>): Promise<Execution<R>>;
  add<K extends keyof Tasks & string>(
    name: K,
    ...rest: AddRest<ArgumentsOf<Tasks[K]>>
  ): Promise<Execution<ResultOf<Tasks[K]>>>;
  async add(task: AnyTask | string, ...rest: unknown[]): Promise<Execution<unknown>> {
    this.#checkOpen();
    const [args, options] = rest as [args?: object, options?: AddOptions];
    const tracer = this.#tracing.mustLoad ? await this.#loadTracer() : this.#tracing.tracer;
    if (!tracer) return await this.#add(task, args, options);
    return await tracer.produce(spanName('add', task), 'producer', this.#attributes(task), async (headers, span) => {
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
    const preparing = prepare(this.#settings, this.#newId, task, args, options, headers);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    const written = await this.#writer.add(prepared);
    if (this.#watchers.size > 0) this.#count('added', prepared, written);
    const handle = this.#handle(prepared, written);
    await this.#completed(handle);
    this.#writer.checkDurability([handle], [written]);
    return handle;
  }

  /**
   * Adds a batch; the handles are in the order of the calls. When one call is invalid, nothing of the batch is written.
   * @throws what `add` throws, before anything is written
   * @throws PartialAddError when only part of the batch was confirmed
   */
  async addMany<C extends Call<unknown>>(calls: Iterable<C>): Promise<Execution<CallResult<C>>[]> {
    this.#checkOpen();
    const tracer = this.#tracing.mustLoad ? await this.#loadTracer() : this.#tracing.tracer;
    if (!tracer) return await this.#addMany(calls);
    // One span for all: thousands of spans would tell no more.
    return await tracer.produce('docket.addMany', 'producer', this.#attributes(null), async (headers, span) => {
      const handles = await this.#addMany(calls, headers);
      span.set({ 'docket.count': handles.length });
      return handles;
    });
  }

  async #addMany<C extends Call<unknown>>(
    calls: Iterable<C>,
    headers: string | null = null,
  ): Promise<Execution<CallResult<C>>[]> {
    const items: Prepared[] = [];
    for (const { task, args, options } of calls) {
      const preparing = prepare(this.#settings, this.#newId, task, args, options, headers);
      items.push(preparing instanceof Promise ? await preparing : preparing);
    }
    const { written, error } = await this.#writer.addMany(items);
    const handles = items.map((item, i) => {
      const one = written[i];
      if (one && this.#watchers.size > 0) this.#count('added', item, one);
      return one ? this.#handle(item, one) : null;
    });
    if (error !== null) {
      const missing = items.filter((_, i) => !handles[i]).map((item) => item.key);
      const isNothingWritten = missing.length === items.length && !(error instanceof AddUnconfirmedError);
      throw isNothingWritten ? error : new PartialAddError(handles, missing, { cause: error });
    }
    await Promise.all(handles.map((handle) => this.#completed(handle!)).filter((reading) => reading !== null));
    this.#writer.checkDurability(handles as Execution<CallResult<C>>[], written);
    return handles as Execution<CallResult<C>>[];
  }

  /**
   * Puts an execution under a key, whoever has it: what is scheduled, queued or waiting there gives way, and adds it when
   * there is nothing. What already runs goes on, but nothing of it counts any more: its result, its retry, its next run.
   * Once this resolves nothing older can start. When the call is struck nothing is written, and what is there stays.
   * @throws what `add` throws
   */
  replace<A extends object, R>(
    task: Task<string, A, R>,
    args: NoInfer<A>,
    options: AddOptions & { readonly key: string },
  ): Promise<Execution<R>>;
  replace<K extends keyof Tasks & string>(
    name: K,
    args: ArgumentsOf<Tasks[K]>,
    options: AddOptions & { readonly key: string },
  ): Promise<Execution<ResultOf<Tasks[K]>>>;
  async replace(
    task: AnyTask | string,
    args: unknown,
    options: AddOptions & { readonly key: string },
  ): Promise<Execution<unknown>> {
    this.#checkOpen();
    checkKey(options?.key);
    const { key } = options;
    return await this.#traced('replace', 'producer', { task, key }, (headers) =>
      this.#replace(task, args, options, headers),
    );
  }

  async #replace(
    task: AnyTask | string,
    args: unknown,
    options: AddOptions,
    headers: string | null,
  ): Promise<Execution<unknown>> {
    const prepared = await prepare(this.#settings, this.#newId, task, args, options, headers);
    const written = await this.#writer.replace(prepared);
    if (this.#watchers.size > 0) this.#count('replaced', prepared, written);
    const handle = this.#handle(prepared, written);
    this.#writer.checkDurability([handle], [written]);
    return handle;
  }

  /**
   * Cancels an execution wherever it is in the fleet: what is scheduled, queued or waiting is removed, what runs is told to
   * stop, and its thread is ended when it does not. A perpetual task is not run again. Does not wait for what runs, see
   * `result()`. Idempotent; keys that nobody knows are fine, and what has ended stays as it is.
   */
  async cancel(key: string): Promise<void> {
    this.#checkOpen();
    checkKey(key);
    await this.#traced('cancel', 'client', { key }, () =>
      this.#typed(this.#connect().then((redis) => cancel(redis, this.#settings.keys, key))),
    );
  }

  /**
   * Strikes work until it is restored: a task, a value of a parameter in any task, or both together. Once this resolves, no
   * `add` of a struck call is written anywhere. What was added before is cancelled when a worker meets it; a perpetual task
   * skips its runs, and goes on when it is restored. What runs already goes on.
   *
   * Each strike stands by itself. Values are compared with their like: text, numbers and bigints, booleans, Dates, `null`;
   * an argument of another kind is not struck.
   *
   * @param task - a task or its name; `null` for any task
   * @param parameter - name of an argument; `null` for the task whatever its arguments
   * @param operator - @default '=='
   * @param value - what the argument is compared with; `[low, high]`, both included, for `between`
   * @throws InvalidOptionError when a part of it cannot be used
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
    const strike = strikeOf(nameOf(task), parameter, operator, value);
    await this.#traced('strike', 'client', { task }, () =>
      this.#typed(this.#connect().then((redis) => addStrike(redis, this.#settings.keys, strike))),
    );
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
    const strike = strikeOf(nameOf(task), parameter, operator, value);
    return await this.#traced('restore', 'client', { task }, () =>
      this.#typed(this.#connect().then((redis) => removeStrike(redis, this.#settings.keys, strike))),
    );
  }

  /**
   * Removes everything that was added before this call and has not started: scheduled, queued, waiting for a slot. Their
   * keys are free again, and whoever waits for them hears that they were cancelled. What runs goes on, and so does what a
   * worker has taken to run it next. A chain whose next run was pending has none any more; that of an automatic task is
   * started again within a minute: end it with `cancel`.
   * @returns how many executions were removed
   */
  async clear(): Promise<number> {
    this.#checkOpen();
    return await this.#typed(this.#connect().then((redis) => clear(redis, this.#settings.keys)));
  }

  /**
   * The docket's own connection, for your own needs: an ioredis client. Connects when it is first asked for, is closed with
   * the docket, and fails fast: what is sent while the link is down rejects. Adds travel on it too, so do not block or
   * subscribe on it: `(await docket.redis).duplicate()` is for that, and yours to close. Keep what you store under
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
    return this.#closing.signal.aborted ? Promise.reject(new DocketClosedError()) : this.#connect();
  }

  /**
   * The name of a key of your own in Redis, `{name}:user:<suffix>`: on the same slot of a cluster and under the same ACL
   * pattern as the docket, and never one of its own keys.
   * @throws InvalidOptionError when the suffix is not text or empty
   */
  key(suffix: string): string {
    if (typeof suffix !== 'string' || suffix === '') throw new InvalidOptionError('suffix', 'expected text, not empty');
    return this.#settings.keys.user(suffix);
  }

  /** Finds what is known under a key; `null` when nothing is: it never was, or its `executionTtl` has passed. */
  async getExecution(key: string): Promise<Execution<unknown> | null> {
    this.#checkOpen();
    checkKey(key);
    const record = await this.#read(key);
    if (!record) return null;
    const { task, dueMs, state, generation } = record;
    const placement = { key, task, args: undefined, dueMs, state, disposition: 'scheduled', generation } as const;
    return new ExecutionHandle(this.#source, placement, record);
  }

  /**
   * Looks at what waits, what runs where, and who is there to run it. Cheap however long the backlog is: the totals are
   * exact, the lists have the first entries of each kind.
   * @throws InvalidOptionError for a `limit` that is not one
   */
  async snapshot(options: SnapshotOptions = {}): Promise<Snapshot> {
    this.#checkOpen();
    return await this.#typed(this.#connect().then((redis) => takeSnapshot(redis, this.#settings.keys, options)));
  }

  /** Lists the workers that live and can take work, as their last heartbeats said. */
  async workers(): Promise<WorkerInfo[]> {
    this.#checkOpen();
    return await this.#typed(this.#connect().then((redis) => listWorkers(redis, this.#settings.keys)));
  }

  /** Lists the workers that can run a task, given by its name or by itself. */
  async taskWorkers(task: AnyTask | string): Promise<WorkerInfo[]> {
    const name = typeof task === 'string' ? task : task.name;
    return (await this.workers()).filter(({ tasks }) => tasks.includes(name));
  }

  /** Sends what was added, then closes all connections; whoever still waits for a result is told so. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DocketClosedError());
    await this.#writer.idle();
    await this.#listener.close();
    await this.#connection?.then(closeConnection, () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs `work` inside a span, if anybody wants one. */
  async #traced<T>(
    operation: string,
    kind: 'producer' | 'client',
    { task = null, key }: { task?: AnyTask | string | null; key?: string },
    work: (headers: string | null) => Promise<T>,
  ): Promise<T> {
    const tracer = this.#tracing.mustLoad ? await this.#loadTracer() : this.#tracing.tracer;
    if (!tracer) return await work(null);
    const attributes = { ...this.#attributes(task), ...(key !== undefined && { 'docket.key': key }) };
    return await tracer.produce(spanName(operation, task), kind, attributes, work);
  }

  async #loadTracer(): Promise<Tracer | null> {
    await this.#tracing.load();
    return this.#tracing.tracer;
  }

  #attributes(task: AnyTask | string | null): Attributes {
    const name = nameOf(task);
    return { 'docket.name': this.#settings.name, ...(typeof name === 'string' && { 'docket.task': name }) };
  }

  /** Tells who counts what became of a call. One that found its key taken changed nothing. */
  #count(what: 'added' | 'replaced', { task, due }: Prepared, written: Written): void {
    const tell = (count: CountedPlacement) => {
      for (const watcher of this.#watchers) watcher(count, task);
    };
    if (written instanceof Struck) return tell('stricken');
    if (!written.isNew) return;
    tell(what);
    if (dueTimeOf(due, written.nowMs) > written.nowMs) tell('scheduled');
  }

  #handle(item: Prepared, written: Written): ExecutionHandle<unknown> {
    if (written instanceof Struck) {
      return struckExecution(item, dueTimeOf(item.due, Date.now()), written.reason, this.#source);
    }
    return new ExecutionHandle(this.#source, new Addition(item, written));
  }

  /** A handle of an execution that was there before says what that one is, not what the caller asked for. */
  #completed(handle: ExecutionHandle<unknown>): Promise<void> | null {
    if (handle.disposition === 'scheduled') return null;
    return handle.sync().catch((error: unknown) => {
      const isOver = error instanceof ExecutionNotFoundError || error instanceof ExecutionSupersededError;
      if (!isOver && !(error instanceof DocketClosedError)) throw error;
    });
  }

  async #read(key: string): Promise<ExecutionRecord | null> {
    this.#checkOpen();
    return await this.#typed(this.#connect().then((redis) => readExecution(redis, this.#settings.keys, key)));
  }

  async #changeProgress(key: string, generation: number, change: ProgressChange): Promise<ProgressRecord> {
    this.#checkOpen();
    const { keys } = this.#settings;
    const value =
      change.kind === 'increment' ? change.by : change.kind === 'total' ? change.total : (change.message ?? '');
    const changed = await this.#typed(
      this.#connect().then((redis) => changeProgress(redis, keys, { key, generation, change: change.kind, value })),
    );
    if (!changed) throw new ExecutionNotFoundError(key);
    if (!changed.progress) throw new ExecutionSupersededError(key);
    return changed.progress;
  }

  /** Says of a read that failed because of the server or the link that it did so. */
  async #typed<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (error) {
      this.#checkOpen();
      if (error instanceof DocketError) throw error;
      const where = describeDocket(this.#settings);
      throw new RedisUnavailableError(`${where} could not be read: ${(error as Error).message}`, { cause: error });
    }
  }

  #connect(): Promise<Redis> {
    const { url, name, durability } = this.#settings;
    const options = { name, longestBlockMs: durability?.timeoutMs ?? 0 };
    this.#connection ??= openConnection(url, 'producer', options).catch((error: unknown) => {
      this.#connection = undefined; // the next call tries again
      throw error;
    });
    return this.#connection;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new DocketClosedError();
  }
}

const SETTINGS = new WeakMap<Docket, DocketSettings>();

/** The settings of a docket, for the worker that serves it. Not part of the public API. */
export function settingsOf(docket: Docket): DocketSettings {
  const settings = SETTINGS.get(docket);
  if (!settings) throw new TypeError('expected a Docket of this copy of the package');
  return settings;
}

/** Hears of each execution that a docket adds or replaces, once the server has confirmed it. */
export type PlacementWatcher = (what: CountedPlacement, task: string) => void;

const WATCHERS = new WeakMap<Docket, Set<PlacementWatcher>>();

/** Listens to a docket, until the returned function is called. Not part of the public API. */
export function watchPlacements(docket: Docket, watcher: PlacementWatcher): () => void {
  const watchers = WATCHERS.get(docket);
  watchers?.add(watcher);
  return () => void watchers?.delete(watcher);
}

/** What an `add` says of its execution; worked out when asked, since most handles never are. */
class Addition implements HandleOrigin {
  constructor(
    private readonly item: Prepared,
    private readonly placed: Placed,
  ) {}

  get key(): string {
    return this.item.key;
  }
  get task(): string {
    return this.item.task;
  }
  get args(): unknown {
    return this.placed.isNew ? this.item.args : undefined;
  }
  get dueMs(): number {
    return dueTimeOf(this.item.due, this.placed.nowMs);
  }
  get state(): ExecutionState {
    return this.dueMs > this.placed.nowMs ? 'scheduled' : 'queued';
  }
  get disposition(): Disposition {
    return this.placed.isNew ? 'scheduled' : 'already_scheduled';
  }
  get generation(): number {
    return this.placed.generation;
  }
}

function nameOf(task: AnyTask | string | null): string | null {
  return isTask(task) ? task.name : task;
}

function spanName(operation: string, task: AnyTask | string | null): string {
  const name = nameOf(task);
  return typeof name === 'string' ? `docket.${operation} ${name}` : `docket.${operation}`;
}

function dueTimeOf(due: Due | null, nowMs: number): number {
  if (due === null) return nowMs;
  return 'delayMs' in due ? nowMs + due.delayMs : Math.max(nowMs, due.atMs);
}
