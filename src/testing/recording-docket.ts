/**
 * A docket that records what is added to it, for tests of producers and of bodies that use `ctx.docket`. It has no server.
 *
 * Owns the rule that calls are checked and encoded by the code of a real docket, and that whatever only a server could answer is
 * refused. Nothing runs and time does not pass, so an execution keeps its key until it is cancelled or replaced.
 */
import { addedExecution, dueTimeOf } from '../client/added-execution.js';
import { CALL_PARTS, checkCallsOnly, REPLACE_OPTIONS } from '../client/adding.js';
import { Docket } from '../client/docket.js';
import { ExecutionHandle } from '../client/execution.js';
import type { ExecutionSource } from '../client/execution-source.js';
import { type ProducerSettings, resolveDocketOptions } from '../client/options.js';
import { CallPreparer, type PreparedCall } from '../client/prepare.js';
import { DocketClosedError, InvalidOptionError, NoServerError } from '../core/errors.js';
import { checkKey } from '../core/execution-key.js';
import { checkOptionNames, optionNames, shown } from '../core/options.js';
import type { AddOptions, Call, CallByName, ReplaceOptions, TasksByName } from '../tasks/call.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { Execution } from '../tasks/execution.js';
import type { AnyTask } from '../tasks/task.js';
import { decodeValue } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import type { AddedExecution } from './added.js';

/** Options of `recordingDocket`. */
export interface RecordingDocketOptions<Tasks extends TasksByName> {
  /** Name of the docket. @default 'docket' */
  readonly name?: string;
  /** The collection of tasks: names that are added are checked against it, as those of a `Docket` are. @default any name */
  readonly tasks?: Tasks;
  /** The time at which calls are added. @default the time of each call */
  readonly now?: Date;
}

/** What a recording docket has recorded. */
export interface Recorded {
  /** The executions that were added and not cancelled or replaced, in order. */
  readonly added: readonly AddedExecution[];
  /** The keys that were cancelled while an execution had them, in order. */
  readonly cancelled: readonly string[];
}

/** A recorder that code under test takes for a `Docket`. */
export type RecordingDocket<Tasks extends TasksByName = {}> = Docket<Tasks> & Recorded;

const OPTION_NAMES = optionNames<RecordingDocketOptions<{}>>({ name: true, tasks: true, now: true });

/**
 * Makes a docket without a server that records what `add`, `addMany`, `replace` and `cancel` are given.
 *
 * Calls are checked and encoded as those of a `Docket` are, and fail with the same errors. An `add` under a key that is taken is
 * not recorded (`disposition: 'already_scheduled'`). All methods that only a server could answer reject with NoServerError.
 *
 * @throws InvalidOptionError naming the option that cannot be used
 * @example
 * ```ts
 * const docket = recordingDocket();
 * await placeOrder(docket, { orderId: 7 });
 * assertTaskAdded(docket, charge, { args: { orderId: 7 }, key: 'charge-7' });
 * ```
 */
export function recordingDocket<Tasks extends TasksByName = {}>(
  options: RecordingDocketOptions<Tasks> = {},
): RecordingDocket<Tasks> {
  checkOptionNames(options, OPTION_NAMES, '');
  const { name = 'docket', tasks, now } = options;
  if (now !== undefined && !(now instanceof Date && !Number.isNaN(now.getTime()))) {
    throw new InvalidOptionError('now', `expected a valid Date, got ${shown(now)}`);
  }
  const settings = resolveDocketOptions({ name, url: 'memory://', ...(tasks && { tasks }) });
  const nowMs = now === undefined ? () => Date.now() : () => now.getTime();
  return new Recorder(settings, nowMs) as unknown as RecordingDocket<Tasks>;
}

interface Entry {
  readonly execution: AddedExecution;
  readonly handle: ExecutionHandle<unknown>;
}

class Recorder implements Recorded {
  readonly #settings: ProducerSettings;
  readonly #nowMs: () => number;
  readonly #preparer: CallPreparer;
  readonly #closing = new AbortController();
  readonly #source: ExecutionSource;
  /** By key, in the order in which they were added. */
  readonly #entries = new Map<string, Entry>();
  readonly #cancelled: string[] = [];
  #generation = 0;

  constructor(settings: ProducerSettings, nowMs: () => number) {
    this.#settings = settings;
    this.#nowMs = nowMs;
    this.#preparer = new CallPreparer(settings, { nowMs: async () => nowMs() });
    this.#source = sourceWithoutServer(this.#closing.signal, async (key) => await this.cancel(key));
  }

  get name(): string {
    return this.#settings.name;
  }
  get added(): readonly AddedExecution[] {
    return Array.from(this.#entries.values(), ({ execution }) => execution);
  }
  get cancelled(): readonly string[] {
    return [...this.#cancelled];
  }

  async add(task: AnyTask | string, args?: object, options?: AddOptions): Promise<Execution<unknown>> {
    this.#checkOpen();
    return this.#add(await this.#preparer.prepare(task, args, options));
  }

  async addMany(calls: Iterable<Call<unknown> | CallByName>, ...rest: never[]): Promise<Execution<unknown>[]> {
    this.#checkOpen();
    checkCallsOnly(rest);
    const prepared: PreparedCall[] = [];
    for (const call of calls) {
      checkOptionNames(call, CALL_PARTS, 'call.');
      prepared.push(await this.#preparer.prepare(call.task, call.args, call.options));
    }
    return prepared.map((call) => this.#add(call));
  }

  async replace(task: AnyTask | string, args: unknown, options: ReplaceOptions): Promise<Execution<unknown>> {
    this.#checkOpen();
    checkKey(options?.key);
    checkOptionNames(options, REPLACE_OPTIONS, '');
    const call = await this.#preparer.prepare(task, args, options);
    this.#entries.delete(call.key); // what replaces it goes to the end
    return this.#place(call);
  }

  async cancel(key: string): Promise<CancelResult> {
    this.#checkOpen();
    checkKey(key);
    const entry = this.#entries.get(key);
    if (!entry) return { state: null, outcome: 'unknown' };
    this.#entries.delete(key);
    this.#cancelled.push(key);
    return { state: entry.handle.state, outcome: 'removed' };
  }

  async getExecution(key: string): Promise<Execution<unknown> | null> {
    this.#checkOpen();
    checkKey(key);
    return this.#entries.get(key)?.handle ?? null;
  }

  key(suffix: string): string {
    if (typeof suffix !== 'string' || suffix === '') throw new InvalidOptionError('suffix', 'expected text, not empty');
    return this.#settings.keys.user(suffix);
  }

  async close(): Promise<void> {
    this.#closing.abort(new DocketClosedError());
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
  toJSON(): { readonly name: string; readonly added: readonly AddedExecution[] } {
    return { name: this.name, added: this.added };
  }

  #add(call: PreparedCall): Execution<unknown> {
    const known = this.#entries.get(call.key);
    if (!known) return this.#place(call);
    const { key, task, args, when, state } = known.handle;
    const init = {
      key,
      task,
      args,
      dueMs: when.getTime(),
      state,
      disposition: 'already_scheduled',
      generation: 0,
    } as const;
    return new ExecutionHandle(this.#source, init);
  }

  #place(call: PreparedCall): Execution<unknown> {
    const nowMs = this.#nowMs();
    this.#generation += 1;
    const placed = { isNew: true, generation: this.#generation, nowMs };
    const handle = addedExecution(call, placed, this.#source);
    const execution: AddedExecution = Object.freeze({
      task: call.task,
      args: decodeValue(new Envelope(call.message).args),
      key: call.key,
      when: new Date(dueTimeOf(call.due, nowMs)),
      addedAt: new Date(nowMs),
    });
    this.#entries.set(call.key, { execution, handle });
    return handle;
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new DocketClosedError();
  }
}

/** The access of handles to executions that exist nowhere. */
function sourceWithoutServer(closed: AbortSignal, cancel: ExecutionSource['cancel']): ExecutionSource {
  const refuse = (use: string) => async () => {
    throw new NoServerError(use);
  };
  return {
    errors: [],
    keepsState: true,
    closed,
    cancel,
    find: refuse('sync()'),
    look: refuse('result()'),
    changeProgress: refuse('progress'),
    watch: refuse('result() or subscribe()'),
    hasHeardAll: () => false,
  };
}

/** The methods whose answers are iterated over: they refuse at once. */
const ITERATED: ReadonlySet<string> = new Set(['failures', 'list', 'schedules'] satisfies (keyof Docket)[]);

// Whatever else a docket can do is refused by name, so that a test says what it needs instead of failing at undefined.
for (const name of Object.getOwnPropertyNames(Docket.prototype)) {
  if (name in Recorder.prototype) continue;
  const use = name === 'redis' ? name : `${name}()`;
  const reject = () => Promise.reject(new NoServerError(use));
  const refuse = () => {
    throw new NoServerError(use);
  };
  const member = name === 'redis' ? { get: reject } : { value: ITERATED.has(name) ? refuse : reject };
  Object.defineProperty(Recorder.prototype, name, member);
}
