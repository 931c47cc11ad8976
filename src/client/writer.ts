/**
 * Writes prepared executions to Redis in batches, and knows what became of each: placed, struck, refused with nothing
 * written, or unknown because the link broke before the answer.
 */
import type { Redis } from 'ioredis';
import { type BatchLimits, RequestBatcher, sendInBatches } from '../core/batcher.js';
import { AddUnconfirmedError, DurabilityError, RedisUnavailableError } from '../core/errors.js';
import {
  canWaitForReplicas,
  enqueue,
  type Placed,
  type PlacementKind,
  replace,
  schedule,
  waitForReplicas,
} from '../redis/producer-store.js';
import { isReplyError } from '../redis/reply-errors.js';
import { BATCH_BYTES, BATCH_ITEMS } from '../redis/schema.js';
import { loadStrikes } from '../redis/strike-store.js';
import type { Execution } from '../tasks/execution.js';
import { type DocketSettings, describeDocket } from './options.js';
import type { Prepared } from './prepare.js';
import { StrikeGate, Struck } from './strikes.js';

/** Two batches may be unanswered: one is executed while the next is encoded and written. */
const BATCHES: BatchLimits<Prepared> = {
  maxItems: BATCH_ITEMS,
  maxBytes: BATCH_BYTES,
  maxInFlight: 2,
  sizeOf: (item) => item.message.length,
};

/** What became of one execution. */
export type Written = Placed | Struck;

export interface WriterOptions {
  readonly settings: DocketSettings;
  connect(): Promise<Redis>;
  /** Turns what a read throws into an error of this package. */
  typed<T>(reading: Promise<T>): Promise<T>;
}

export class Writer {
  readonly #settings: DocketSettings;
  readonly #connect: () => Promise<Redis>;
  readonly #typed: WriterOptions['typed'];
  readonly #strikes: StrikeGate;
  readonly #entries: RequestBatcher<Prepared, Written>;
  readonly #records: RequestBatcher<Prepared, Written>;
  /** Batches of `addMany` on their way. */
  readonly #sending = new Set<Promise<unknown>>();
  #canReplicate: Promise<boolean> | undefined;

  constructor({ settings, connect, typed }: WriterOptions) {
    this.#settings = settings;
    this.#connect = connect;
    this.#typed = typed;
    this.#strikes = new StrikeGate(() => typed(connect().then((redis) => loadStrikes(redis, settings.keys))));
    this.#entries = new RequestBatcher((batch) => this.#sendEntries(batch), BATCHES);
    this.#records = new RequestBatcher((batch) => this.#sendRecords(batch), BATCHES);
  }

  /** Adds one, together with what others add in the same tick or while earlier batches are unanswered. */
  add(item: Prepared): Promise<Written> {
    return (item.kind === 'entry' ? this.#entries : this.#records).add(item);
  }

  /** Adds many; answers in their order, `null` for those of a batch that failed, with the first failure. */
  async addMany(items: readonly Prepared[]): Promise<{ written: (Written | null)[]; error: unknown }> {
    const entries = items.filter((item) => item.kind === 'entry');
    const records = items.filter((item) => item.kind !== 'entry');
    const sending = Promise.all([
      sendInBatches(entries, (batch) => this.#sendEntries(batch), BATCHES),
      sendInBatches(records, (batch) => this.#sendRecords(batch), BATCHES),
    ]);
    this.#sending.add(sending);
    const sent = await sending.finally(() => this.#sending.delete(sending));
    const [ofEntries, ofRecords] = sent.map((batches) => batches.flatMap((batch) => batch.outputs));
    let entry = 0;
    let record = 0;
    const written = items.map((item) => (item.kind === 'entry' ? ofEntries![entry++] : ofRecords![record++]) ?? null);
    return { written, error: sent.flat().find((batch) => batch.error !== null)?.error ?? null };
  }

  /** Puts one under its key, whoever has it. */
  async replace(item: Prepared): Promise<Written> {
    const [written] = await this.#strikes.place([item], (items, strikes) =>
      this.#send([item], async (redis) => {
        if (items.length === 0) return await this.#confirm(redis, strikes);
        const replaced = await replace(redis, this.#settings.keys, item, strikes);
        return replaced && [replaced];
      }),
    );
    return written!;
  }

  /** Resolves when everything has its answer. */
  async idle(): Promise<void> {
    await Promise.all([this.#entries.idle(), this.#records.idle(), ...this.#sending]);
  }

  /**
   * What is struck was not written, so no replica need have it.
   * @throws DurabilityError when too few replicas had one of them in time
   */
  checkDurability(handles: readonly Execution<unknown>[], written: readonly (Written | null)[]): void {
    if (!this.#settings.durability) return;
    const { replicas: wanted, timeoutMs } = this.#settings.durability;
    const replicasOf = (one: Written | null) => (one instanceof Struck ? wanted : (one?.replicas ?? 0));
    const fewest = written.reduce((least, one) => Math.min(least, replicasOf(one)), wanted);
    if (fewest < wanted) throw new DurabilityError(handles, fewest, wanted, timeoutMs);
  }

  #sendEntries(batch: readonly Prepared[]): Promise<readonly Written[]> {
    return this.#strikes.place(batch, (items, strikes) => {
      const messages = items.map((item) => item.message);
      return this.#send(batch, async (redis) => {
        const nowMs = await enqueue(redis, this.#settings.keys, messages, strikes);
        if (nowMs === null) return null;
        return new Array<Placed>(items.length).fill({ isNew: true, generation: 0, nowMs });
      });
    });
  }

  #sendRecords(batch: readonly Prepared[]): Promise<readonly Written[]> {
    return this.#strikes.place(batch, (items, strikes) => {
      const placements = items as readonly (Prepared & { kind: PlacementKind })[];
      return this.#send(batch, (redis) =>
        items.length > 0 ? schedule(redis, this.#settings.keys, placements, strikes) : this.#confirm(redis, strikes),
      );
    });
  }

  /** Asks whether a version of the strikes is the latest, for a batch that is struck as a whole; `null` when it is not. */
  async #confirm(redis: Redis, strikes: string): Promise<[] | null> {
    return (await enqueue(redis, this.#settings.keys, [], strikes)) === null ? null : [];
  }

  /** Tells a refusal, after which nothing was written, from silence, after which nobody knows. */
  async #send(batch: readonly Prepared[], write: (redis: Redis) => Promise<Placed[] | null>): Promise<Placed[] | null> {
    const redis = await this.#connect();
    if (this.#settings.durability) await this.#checkReplication(redis);
    const placed = await write(redis).catch((error: unknown) => {
      throw this.#failureOf(error, batch);
    });
    return this.#settings.durability && placed?.length ? await this.#replicated(redis, placed) : placed;
  }

  #failureOf(error: unknown, batch: readonly Prepared[]): unknown {
    if (!(error instanceof Error)) return error;
    if (isReplyError(error)) {
      const where = describeDocket(this.#settings);
      return new RedisUnavailableError(`${where} refused the add: ${error.message}`, { cause: error });
    }
    const [first] = batch;
    const which = batch.length === 1 ? first!.key : `${first!.key} and ${batch.length - 1} more`;
    return new AddUnconfirmedError(which, { cause: error });
  }

  /** Says at the first add, before anything is written, that the server cannot do what `durability` asks for. */
  async #checkReplication(redis: Redis): Promise<void> {
    this.#canReplicate ??= this.#typed(canWaitForReplicas(redis));
    const canReplicate = await this.#canReplicate.catch((error: unknown) => {
      this.#canReplicate = undefined; // the next add asks again
      throw error;
    });
    if (canReplicate) return;
    const where = describeDocket(this.#settings);
    throw new RedisUnavailableError(`${where} has no WAIT, which the option durability needs: leave it out there`);
  }

  /** Waits for the replicas, on the connection that wrote. An answer that is lost says nothing of any of them. */
  async #replicated(redis: Redis, placed: readonly Placed[]): Promise<Placed[]> {
    const { replicas, timeoutMs } = this.#settings.durability!;
    const count = await waitForReplicas(redis, replicas, timeoutMs).catch(() => 0);
    return placed.map((one) => ({ ...one, replicas: count }));
  }
}
