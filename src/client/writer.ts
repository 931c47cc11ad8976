/**
 * Writes prepared calls to Redis in batches, and reports the result of each: placed, struck, refused with nothing
 * written, or unknown because the link broke before the reply.
 */
import type { Redis } from 'ioredis';
import { type BatchLimits, type FailurePolicy, RequestBatcher, sendInBatches } from '../core/batcher.js';
import { monotonicMs } from '../core/clock.js';
import { AddUnconfirmedError, DurabilityError, RedisUnavailableError } from '../core/errors.js';
import { type DocketSettings, describeDocket } from '../redis/docket-settings.js';
import {
  canWaitForReplicas,
  enqueue,
  type Placed,
  type PlacementKind,
  replace,
  schedule,
  waitForReplicas,
} from '../redis/producer-store.js';
import { explainReply, isReplyError } from '../redis/reply-errors.js';
import { BATCH_BYTES, HEAVY_ITEM_BYTES, LIGHT_BATCH_ITEMS } from '../redis/schema.js';
import type { StrikeSnapshot } from '../redis/strike-store.js';
import type { Execution } from '../tasks/execution.js';
import type { ProducerConnection } from './connection.js';
import { LayoutChanged } from './layout-changed.js';
import type { PreparedCall } from './prepare.js';
import { StrikeFilter, StruckCall } from './strike-filter.js';

/**
 * Two batches may wait for their replies: Redis executes one while the next is encoded and sent. Where calls come by the
 * thousand, eight full ones may, so that Redis has work while this process encodes the others. More would delay other
 * commands on the connection: a batch takes Redis a millisecond.
 */
const BATCHES: BatchLimits<PreparedCall> = {
  maxItems: LIGHT_BATCH_ITEMS,
  maxBytes: BATCH_BYTES,
  maxInFlight: 2,
  maxFullInFlight: 8,
  sizeOf: ({ message, due }) => (due ? Math.max(message.length, HEAVY_ITEM_BYTES) : message.length),
};

/** A server that takes longer for a reply is slow. */
const SLOW_MS = 500;

/** The result of one call. */
export type PlacementResult = Placed | StruckCall;

/** A call of an `addMany` that was not confirmed. */
export class FailedCall {
  /** @param error - an AddUnconfirmedError when it may have been written; anything else means that it was not */
  constructor(readonly error: unknown) {}
}

export interface WriterOptions {
  readonly settings: DocketSettings;
  readonly connection: ProducerConnection;
  /**
   * Reads the strikes, after a batch was refused because they have changed.
   * @throws LayoutChanged when no call of this writer may be written any more
   */
  readonly loadStrikes: () => Promise<StrikeSnapshot>;
}

/** Writes to one partition, under one layout. */
export class Writer {
  readonly #settings: DocketSettings;
  readonly #connection: ProducerConnection;
  readonly #strikes: StrikeFilter;
  readonly #entries: RequestBatcher<PreparedCall, PlacementResult>;
  readonly #records: RequestBatcher<PreparedCall, PlacementResult>;
  /** Batches of `addMany` on their way. */
  readonly #sending = new Set<Promise<unknown>>();
  /** The batches without a reply, the one that was sent first is first. Times are on the monotonic clock. */
  readonly #unanswered = new Set<{ readonly sentMs: number }>();
  /** How long the last reply took. */
  #lastTookMs = 0;
  #canReplicate: Promise<boolean> | undefined;

  constructor({ settings, connection, loadStrikes }: WriterOptions) {
    this.#settings = settings;
    this.#connection = connection;
    this.#strikes = new StrikeFilter(loadStrikes);
    const failures: FailurePolicy<PreparedCall> = {
      errorOf: errorOfCall,
      errorOfWaiting: (error) => this.#errorOfWaiting(error),
    };
    this.#entries = new RequestBatcher((batch) => this.#sendEntries(batch), BATCHES, failures);
    this.#records = new RequestBatcher((batch) => this.#sendRecords(batch), BATCHES, failures);
  }

  /** Adds one call, in a batch with those of the same tick, or with those that wait for an earlier batch's reply. */
  add(call: PreparedCall): Promise<PlacementResult> {
    return (call.kind === 'entry' ? this.#entries : this.#records).add(call);
  }

  /** Adds many calls. Returns their results in order. */
  async addMany(calls: readonly PreparedCall[]): Promise<(PlacementResult | FailedCall)[]> {
    const entries = calls.filter((call) => call.kind === 'entry');
    const records = calls.filter((call) => call.kind !== 'entry');
    const errorOfUnsent = (error: unknown) => this.#errorOfWaiting(error) ?? error;
    const sending = Promise.all([
      sendInBatches(entries, (batch) => this.#sendEntries(batch), BATCHES, errorOfUnsent),
      sendInBatches(records, (batch) => this.#sendRecords(batch), BATCHES, errorOfUnsent),
    ]);
    this.#sending.add(sending);
    const sent = await sending.finally(() => this.#sending.delete(sending));
    const [ofEntries, ofRecords] = sent.map((batches) =>
      batches.flatMap(({ outputs, error }) => outputs.map((output) => output ?? new FailedCall(error))),
    );
    let entry = 0;
    let record = 0;
    return calls.map((call) => (call.kind === 'entry' ? ofEntries![entry++]! : ofRecords![record++]!));
  }

  /**
   * Puts a call under its key in place of whatever is there.
   * @param isElsewhere - whether other partitions may have the key, too
   */
  async replace(call: PreparedCall, isElsewhere: boolean): Promise<PlacementResult> {
    const [result] = await this.#strikes.place([call], (calls, version) =>
      this.#send([call], async (redis) => {
        if (calls.length === 0) return await this.#confirmVersion(redis, version);
        const replaced = await replace(redis, this.#settings.keys, call, { strikes: version, isElsewhere });
        return replaced && [replaced];
      }),
    );
    return result!;
  }

  /** Whether every call has its reply. */
  get isIdle(): boolean {
    return this.#entries.isIdle && this.#records.isIdle && this.#sending.size === 0;
  }

  /** Whether a reply takes long at the moment. After a slow reply, the next one is assumed to take long, until it is there. */
  get isSlow(): boolean {
    const [first] = this.#unanswered;
    return first !== undefined && (this.#lastTookMs >= SLOW_MS || monotonicMs() - first.sentMs >= SLOW_MS);
  }

  /** Resolves when every call has its reply. */
  async idle(): Promise<void> {
    await Promise.all([this.#entries.idle(), this.#records.idle(), ...this.#sending]);
  }

  #sendEntries(batch: readonly PreparedCall[]): Promise<readonly PlacementResult[]> {
    return this.#strikes.place(batch, (calls, version) => {
      return this.#send(batch, async (redis) => {
        const nowMs = await enqueue(redis, this.#settings.keys, calls, version);
        if (nowMs === null) return null;
        return new Array<Placed>(calls.length).fill({ isNew: true, generation: 0, nowMs });
      });
    });
  }

  #sendRecords(batch: readonly PreparedCall[]): Promise<readonly PlacementResult[]> {
    return this.#strikes.place(batch, (calls, version) => {
      const placements = calls as readonly (PreparedCall & { kind: PlacementKind })[];
      return this.#send(batch, (redis) =>
        calls.length > 0
          ? schedule(redis, this.#settings.keys, placements, version)
          : this.#confirmVersion(redis, version),
      );
    });
  }

  /** Asks whether a version of the strikes is the latest, for a batch that is struck as a whole; `null` when it is not. */
  async #confirmVersion(redis: Redis, version: string): Promise<[] | null> {
    return (await enqueue(redis, this.#settings.keys, [], version)) === null ? null : [];
  }

  /** Writes a batch. Distinguishes a refusal, after which nothing is written, from silence, after which it is unknown. */
  async #send(
    batch: readonly PreparedCall[],
    write: (redis: Redis) => Promise<Placed[] | null>,
  ): Promise<Placed[] | null> {
    const sent = { sentMs: monotonicMs() };
    this.#unanswered.add(sent);
    try {
      return await this.#write(batch, write);
    } finally {
      this.#unanswered.delete(sent);
      this.#lastTookMs = monotonicMs() - sent.sentMs;
    }
  }

  async #write(
    batch: readonly PreparedCall[],
    write: (redis: Redis) => Promise<Placed[] | null>,
  ): Promise<Placed[] | null> {
    const redis = this.#connection.usable ?? (await this.#connection.ready()); // if there is nothing to wait for, the batch goes out in this tick
    if (this.#settings.durability) await this.#checkReplication(redis);
    const placed = await write(redis).catch((error: unknown) => {
      throw this.#failureOf(error, batch);
    });
    return this.#settings.durability && placed?.length ? await this.#replicated(redis, placed) : placed;
  }

  #failureOf(error: unknown, batch: readonly PreparedCall[]): unknown {
    if (!(error instanceof Error)) return error;
    if (isReplyError(error)) {
      const where = describeDocket(this.#settings);
      return new RedisUnavailableError(`${where} refused the add: ${explainReply(error)}`, { cause: error });
    }
    return new AddUnconfirmedError(batch[0]!.key, { cause: error });
  }

  /** Calls that wait behind a link that broke were not sent. They would wait for one more attempt to connect after the other. */
  #errorOfWaiting(error: unknown): unknown {
    if (error instanceof LayoutChanged) return error;
    const where = describeDocket(this.#settings);
    if (error instanceof AddUnconfirmedError) {
      const problem = `${where} could not be used: the link broke before the add was sent, so nothing was written`;
      return new RedisUnavailableError(problem, { cause: error.cause });
    }
    return error instanceof RedisUnavailableError && !isReplyError(error.cause) ? error : null;
  }

  /** Rejects the first add, before anything is written, when the server cannot do what `durability` asks for. */
  async #checkReplication(redis: Redis): Promise<void> {
    this.#canReplicate ??= this.#connection.explained(canWaitForReplicas(redis));
    const canReplicate = await this.#canReplicate.catch((error: unknown) => {
      this.#canReplicate = undefined; // the next add asks again
      throw error;
    });
    if (canReplicate) return;
    const where = describeDocket(this.#settings);
    throw new RedisUnavailableError(`${where} has no WAIT, which the option durability needs: leave the option out`);
  }

  /** Waits for the replicas, on the connection that wrote. A lost reply proves nothing, so it counts as 0. */
  async #replicated(redis: Redis, placed: readonly Placed[]): Promise<Placed[]> {
    const { replicas, timeoutMs } = this.#settings.durability!;
    const count = await waitForReplicas(redis, replicas, timeoutMs).catch(() => 0);
    return placed.map((one) => ({ ...one, replicas: count }));
  }
}

/**
 * Checks that enough replicas have the written calls. Struck calls were not written, so no replica needs them.
 * @throws DurabilityError when too few replicas had one of the calls in time
 */
export function checkDurability(
  { durability }: DocketSettings,
  handles: readonly Execution<unknown>[],
  results: readonly PlacementResult[],
): void {
  if (!durability) return;
  const { replicas: wanted, timeoutMs } = durability;
  const replicasOf = (one: PlacementResult) => (one instanceof StruckCall ? wanted : (one.replicas ?? 0));
  const fewest = results.reduce((least, one) => Math.min(least, replicasOf(one)), wanted);
  if (fewest < wanted) throw new DurabilityError(handles, fewest, wanted, timeoutMs);
}

/** Returns the error of one caller of a batch, who learns the key of its own execution. */
function errorOfCall(error: unknown, { key }: PreparedCall): unknown {
  if (!(error instanceof AddUnconfirmedError) || error.key === key) return error;
  return new AddUnconfirmedError(key, { cause: error.cause });
}
