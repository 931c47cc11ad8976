/**
 * Reads entries as there is room for them, claims those that have a record or must pass limits, and hands them to the
 * dispatcher.
 *
 * Blocks on the streams when there are none, so an idle worker costs about one command a second; waits for room when the
 * threads have enough. Claims are not awaited before the next read: the batch that was read is claimed while the next
 * one travels.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { type BatchSize, batchesOf } from '../../core/batcher.js';
import { monotonicMs } from '../../core/clock.js';
import { UndecodableValueError } from '../../core/errors.js';
import { jittered, pause, Service } from '../../core/service.js';
import {
  type AdmissionCheck,
  type AdmissionRequest,
  type AdmissionResult,
  admit,
} from '../../redis/admission-store.js';
import { claim, ensureGroups, quarantine } from '../../redis/delivery-store.js';
import type { Entry } from '../../redis/entry.js';
import type { Keys } from '../../redis/keys.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import { BATCH_BYTES, BATCH_ITEMS } from '../../redis/schema.js';
import { readEntries } from '../../redis/stream-reader.js';
import type { Logger } from '../../tasks/context.js';
import { type Delivery, deliveryOf, keyOf, ticketOf } from '../delivery.js';
import type { AttemptBudget } from './attempt-budget.js';
import type { Catalog } from './catalog.js';

/** Entries in one read at most: more gains nothing (measured), and a reply is held in memory as a whole. */
const READ_ITEMS = 1_024;
/** Bytes in one read, as far as the entries seen before foretell it. */
const READ_BYTES = 8 * 1024 * 1024;
/** Bytes of messages in hand, as far as the entries seen before foretell them. */
const HELD_BYTES = 256 * 1024 * 1024;
const RETRY_AFTER_MS = 250;
const UNBLOCK_EVERY_MS = 20;

export interface IntakeOptions {
  /** For blocking reads; nothing else uses it. */
  readonly blocking: Redis;
  readonly commands: Redis;
  readonly keys: Keys;
  readonly consumer: string;
  readonly workerName: string;
  readonly longestReadMs: number;
  readonly leaseMs: number;
  readonly logger: Logger;
  /** What can be run here. */
  catalog(): Catalog;
  /** How many deliveries may be read now. */
  room(): number;
  /** How many are in hand. */
  held(): number;
  /** Takes what is ours to run. */
  take(deliveries: readonly Delivery[]): void;
  /** Takes what nobody here can run: another task, or what a newer version wrote. */
  refuse(delivery: Delivery): void;
  /** What may be claimed under certain keys. */
  readonly allowance: AttemptBudget;
  /** Takes what is beyond that. */
  leave(delivery: Delivery): void;
  /** Settles it when it is struck; answers whether it was. */
  withholds(delivery: Delivery): boolean;
  /** Takes what its limits do not let run, and what cannot be counted by them. */
  drop(delivery: Delivery, verdict: DropReason): void;
}

/** Why an execution does not run: a limit dropped it, or it lacks an argument that a limit counts by. */
export type DropReason = Exclude<AdmissionResult, 'refused' | 'parked' | 'failed'> | Error;

interface Limited {
  readonly delivery: Delivery;
  readonly gates: readonly AdmissionCheck[];
}

const CLAIM_BATCH: BatchSize<Delivery> = { maxItems: BATCH_ITEMS, maxBytes: Number.POSITIVE_INFINITY, sizeOf: () => 0 };
/** The script moves the messages of those who must wait. */
const ADMIT_BATCH: BatchSize<Limited> = {
  maxItems: BATCH_ITEMS,
  maxBytes: BATCH_BYTES,
  sizeOf: ({ delivery }) => delivery.envelope.bytes.length,
};

export class Intake extends Service {
  readonly #options: IntakeOptions;
  /** Read, but not claimed yet. */
  readonly #claiming = new Set<Delivery>();
  #claims: Promise<void> = Promise.resolve();
  #averageBytes = 256;
  #wake: (() => void) | undefined;
  #clientId: number | undefined;
  #isStopping = false;
  #lastPollMs = 0;

  constructor(options: IntakeOptions) {
    super();
    this.#options = options;
    options.blocking.on('ready', this.#learnClientId);
    this.#learnClientId();
  }

  /** Deliveries between their read and their claim. */
  get claiming(): ReadonlySet<Delivery> {
    return this.#claiming;
  }

  /** When the server last answered a read or a claim, by this process' monotonic clock. */
  get lastPollMs(): number {
    return this.#lastPollMs;
  }

  /** Whether it can really take work: it has polled within `patienceMs`, or does not because all threads have enough. */
  isTaking(patienceMs: number): boolean {
    if (this.#isStopping) return false;
    const { room, held } = this.#options;
    return monotonicMs() - this.#lastPollMs <= patienceMs || (held() > 0 && room() <= 0);
  }

  /** There may be room again. */
  wake(): void {
    this.#wake?.();
  }

  override async stop(): Promise<void> {
    this.#isStopping = true;
    let isReading = true;
    const stopped = super.stop().finally(() => {
      isReading = false;
    });
    this.wake();
    // Until it helps: a read that is still on its way to the server is not blocked there yet.
    while (isReading) {
      await this.#unblock();
      await Promise.race([stopped, delay(UNBLOCK_EVERY_MS)]);
    }
    await this.#claims;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    let reading: Promise<Entry[]> | null = null;
    this.#lastPollMs = monotonicMs();
    while (!signal.aborted || reading) {
      reading ??= this.#read(0, signal);
      if (!reading) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        const entries: Entry[] = await reading;
        this.#lastPollMs = monotonicMs();
        // Asked for before these are dealt with: the server collects the next batch while this one is dispatched.
        reading = entries.length > 0 ? this.#read(entries.length, signal) : null;
        this.#accept(entries);
      } catch (error) {
        reading = null;
        if (!signal.aborted) await this.#recover(error, logger, signal);
      }
    }
  }

  /** Starts a read of as many entries as there is room for beside `unseen` ones and those being claimed; `null` for none. */
  #read(unseen: number, signal: AbortSignal): Promise<Entry[]> | null {
    const { blocking, keys, consumer, longestReadMs, room, held } = this.#options;
    const onTheWay = unseen + this.#claiming.size;
    const count = Math.min(
      room() - onTheWay,
      READ_ITEMS,
      Math.ceil(READ_BYTES / this.#averageBytes),
      Math.ceil(HELD_BYTES / this.#averageBytes) - held() - onTheWay,
    );
    if (count <= 0 || signal.aborted) return null;
    const reading = readEntries(blocking, keys, { consumer, count, blockMs: longestReadMs });
    reading.catch(() => undefined); // handled where it is awaited, which may be later
    return reading;
  }

  #accept(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const lean: Delivery[] = [];
    const recorded: Delivery[] = [];
    const limited: Limited[] = [];
    let bytes = 0;
    for (const entry of entries) {
      bytes += entry.message?.length ?? 0;
      this.#quarantiningUnreadable(entry, () => {
        const delivery = deliveryOf(entry, (task) => this.#options.catalog().policiesOf(task));
        if (delivery.policies === null) return this.#options.refuse(delivery);
        if (this.#options.withholds(delivery)) return; // before its limits count it
        const gates = this.#gatesOf(delivery);
        if (gates instanceof Error) this.#options.drop(delivery, gates);
        else if (!this.#options.allowance.take(keyOf(delivery))) this.#options.leave(delivery);
        else if (gates) limited.push({ delivery, gates });
        else if (delivery.record === null) lean.push(delivery);
        else recorded.push(delivery);
      });
    }
    this.#averageBytes = Math.max(64, 0.5 * this.#averageBytes + (0.5 * bytes) / entries.length);
    if (lean.length > 0) this.#options.take(lean);
    for (const batch of batchesOf(recorded, CLAIM_BATCH)) this.#claims = this.#claim(batch, this.#claims);
    for (const batch of batchesOf(limited, ADMIT_BATCH)) this.#claims = this.#admit(batch, this.#claims);
  }

  #gatesOf({ policies, envelope }: Delivery): readonly AdmissionCheck[] | Error | null {
    if (!policies?.limits) return null;
    try {
      return this.#options.catalog().gatesOf(envelope);
    } catch (error) {
      if (error instanceof UndecodableValueError) throw error;
      return error as Error;
    }
  }

  /** Claims what has a record. */
  #claim(batch: readonly Delivery[], earlier: Promise<void>): Promise<void> {
    const { commands, keys, workerName } = this.#options;
    const claims = batch.map(({ record, token, envelope }) => ({ key: record!, token, attempt: envelope.attempt }));
    return this.#own(batch, earlier, async () => {
      const refused = new Set(await claim(commands, keys, workerName, claims));
      return batch.map((_, i) => (refused.has(i) ? 'refused' : null));
    });
  }

  /** Claims what has limits; what they keep from running waits in Redis, or is dropped. */
  #admit(batch: readonly Limited[], earlier: Promise<void>): Promise<void> {
    const { commands, keys, workerName, consumer } = this.#options;
    const applicants = batch.map(applicantOf);
    const deliveries = batch.map(({ delivery }) => delivery);
    return this.#own(deliveries, earlier, () => admit(commands, keys, { worker: workerName, consumer }, applicants));
  }

  /**
   * Makes what was read ours. Batches are claimed side by side but taken as they were read: an answer can be overtaken
   * while the server is still to learn the script. Never rejects, and resolves after `earlier`.
   */
  async #own(
    batch: readonly Delivery[],
    earlier: Promise<void>,
    claimOnce: () => Promise<readonly (AdmissionResult | null)[]>,
  ): Promise<void> {
    const { logger, take, drop } = this.#options;
    for (const delivery of batch) this.#claiming.add(delivery);
    try {
      const claiming = this.#untilLeaseEnds(claimOnce);
      claiming.catch(() => undefined); // handled below, which may be later
      await earlier;
      const verdicts = await claiming;
      const claimed = batch.filter((_, i) => verdicts[i] === null);
      if (claimed.length < batch.length) this.#giveBack(batch, claimed);
      take(claimed);
      batch.forEach((delivery, i) => {
        const verdict = verdicts[i];
        if (verdict && isDrop(verdict)) drop(delivery, verdict);
      });
      const failed = verdicts.filter((verdict) => verdict === 'failed').length;
      if (failed > 0) logger.error({ failed }, 'executions met an error in the script and are left to their leases');
    } catch (error) {
      this.#giveBack(batch, []);
      // Left alone, the entries are redelivered when their lease ends.
      logger.error({ error: String(error), count: batch.length }, 'executions could not be claimed');
    } finally {
      for (const delivery of batch) this.#claiming.delete(delivery);
      this.wake(); // what was refused left its room
    }
  }

  #giveBack(batch: readonly Delivery[], claimed: readonly Delivery[]): void {
    const kept = new Set(claimed);
    for (const delivery of batch) if (!kept.has(delivery)) this.#options.allowance.refund(keyOf(delivery));
  }

  /** Claiming twice does no harm: who was let through is let through again. */
  async #untilLeaseEnds<T>(claimOnce: () => Promise<T>): Promise<T> {
    const giveUpMs = monotonicMs() + this.#options.leaseMs;
    for (;;) {
      try {
        const claimed = await claimOnce();
        this.#lastPollMs = monotonicMs();
        return claimed;
      } catch (error) {
        if (monotonicMs() > giveUpMs || this.#isStopping) throw error;
        this.#options.logger.warn({ error: String(error) }, 'claiming failed, trying again');
        await delay(jittered(RETRY_AFTER_MS));
      }
    }
  }

  #quarantiningUnreadable(entry: Entry, read: () => void): void {
    try {
      read();
    } catch (error) {
      const { commands, keys, logger } = this.#options;
      const reason = error instanceof Error ? error.message : String(error);
      logger.error({ token: entry.token, reason }, 'a message that cannot be read was put into quarantine');
      const { token, record, message } = entry;
      quarantine(commands, keys, { token, record, reason, message: message ?? Buffer.alloc(0) }).catch((e) =>
        logger.error({ error: String(e) }, 'the quarantine failed: the message comes back when its lease ends'),
      );
    }
  }

  /** Streams and group may vanish (FLUSHALL, a restart without persistence): they are made anew, and reading goes on. */
  async #recover(error: unknown, logger: Logger, signal: AbortSignal): Promise<void> {
    const text = String(error);
    logger.warn({ error: text }, 'reading failed, trying again');
    try {
      if (isGroupMissing(error)) await ensureGroups(this.#options.commands, this.#options.keys);
      else await pause(jittered(RETRY_AFTER_MS), signal);
    } catch {
      await pause(jittered(RETRY_AFTER_MS), signal);
    }
  }

  /** Ends a blocking read at once; where the server cannot, the read ends by itself within its block time. */
  async #unblock(): Promise<void> {
    if (this.#clientId === undefined) return;
    await this.#options.commands.client('UNBLOCK', this.#clientId).catch(() => undefined);
  }

  /** The id that UNBLOCK takes; each reconnect gets another one. */
  readonly #learnClientId = () => {
    this.#options.blocking.client('ID').then(
      (id) => {
        this.#clientId = id as number;
      },
      () => undefined,
    );
  };
}

function isDrop(verdict: AdmissionResult): verdict is Exclude<DropReason, Error> {
  return verdict !== 'refused' && verdict !== 'parked' && verdict !== 'failed';
}

function applicantOf({ delivery, gates }: Limited): AdmissionRequest {
  const { record, token, envelope, admissionStage, holdsPermits } = delivery;
  const { attempt, ttlMs } = envelope;
  const id = record === null ? (envelope.id ?? token) : '';
  return { record, token, attempt, ttlMs, ticket: ticketOf(delivery), id, admissionStage, holdsPermits, checks: gates };
}
