/**
 * `execution.subscribe()`: an execution's state and progress now, then every change until it ends.
 *
 * Owns the order in which they are told. Events come over one connection, readings of the record over another; both carry
 * the server's time, and what is older than what is known is left out. Nothing is read but once at the start and whenever
 * the listener says that something may have been missed.
 *
 *   watch ──> read ──> state, progress ──> events ... ──> terminal state
 */
import { RedisUnavailableError } from '../core/errors.js';
import { isTerminal } from '../core/states.js';
import { parseEvent, type RecordEvent } from '../redis/events.js';
import { type ExecutionRecord, NO_PROGRESS, type ProgressRecord, type StateChange } from '../redis/record.js';
import type { ExecutionEvent, ProgressEvent, StateEvent } from '../tasks/events.js';
import type { OnEvent } from './listener.js';

/** What a subscription needs of its execution. */
export interface Subscribed {
  readonly key: string;
  readonly generation: number;
  /**
   * Reads the record; `null` when a newer execution has the key.
   * @throws ExecutionNotFoundError when there is none
   */
  read(): Promise<ExecutionRecord | null>;
  watch(onEvent: OnEvent): Promise<() => void>;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
}

/** Events kept for a consumer that is slow; beyond, the oldest go. Progress that follows progress replaces it. */
const MOST_PENDING = 32;

type Result = IteratorResult<ExecutionEvent, undefined>;
const DONE: Result = { done: true, value: undefined };

interface Reader {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Subscription implements AsyncIterator<ExecutionEvent, undefined> {
  readonly #of: Subscribed;
  readonly #ending = new AbortController();
  #isOpen = false;
  readonly #pending: ExecutionEvent[] = [];
  readonly #readers: Reader[] = [];
  #failure: { readonly error: unknown } | undefined;
  /** What was told last; `null` before the first reading. */
  #state: StateEvent | null = null;
  #progress: ProgressEvent | null = null;
  /** Server time of what is known, in microseconds. */
  #knownUs = 0;
  /** Events that came before the first reading. */
  #early: RecordEvent[] = [];

  constructor(of: Subscribed) {
    this.#of = of;
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

  /** Whoever leaves the loop is not listened for any more, and what is still pending is dropped. */
  return(): Promise<Result> {
    this.#isOpen = true;
    this.#pending.length = 0;
    this.#failure = undefined;
    this.#end();
    return Promise.resolve(DONE);
  }

  #open(): void {
    this.#isOpen = true;
    const { closed } = this.#of;
    if (closed.aborted) return this.#fail(closed.reason);
    closed.addEventListener('abort', () => this.#end(), { signal: this.#ending.signal });
    this.#of
      .watch((event) => (event === null ? void this.#look() : this.#hear(parseEvent(event))))
      .then((stop) => {
        if (this.#ending.signal.aborted) return stop();
        this.#ending.signal.addEventListener('abort', stop);
        return this.#look();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  async #look(): Promise<void> {
    try {
      const record = await this.#of.read();
      if (this.#ending.signal.aborted) return;
      if (record) this.#adopt(record);
      else this.#end();
    } catch (error) {
      // A read that fails with its connection is made up for: the listener has everybody look again.
      if (!(error instanceof RedisUnavailableError)) this.#fail(error);
    }
  }

  /** Tells what a reading has that was not told. A terminal state is the last thing told, except in the first reading. */
  #adopt(record: ExecutionRecord): void {
    const isFirst = this.#state === null;
    const hasEnded = isTerminal(record.state);
    if (record.readUs < this.#knownUs && !hasEnded) return;
    this.#knownUs = record.readUs;
    if (isFirst || !hasEnded) this.#tellState(record);
    this.#tellProgress(record.progress);
    if (!isFirst && hasEnded) this.#tellState(record);
    if (hasEnded) return this.#end();
    for (const event of this.#early.splice(0)) this.#hear(event);
  }

  #hear(event: RecordEvent): void {
    const { generation } = this.#of;
    if (this.#ending.signal.aborted || event.generation < generation) return;
    if (event.generation > generation) return this.#end();
    if (this.#state === null) {
      this.#early.push(event);
      if (this.#early.length > MOST_PENDING) this.#early.shift();
      return;
    }
    const hasEnded = event.kind === 'state' && isTerminal(event.state);
    if (event.timeUs < this.#knownUs && !hasEnded) return;
    this.#knownUs = event.timeUs;
    if (event.kind === 'progress') return this.#tellProgress(event.progress);
    const wasRunning = this.#state.state === 'running';
    this.#tellState(event);
    if (hasEnded) this.#end();
    else if (wasRunning && event.state !== 'running') this.#tellProgress(NO_PROGRESS); // the next run starts anew
  }

  #tellState(change: StateChange): void {
    const event: StateEvent = {
      type: 'state',
      key: this.#of.key,
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
    if (!isKnown) this.#tell(event);
  }

  #tellProgress({ current, total, message, updatedMs }: ProgressRecord): void {
    const last = this.#progress;
    const isKnown = last?.current === current && last.total === total && last.message === message;
    if (isKnown) return;
    this.#progress = { type: 'progress', key: this.#of.key, current, total, message, updatedAt: dateOrNull(updatedMs) };
    this.#tell(this.#progress);
  }

  #tell(event: ExecutionEvent): void {
    const reader = this.#readers.shift();
    if (reader) return reader.resolve({ done: false, value: event });
    if (event.type === 'progress' && this.#pending.at(-1)?.type === 'progress') this.#pending.pop();
    this.#pending.push(event);
    if (this.#pending.length > MOST_PENDING) this.#pending.shift();
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
