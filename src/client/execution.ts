/** The handle of one execution: bound to a key and to one placement (generation) under it. */

import { toMs } from '../core/duration.js';
import {
  ExecutionCancelledError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  RedisUnavailableError,
  ResultsDisabledError,
  TimeoutError,
} from '../core/errors.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import { type Disposition, type ExecutionState, isTerminal } from '../core/states.js';
import type { ExecutionRecord, ProgressRecord } from '../redis/record.js';
import type { ExecutionEvent } from '../tasks/events.js';
import type { Execution, ResultOptions } from '../tasks/execution.js';
import type { ExecutionProgress, ProgressChange } from '../tasks/progress.js';
import { decodeError, decodeValue } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import type { OnEvent } from './listener.js';
import type { ErrorClass } from './options.js';
import { HandleProgress } from './progress.js';
import { Subscription } from './subscription.js';

/** What a handle needs of its docket. */
export interface ExecutionSource {
  readonly errors: readonly ErrorClass[];
  /** Whether executions that this docket adds keep state and result. */
  readonly keepsState: boolean;
  read(key: string): Promise<ExecutionRecord | null>;
  cancel(key: string): Promise<void>;
  /**
   * Changes the progress of an execution; answers with what is true then.
   * @throws ExecutionNotFoundError or ExecutionSupersededError when there is none of this generation
   */
  changeProgress(key: string, generation: number, change: ProgressChange): Promise<ProgressRecord>;
  watch(key: string, onEvent: OnEvent): Promise<() => void>;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
}

/** What is known of an execution when its handle is made. */
export interface HandleOrigin {
  readonly key: string;
  readonly task: string;
  readonly args: unknown;
  readonly dueMs: number;
  readonly state: ExecutionState;
  readonly disposition: Disposition;
  /** 0 when the execution has no record to be bound to. */
  readonly generation: number;
}

export class ExecutionHandle<R> implements Execution<R> {
  readonly #source: ExecutionSource;
  readonly #placement: HandleOrigin;
  /** What was read last; `null` before the first read. */
  #record: ExecutionRecord | null;
  #args: unknown;
  /** Whether state and result are kept: decided by who added it, which need not be this docket. */
  #keepsState: boolean;
  #progress: HandleProgress | undefined;

  constructor(source: ExecutionSource, placement: HandleOrigin, record: ExecutionRecord | null = null) {
    this.#source = source;
    this.#placement = placement;
    this.#record = record;
    this.#args = placement.args;
    this.#keepsState = source.keepsState;
    if (record) this.#adopt(record);
  }

  get key(): string {
    return this.#placement.key;
  }
  get disposition(): Disposition {
    return this.#placement.disposition;
  }
  get task(): string {
    return this.#record?.task ?? this.#placement.task;
  }
  get args(): unknown {
    return this.#args;
  }
  get when(): Date {
    return new Date(this.#record?.dueMs ?? this.#placement.dueMs);
  }
  get state(): ExecutionState {
    return this.#record?.state ?? this.#placement.state;
  }
  get attempt(): number {
    return this.#record?.attempt ?? 1;
  }
  get worker(): string | null {
    return this.#record?.worker ?? null;
  }
  get startedAt(): Date | null {
    return dateOrNull(this.#record?.startedMs);
  }
  get completedAt(): Date | null {
    return dateOrNull(this.#record?.completedMs);
  }
  get error(): string | null {
    return this.#record?.errorLine ?? null;
  }
  get waitingFor(): string | null {
    return this.#record?.waitingFor ?? null;
  }

  get progress(): ExecutionProgress {
    if (!this.#progress) {
      this.#progress = new HandleProgress(async (change) => {
        this.#checkKept();
        return await this.#source.changeProgress(this.key, this.#placement.generation, change);
      });
      if (this.#record) this.#progress.adopt(this.#record.progress);
    }
    return this.#progress;
  }

  async sync(): Promise<void> {
    const record = await this.#read();
    if (!record && this.#keepsState) throw new ExecutionNotFoundError(this.key);
  }

  async cancel(): Promise<void> {
    await this.#source.cancel(this.key);
  }

  async result(options: ResultOptions = {}): Promise<R> {
    const waitMs = waitOf(options);
    this.#checkKept();
    options.signal?.throwIfAborted();
    this.#source.closed.throwIfAborted();
    return await new Promise<R>((resolve, reject) => {
      const ending = new AbortController();
      const settle = (how: () => void) => {
        ending.abort();
        how();
      };
      const look = async () => {
        const record = await this.#read();
        if (ending.signal.aborted) return;
        if (!record) throw new ExecutionNotFoundError(this.key);
        if (isTerminal(record.state)) settle(() => resolve(this.#outcomeOf(record)));
      };
      const fail = (error: unknown) => settle(() => reject(error));
      // A read that fails with its connection is made up for: the listener has everybody look again.
      const failForGood = (error: unknown) => error instanceof RedisUnavailableError || fail(error);
      const onEvent: OnEvent = (event) => {
        if (event === null || this.#concerns(event)) look().catch(failForGood);
      };

      if (waitMs !== null) {
        const expired = () => fail(new TimeoutError(`execution '${this.key}' did not end within ${waitMs} ms`));
        callAfter(waitMs, ending.signal, expired);
      }
      // A composite of the caller's, so that many waiters who share it raise no warning. Not of the docket's own, which
      // lives on: each composite leaves 65 bytes at its sources for good (measured on Node 20).
      const given = options.signal && AbortSignal.any([options.signal]);
      for (const signal of [given, this.#source.closed]) {
        signal?.addEventListener('abort', () => fail(signal.reason), { signal: ending.signal });
      }
      this.#source.watch(this.key, onEvent).then((stop) => {
        if (ending.signal.aborted) return stop();
        ending.signal.addEventListener('abort', stop);
        return look().catch(failForGood);
      }, fail);
    });
  }

  subscribe(): AsyncIterable<ExecutionEvent> {
    return { [Symbol.asyncIterator]: () => this.#subscription() };
  }

  #subscription(): Subscription {
    const { key, generation } = this.#placement;
    return new Subscription({
      key,
      generation,
      closed: this.#source.closed,
      watch: async (onEvent) => {
        this.#checkKept();
        return await this.#source.watch(key, onEvent);
      },
      read: async () => {
        try {
          const record = await this.#read();
          this.#checkKept();
          if (record) return record;
        } catch (error) {
          if (error instanceof ExecutionSupersededError) return null;
          throw error;
        }
        throw new ExecutionNotFoundError(key);
      },
    });
  }

  #checkKept(): void {
    if (!this.#keepsState) throw new ResultsDisabledError(this.key);
  }

  /** An event says `<generation> <state>`: worth a look when it ends this execution or comes from a newer one. */
  #concerns(event: string): boolean {
    const [generation, state] = event.split(' ');
    return Number(generation) > this.#placement.generation || isTerminal(state as ExecutionState);
  }

  async #read(): Promise<ExecutionRecord | null> {
    const record = await this.#source.read(this.key);
    const { generation } = this.#placement;
    if (record && generation > 0 && record.generation > generation) throw new ExecutionSupersededError(this.key);
    if (record) this.#adopt(record);
    return record;
  }

  /** The arguments of an execution that somebody else added are in its message, which is gone once it has ended. */
  #adopt(record: ExecutionRecord): void {
    this.#record = record;
    this.#progress?.adopt(record.progress);
    if (!record.message) {
      this.#keepsState ||= isTerminal(record.state); // else there was no record any more
      return;
    }
    const envelope = new Envelope(record.message);
    this.#keepsState = envelope.ttlMs > 0;
    if (this.#args === undefined && envelope.isReadable) this.#args = decodeValue(envelope.args);
  }

  #outcomeOf(record: ExecutionRecord): R | Promise<R> {
    switch (record.state) {
      case 'completed':
        return record.result === null ? (undefined as R) : (decodeValue(record.result) as R);
      case 'cancelled':
        return Promise.reject(new ExecutionCancelledError(this.key, record.errorLine ?? undefined));
      default: {
        const line = record.errorLine ?? 'failed without an error';
        return Promise.reject(record.error ? decodeError(record.error, this.#source.errors) : new Error(line));
      }
    }
  }
}

function waitOf({ timeout, deadline }: ResultOptions): number | null {
  if (timeout !== undefined && deadline !== undefined) {
    throw new TypeError('result() takes a timeout or a deadline, not both');
  }
  if (timeout !== undefined) return toMs(timeout, 'timeout');
  if (deadline === undefined) return null;
  if (!(deadline instanceof Date) || Number.isNaN(deadline.getTime())) {
    throw new InvalidOptionError('deadline', 'expected a valid date');
  }
  return Math.max(0, deadline.getTime() - Date.now());
}

/** Calls back after `ms` unless the signal aborts, in legs: Node's timers hold 24 days, and fire at once beyond. */
function callAfter(ms: number, signal: AbortSignal, callback: () => void): void {
  const leg = Math.min(ms, LONGEST_TIMER_MS);
  const timer = setTimeout(() => (ms > leg ? callAfter(ms - leg, signal, callback) : callback()), leg);
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
}

function dateOrNull(ms: number | null | undefined): Date | null {
  return ms == null ? null : new Date(ms);
}
