/**
 * `execution.subscribe()`: an execution's state and progress now, then every change until it ends.
 *
 * Owns the order in which they are emitted. Events come over one connection, readings of the record over another. Both carry
 * the server's time, and stale ones are left out. The record is read once at the start, and again
 * whenever the listener reports that events may have been missed. When a reading finds the execution in another partition, the
 * subscription listens there, too, and reads again.
 *
 *   watch ──> read ──> state, progress ──> events ... ──> terminal state
 */
import { onAbort } from '../core/abort.js';
import { RedisUnavailableError } from '../core/errors.js';
import { isTerminal } from '../core/states.js';
import type { RecordEvent } from '../redis/events.js';
import { type ExecutionRecord, NO_PROGRESS, type ProgressRecord, type StateChange } from '../redis/record.js';
import type { ExecutionEvent, ProgressEvent, StateEvent } from '../tasks/events.js';
import type { EventCallback } from './listener.js';

/** What a subscription needs of its execution. */
export interface SubscriptionSource {
  readonly key: string;
  readonly generation: number;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
  /** Aborts when the consumer leaves; `null` when it only leaves its loop. */
  readonly left: AbortSignal | null;
  /**
   * Reads the record; `null` when a newer execution has the key.
   * @throws ExecutionNotFoundError when there is none
   */
  read(): Promise<ExecutionRecord | null>;
  /** Stands for the partition in which it was read last: its events are heard there. */
  place(): unknown;
  watch(onEvent: EventCallback): Promise<() => void>;
}

/** Events that wait for a slow consumer; beyond that the oldest are dropped. Progress that follows progress replaces it. */
const MAX_PENDING = 32;

type Result = IteratorResult<ExecutionEvent, undefined>;
const DONE: Result = { done: true, value: undefined };

/** A call of `next` that waits for an event. */
interface Reader {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Subscription implements AsyncIterator<ExecutionEvent, undefined> {
  readonly #source: SubscriptionSource;
  readonly #ending = new AbortController();
  #isOpen = false;
  /** Where it listens, or is about to. */
  #watchedPlace: unknown;
  readonly #pending: ExecutionEvent[] = [];
  readonly #readers: Reader[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** The state and progress that were emitted last; `null` before the first reading. */
  #state: StateEvent | null = null;
  #progress: ProgressEvent | null = null;
  /** Server time of the newest reading or event, in microseconds. */
  #newestUs = 0;
  /** Events that came before the first reading, in order. */
  #early: RecordEvent[] = [];

  constructor(source: SubscriptionSource) {
    this.#source = source;
  }

  next(): Promise<Result> {
    if (!this.#isOpen) this.#open();
    const event = this.#pending.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#ending.signal.aborted) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  /** Ends the subscription when the consumer leaves its loop; pending events are dropped. */
  return(): Promise<Result> {
    this.#isOpen = true;
    this.#pending.length = 0;
    this.#failure = undefined;
    this.#end();
    return Promise.resolve(DONE);
  }

  #open(): void {
    this.#isOpen = true;
    const { closed, left } = this.#source;
    if (closed.aborted) return this.#fail(closed.reason);
    if (left?.aborted) return this.#end();
    closed.addEventListener('abort', () => this.#end(), { signal: this.#ending.signal });
    if (left)
      this.#ending.signal.addEventListener(
        'abort',
        onAbort(left, () => void this.return()),
      );
    this.#watch().catch((error: unknown) => this.#fail(error));
  }

  /** Listens where the execution is, and reads it once every later event is heard. */
  async #watch(): Promise<void> {
    this.#watchedPlace = this.#source.place();
    const stop = await this.#source.watch((event) => (event === null ? void this.#read() : this.#receive(event)));
    if (this.#ending.signal.aborted) return stop();
    this.#ending.signal.addEventListener('abort', stop);
    await this.#read();
  }

  async #read(): Promise<void> {
    try {
      const record = await this.#source.read();
      if (this.#ending.signal.aborted) return;
      if (record) this.#adopt(record);
      else this.#end();
      await this.#follow();
    } catch (error) {
      // A read that fails with its connection is repeated: the listener asks every watcher to read again.
      if (!(error instanceof RedisUnavailableError)) this.#fail(error);
    }
  }

  /** Goes on in the partition to which the execution was moved. If that fails, the next reading tries it again. */
  async #follow(): Promise<void> {
    const before = this.#watchedPlace;
    if (this.#ending.signal.aborted || this.#source.place() === before) return;
    try {
      await this.#watch();
    } catch (error) {
      this.#watchedPlace = before;
      throw error;
    }
  }

  /** Emits the changes in a reading. A terminal state is emitted last, except with the first reading. */
  #adopt(record: ExecutionRecord): void {
    const isFirst = this.#state === null;
    const hasEnded = isTerminal(record.state);
    if (record.readUs < this.#newestUs && !hasEnded) return;
    this.#newestUs = record.readUs;
    if (isFirst || !hasEnded) this.#emitState(record);
    this.#emitProgress(record.progress);
    if (!isFirst && hasEnded) this.#emitState(record);
    if (hasEnded) return this.#end();
    for (const event of this.#early.splice(0)) this.#receive(event);
  }

  #receive(event: RecordEvent): void {
    const { generation } = this.#source;
    if (this.#ending.signal.aborted || event.generation < generation) return;
    if (event.generation > generation) return this.#end();
    if (this.#state === null) {
      this.#early.push(event);
      if (this.#early.length > MAX_PENDING) this.#early.shift();
      return;
    }
    const hasEnded = event.kind === 'state' && isTerminal(event.state);
    if (event.timeUs < this.#newestUs && !hasEnded) return;
    this.#newestUs = event.timeUs;
    if (event.kind === 'progress') return this.#emitProgress(event.progress);
    const wasRunning = this.#state.state === 'running';
    this.#emitState(event);
    if (hasEnded) this.#end();
    else if (wasRunning && event.state !== 'running') this.#emitProgress(NO_PROGRESS); // the next attempt starts at 0
  }

  #emitState(change: StateChange): void {
    const event: StateEvent = {
      type: 'state',
      key: this.#source.key,
      state: change.state,
      when: new Date(change.dueMs),
      worker: change.worker,
      startedAt: dateOrNull(change.startedMs),
      completedAt: dateOrNull(change.completedMs),
      error: change.errorLine,
      attempt: change.attempt,
    };
    const last = this.#state;
    const isKnown =
      last?.state === event.state && isSame(last.startedAt, event.startedAt) && isSame(last.when, event.when);
    this.#state = event;
    if (!isKnown) this.#emit(event);
  }

  #emitProgress({ current, total, message, updatedMs }: ProgressRecord): void {
    const last = this.#progress;
    const isKnown = last?.current === current && last.total === total && last.message === message;
    if (isKnown) return;
    this.#progress = {
      type: 'progress',
      key: this.#source.key,
      current,
      total,
      message,
      updatedAt: dateOrNull(updatedMs),
    };
    this.#emit(this.#progress);
  }

  #emit(event: ExecutionEvent): void {
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ done: false, value: event });
    if (event.type === 'progress' && this.#pending.at(-1)?.type === 'progress') this.#pending.pop();
    this.#pending.push(event);
    if (this.#pending.length > MAX_PENDING) this.#pending.shift();
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    const reader = this.#readers.shift();
    if (reader) reader.reject(error);
    else this.#failure = { error };
    this.#end();
  }

  #end(): void {
    this.#ending.abort();
    for (const reader of this.#readers.splice(0)) reader.resolve(DONE);
  }
}

function dateOrNull(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}

function isSame(a: Date | null, b: Date | null): boolean {
  return a?.getTime() === b?.getTime();
}
