/** The handle of one execution, bound to a key and to one placement (generation) under it. */

import { type InspectOptions, inspect } from 'node:util';
import { onAbort } from '../core/abort.js';
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
import { checkOptionNames, optionNames } from '../core/options.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import { type Disposition, type ExecutionState, isTerminal } from '../core/states.js';
import type { RecordEvent } from '../redis/events.js';
import { type ExecutionRecord, NO_PROGRESS } from '../redis/record.js';
import type { ExecutionEvent } from '../tasks/events.js';
import type { Execution, ResultOptions } from '../tasks/execution.js';
import type { ExecutionProgress } from '../tasks/progress.js';
import { type ExecutionSummary, executionSummary, inspectSummary } from '../tasks/summary.js';
import { decodeError, decodeValue } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import type { ExecutionSource } from './execution-source.js';
import type { EventCallback } from './listener.js';
import { HandleProgress } from './progress.js';
import { Subscription } from './subscription.js';

/** The data that a handle is made from. Until the record is read, the handle knows nothing else. */
export interface HandleInit {
  readonly key: string;
  readonly task: string;
  readonly args: unknown;
  readonly dueMs: number;
  readonly state: ExecutionState;
  readonly disposition: Disposition;
  /** Generation of the placement; 0 when the execution has no record. */
  readonly generation: number;
}

export class ExecutionHandle<R> implements Execution<R> {
  readonly #source: ExecutionSource;
  readonly #init: HandleInit;
  /** The record as it was read last; `null` before the first read. */
  #record: ExecutionRecord | null;
  #args: unknown;
  /** Whether state and result are kept. The docket that added the execution decides, which may be another one. */
  #keepsState: boolean;
  #progress: HandleProgress | undefined;

  constructor(source: ExecutionSource, init: HandleInit, record: ExecutionRecord | null = null) {
    this.#source = source;
    this.#init = init;
    this.#record = record;
    this.#args = init.args;
    this.#keepsState = source.keepsState;
    if (record) this.#adopt(record);
  }

  get key(): string {
    return this.#init.key;
  }
  get disposition(): Disposition {
    return this.#init.disposition;
  }
  get task(): string {
    return this.#record?.task ?? this.#init.task;
  }
  get args(): unknown {
    return this.#args;
  }
  get when(): Date {
    return new Date(this.#record?.dueMs ?? this.#init.dueMs);
  }
  get state(): ExecutionState {
    return this.#record?.state ?? this.#init.state;
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
        this.#checkStateKept();
        return await this.#source.changeProgress(this.key, { generation: this.#init.generation }, change);
      });
      if (this.#record) this.#progress.adopt(this.#record.progress);
    }
    return this.#progress;
  }

  toJSON(): ExecutionSummary {
    return executionSummary(this);
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspectSummary('Execution', this.toJSON(), depth, options);
  }

  async sync(): Promise<void> {
    const record = await this.#read();
    if (!record && this.#keepsState) throw new ExecutionNotFoundError(this.key);
  }

  async cancel(): Promise<void> {
    await this.#source.cancel(this.key);
  }

  async result(options: ResultOptions = {}): Promise<R> {
    checkOptionNames(options, RESULT_OPTIONS, 'result.');
    const waitMs = waitOf(options);
    this.#checkStateKept();
    options.signal?.throwIfAborted();
    this.#source.closed.throwIfAborted();
    return await new Promise<R>((resolve, reject) => {
      // An abort controller would cost more than all the rest of a wait (measured).
      const cleanUps: (() => unknown)[] = [];
      let isOver = false;
      const end = () => {
        isOver = true;
        for (const cleanUp of cleanUps) cleanUp();
      };
      const fail = (error: unknown) => {
        end();
        reject(error);
      };
      const settle = (record: ExecutionRecord) => {
        const outcome = this.#outcomeOf(record);
        this.#adopt(record);
        end();
        resolve(outcome);
      };
      const readRecord = async () => {
        const record = await this.#read();
        if (isOver) return;
        if (!record) throw new ExecutionNotFoundError(this.key);
        if (isTerminal(record.state)) settle(record);
      };
      const look = async () => {
        if (isOver) return;
        const found = await this.#source.look(this.#init);
        if (isOver || found === 'open') return;
        if (found === 'unclear' || this.#args === undefined) await readRecord();
        else settle(found);
      };
      const settleBy = (event: RecordEvent): boolean => {
        const record = this.#recordAfter(event);
        if (!record) return false;
        try {
          settle(record);
          return true;
        } catch {
          return false; // no script has published that: the record has the outcome
        }
      };
      // A read that fails with its connection is repeated: the listener asks every watcher to read again.
      const failUnlessRepeated = (error: unknown) => error instanceof RedisUnavailableError || fail(error);
      const onEvent: EventCallback = (event) => {
        if (isOver || (event !== null && !this.#mayEnd(event))) return;
        if (event === null) look().catch(failUnlessRepeated);
        else if (!settleBy(event)) readRecord().catch(failUnlessRepeated);
      };

      if (waitMs !== null) {
        const expired = () => fail(new TimeoutError(`execution '${this.key}' did not end within ${waitMs} ms`));
        cleanUps.push(callAfter(waitMs, expired));
      }
      for (const signal of [options.signal, this.#source.closed]) {
        if (signal) cleanUps.push(onAbort(signal, () => fail(signal.reason)));
      }
      this.#source.watch(this.key, onEvent).then((stop) => {
        if (isOver) return stop();
        cleanUps.push(stop);
        return look().catch(failUnlessRepeated);
      }, fail);
    });
  }

  subscribe(): AsyncIterable<ExecutionEvent> {
    return { [Symbol.asyncIterator]: () => this.#subscription() };
  }

  #subscription(): Subscription {
    const { key, generation } = this.#init;
    return new Subscription({
      key,
      generation,
      closed: this.#source.closed,
      watch: async (onEvent) => {
        this.#checkStateKept();
        return await this.#source.watch(key, onEvent);
      },
      read: async () => {
        try {
          const record = await this.#read();
          this.#checkStateKept();
          if (record) return record;
        } catch (error) {
          if (error instanceof ExecutionSupersededError) return null;
          throw error;
        }
        throw new ExecutionNotFoundError(key);
      },
    });
  }

  #checkStateKept(): void {
    if (!this.#keepsState) throw new ResultsDisabledError(this.key);
  }

  /** Whether a result may be known after this event: it ends the execution, or comes from a newer one under the key. */
  #mayEnd(event: RecordEvent): boolean {
    return event.generation > this.#init.generation || (event.kind === 'state' && isTerminal(event.state));
  }

  /**
   * Returns the record as it is after an event that ends this execution; `null` when the record has to be read, because it
   * has more to tell than the event.
   */
  #recordAfter(event: RecordEvent): ExecutionRecord | null {
    const { generation } = this.#init;
    if (event.kind !== 'state' || !event.outcome || event.generation !== generation) return null;
    if (!isTerminal(event.state) || this.#args === undefined) return null;
    const { state, dueMs, startedMs, completedMs, attempt, worker, errorLine, timeUs } = event;
    const { result, error } = event.outcome;
    return {
      generation,
      task: this.task,
      state,
      dueMs,
      startedMs,
      completedMs,
      attempt,
      worker,
      errorLine,
      result,
      error,
      progress: NO_PROGRESS,
      readUs: timeUs,
      waitingFor: null,
      message: null,
    };
  }

  /** Reads the record of this very placement; `null` when there is none. */
  async #read(): Promise<ExecutionRecord | null> {
    const record = await this.#source.read(this.key);
    const { generation } = this.#init;
    if (record && generation > 0 && record.generation !== generation) {
      if (record.generation > generation) throw new ExecutionSupersededError(this.key);
      return null; // the record of an older one: a failover has lost this placement
    }
    if (record) this.#adopt(record);
    return record;
  }

  /**
   * Takes over a record. The arguments of an execution that another process added are in its message, which is usually
   * gone once the execution has ended.
   */
  #adopt(record: ExecutionRecord): void {
    const isOutdated = this.#record && isTerminal(this.#record.state) && !isTerminal(record.state);
    if (isOutdated && this.#record?.generation === record.generation) return; // read before an event that ended it
    this.#record = record;
    this.#progress?.adopt(record.progress);
    if (!record.message) {
      this.#keepsState ||= isTerminal(record.state); // without state it would have no record by now
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

const RESULT_OPTIONS = optionNames<ResultOptions>({ timeout: true, deadline: true, signal: true });

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

/**
 * Calls back after `ms` unless the returned function is called first. Longer waits are split into legs: a timer of Node
 * holds 24 days at most and fires at once beyond that.
 */
function callAfter(ms: number, callback: () => void): () => void {
  let leftMs = ms;
  let timer: NodeJS.Timeout;
  const wait = () => {
    const legMs = Math.min(leftMs, LONGEST_TIMER_MS);
    leftMs -= legMs;
    timer = setTimeout(() => (leftMs > 0 ? wait() : callback()), legMs);
  };
  wait();
  return () => clearTimeout(timer);
}

function dateOrNull(ms: number | null | undefined): Date | null {
  return ms == null ? null : new Date(ms);
}
