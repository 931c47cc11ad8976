/** The handle of one execution, bound to a key and to one placement (generation) under it. */

import { type InspectOptions, inspect } from 'node:util';
import { toMs } from '../core/duration.js';
import {
  ExecutionCancelledError,
  ExecutionNotFoundError,
  ExecutionSupersededError,
  InvalidOptionError,
  ResultsDisabledError,
} from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { type Disposition, type ExecutionState, isTerminal } from '../core/states.js';
import type { ExecutionRecord, ProgressRecord } from '../redis/record.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { ExecutionEvent } from '../tasks/events.js';
import type { Execution, ResultOptions, SubscribeOptions } from '../tasks/execution.js';
import type { ExecutionProgress, ProgressChange } from '../tasks/progress.js';
import { type ExecutionSummary, executionSummary, inspectSummary } from '../tasks/summary.js';
import { decodeError, decodeValue } from '../wire/codec.js';
import { Envelope } from '../wire/envelope.js';
import type { ExecutionSource } from './execution-source.js';
import { HandleProgress } from './progress.js';
import { waitForResult } from './result-wait.js';
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
  /** The access to the partition in which the execution was found last. */
  #source: ExecutionSource;
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
      this.#progress = new HandleProgress((change) => this.#changeProgress(change));
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

  async cancel(): Promise<CancelResult> {
    return await this.#source.cancel(this.key);
  }

  async result(options: ResultOptions = {}): Promise<R> {
    checkOptionNames(options, RESULT_OPTIONS, 'result.');
    const waitMs = waitOf(options);
    this.#checkStateKept();
    options.signal?.throwIfAborted();
    this.#source.closed.throwIfAborted();
    const { key, generation } = this.#init;
    return await waitForResult<R>({
      source: () => this.#source,
      key,
      generation,
      waitMs,
      signal: options.signal,
      task: () => this.task,
      hasArguments: () => this.#args !== undefined,
      read: () => this.#read(),
      take: (record) => {
        const outcome = this.#outcomeOf(record);
        this.#adopt(record);
        return outcome;
      },
    });
  }

  subscribe(options: SubscribeOptions = {}): AsyncIterable<ExecutionEvent> {
    checkOptionNames(options, SUBSCRIBE_OPTIONS, 'subscribe.');
    return { [Symbol.asyncIterator]: () => this.#subscription(options.signal) };
  }

  #subscription(signal: AbortSignal | undefined): Subscription {
    const { key, generation } = this.#init;
    return new Subscription({
      key,
      generation,
      closed: this.#source.closed,
      left: signal ?? null,
      place: () => this.#source,
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

  /** Changes the progress where the execution is: a worker may have moved it to another partition. */
  async #changeProgress(change: ProgressChange): Promise<ProgressRecord> {
    this.#checkStateKept();
    const source = this.#source;
    const owner = { generation: this.#init.generation };
    try {
      return await source.changeProgress(this.key, owner, change);
    } catch (error) {
      if (!(error instanceof ExecutionNotFoundError)) throw error;
      await this.#read();
      if (this.#source === source) throw error;
      return await this.#source.changeProgress(this.key, owner, change);
    }
  }

  #checkStateKept(): void {
    if (!this.#keepsState) throw new ResultsDisabledError(this.key);
  }

  /** Reads the record of this very placement; `null` when there is none. */
  async #read(): Promise<ExecutionRecord | null> {
    const found = await this.#source.find(this.key);
    const record = found?.record ?? null;
    const { generation } = this.#init;
    if (record && generation > 0 && record.generation !== generation) {
      if (record.generation > generation) throw new ExecutionSupersededError(this.key);
      return null; // the record of an older one: a failover has lost this placement
    }
    if (found) this.#source = found.source;
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

const SUBSCRIBE_OPTIONS = optionNames<SubscribeOptions>({ signal: true });
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

function dateOrNull(ms: number | null | undefined): Date | null {
  return ms == null ? null : new Date(ms);
}
