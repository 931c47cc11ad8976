/** The access of a docket's handles to their executions: reads, changes and events. */
import { type BatchLimits, RequestBatcher } from '../core/batcher.js';
import { DocketClosedError, ExecutionNotFoundError, ExecutionSupersededError } from '../core/errors.js';
import { type ListenedFor, type Look, lookForEnds, type PlacementId, readExecution } from '../redis/producer-store.js';
import { changeProgress, type ProgressOwner } from '../redis/progress-store.js';
import type { ExecutionRecord, ProgressRecord } from '../redis/record.js';
import { BATCH_ITEMS } from '../redis/schema.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { ProgressChange } from '../tasks/progress.js';
import type { ProducerConnection } from './connection.js';
import type { EventCallback, Listener } from './listener.js';
import type { ErrorClass, ProducerSettings } from './options.js';

export interface ExecutionSource {
  /** Error classes that results revive, beside the built-in ones. */
  readonly errors: readonly ErrorClass[];
  /** Whether executions that this docket adds keep state and result. */
  readonly keepsState: boolean;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
  /** Reads the record of an execution; `null` when there is none. One that was moved is found in its new partition. */
  find(key: string): Promise<FoundExecution | null>;
  /** Looks whether a placement has ended. This is cheaper than a reading, but the record comes without its message. */
  look(placement: PlacementId): Promise<Look>;
  cancel(key: string): Promise<CancelResult>;
  /**
   * Changes the progress of an execution, and returns it as it is then.
   * @throws ExecutionNotFoundError when there is no execution under the key
   * @throws ExecutionSupersededError when the execution there is another one
   */
  changeProgress(key: string, owner: ProgressOwner, change: ProgressChange): Promise<ProgressRecord>;
  /** Resolves when every later event of the execution will be heard; the returned function stops listening. */
  watch(key: string, onEvent: EventCallback, events?: ListenedFor): Promise<() => void>;
  /** Whether a watch that has just begun has missed nothing (see `Listener`). */
  hasHeardAll(key: string): boolean;
}

/** An execution, and where it is. */
export interface FoundExecution {
  readonly record: ExecutionRecord;
  /** The access to it. Only this one hears its events. */
  readonly source: ExecutionSource;
}

/** The access to the executions of one partition. */
export interface PartitionSource extends ExecutionSource {
  /** Reads the record of an execution that is in this very partition. */
  readHere(key: string): Promise<ExecutionRecord | null>;
}

interface SourceOptions {
  readonly settings: ProducerSettings;
  readonly connection: ProducerConnection;
  readonly listener: Listener;
  readonly closed: AbortSignal;
  readonly cancel: (key: string) => Promise<CancelResult>;
  readonly findElsewhere: (key: string) => Promise<FoundExecution | null>;
}

const LOOKS: BatchLimits<PlacementId> = {
  maxItems: BATCH_ITEMS,
  maxBytes: Number.POSITIVE_INFINITY,
  maxInFlight: 2,
  sizeOf: () => 0,
};

/** Reads and changes executions over the connections of a docket. */
export class RedisExecutionSource implements PartitionSource {
  readonly errors: readonly ErrorClass[];
  readonly keepsState: boolean;
  readonly closed: AbortSignal;
  readonly cancel: (key: string) => Promise<CancelResult>;
  readonly #options: SourceOptions;
  /** Batches the looks: many callers begin to wait at once, and all of them look when the listener may have missed an event. */
  readonly #looks: RequestBatcher<PlacementId, Look>;

  constructor(options: SourceOptions) {
    this.errors = options.settings.errors;
    this.keepsState = options.settings.executionTtlMs > 0;
    this.closed = options.closed;
    this.cancel = options.cancel;
    this.#options = options;
    const { connection, settings } = options;
    this.#looks = new RequestBatcher(
      (placements) => connection.run((redis) => lookForEnds(redis, settings.keys, placements)),
      LOOKS,
    );
  }

  async find(key: string): Promise<FoundExecution | null> {
    const record = await this.readHere(key);
    return record ? { record, source: this } : await this.#options.findElsewhere(key);
  }

  async readHere(key: string): Promise<ExecutionRecord | null> {
    this.#checkOpen();
    const { connection, settings } = this.#options;
    return await connection.run((redis) => readExecution(redis, settings.keys, key));
  }

  async look(placement: PlacementId): Promise<Look> {
    this.#checkOpen();
    return await this.#looks.add(placement);
  }

  async changeProgress(key: string, owner: ProgressOwner, change: ProgressChange): Promise<ProgressRecord> {
    this.#checkOpen();
    const { connection, settings } = this.#options;
    const { kind } = change;
    const value = kind === 'increment' ? change.by : kind === 'total' ? change.total : (change.message ?? '');
    const changed = await connection.run((redis) =>
      changeProgress(redis, settings.keys, { key, owner, change: kind, value }),
    );
    const isOlder = 'generation' in owner && changed !== null && changed.generation < owner.generation;
    if (!changed || isOlder) throw new ExecutionNotFoundError(key);
    if (!changed.progress) throw new ExecutionSupersededError(key);
    return changed.progress;
  }

  async watch(key: string, onEvent: EventCallback, events?: ListenedFor): Promise<() => void> {
    const { connection, listener } = this.#options;
    return await connection.explained(listener.watch(key, onEvent, events));
  }

  hasHeardAll(key: string): boolean {
    return this.#options.listener.hasHeardAll(key);
  }

  #checkOpen(): void {
    if (this.closed.aborted) throw new DocketClosedError();
  }
}
