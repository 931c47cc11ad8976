/**
 * Claims deliveries with records and admits those with limits, in batches, and hands on those that are then ours.
 *
 * Owns:
 * - every delivery between its read and the answer to its claim
 * - the order: batches are claimed side by side but handed on as they were read, because an answer can be overtaken while
 *   the server still has to learn the script
 */
import { assertNever } from '../../core/assert.js';
import { type BatchSize, batchesOf } from '../../core/batcher.js';
import { monotonicMs } from '../../core/clock.js';
import { type AdmissionRequest, type AdmissionResult, admit } from '../../redis/admission-store.js';
import { claim } from '../../redis/delivery-store.js';
import { BATCH_BYTES, BATCH_ITEMS, LIGHT_BATCH_ITEMS } from '../../redis/schema.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, ticketOf } from '../delivery.js';
import { logRetry } from '../log-retry.js';
import { retryUntilLeaseEnds } from '../retry-until-lease-ends.js';
import type { DroppingLimit } from '../settle/settler.js';
import type { Limited } from './classify.js';
import { START_WITHIN_MS } from './late-starts.js';

const RETRY_AFTER_MS = 250;
const CLAIM_BATCH: BatchSize<Delivery> = { maxItems: LIGHT_BATCH_ITEMS };
/** Bounded in bytes too, because the script moves the messages of those that must wait. */
const ADMIT_BATCH: BatchSize<Limited> = {
  maxItems: BATCH_ITEMS,
  maxBytes: BATCH_BYTES,
  sizeOf: ({ delivery }) => delivery.envelope.bytes.length,
};

export interface ClaimerOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'keys' | 'consumer' | 'workerName' | 'leaseMs' | 'logger'> {
  /** Takes deliveries that are ours to run. */
  take(deliveries: readonly Delivery[]): void;
  /** Settles a delivery that a limit has dropped. */
  drop(delivery: Delivery, limit: DroppingLimit): void;
  /** Called for each delivery that is not ours to run after all. */
  onNotClaimed(delivery: Delivery): void;
  /** Called after each batch, because deliveries that were not claimed have made room. */
  onRoom(): void;
}

/** `null` when the execution may run. */
type ClaimResult = AdmissionResult | null;

export class Claimer {
  readonly #options: ClaimerOptions;
  readonly #claiming = new Set<Delivery>();
  /** Resolves when the batch that was read last is handed on. */
  #lastBatch: Promise<void> = Promise.resolve();
  #lastAnswerMs = 0;
  #isClosed = false;

  constructor(options: ClaimerOptions) {
    this.#options = options;
  }

  /** Deliveries between their read and the answer to their claim. */
  get claiming(): ReadonlySet<Delivery> {
    return this.#claiming;
  }

  /** When the server last answered a claim, in milliseconds of this process' monotonic clock; 0 before the first. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  /** From now on nothing is claimed, and a claim that fails is not tried again. Claims in flight are still answered. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when every claim is answered, or given up. */
  async idle(): Promise<void> {
    await this.#lastBatch;
  }

  /** Claims deliveries that have a record and no limits. */
  claim(deliveries: readonly Delivery[]): void {
    for (const batch of batchesOf(deliveries, CLAIM_BATCH)) {
      this.#lastBatch = this.#takeOwnership(batch, this.#lastBatch, () => this.#claimOnce(batch));
    }
  }

  /** Claims deliveries that have limits. Those that may not run now wait in Redis, or are dropped. */
  admit(limited: readonly Limited[]): void {
    for (const batch of batchesOf(limited, ADMIT_BATCH)) {
      const deliveries = batch.map(({ delivery }) => delivery);
      const requests = batch.map(requestOf);
      for (const one of batch) one.delivery.countedBy = rateOf(one);
      this.#lastBatch = this.#takeOwnership(deliveries, this.#lastBatch, () => this.#admitOnce(requests));
    }
  }

  async #claimOnce(batch: readonly Delivery[]): Promise<ClaimResult[]> {
    const { redis, keys, workerName, logger } = this.#options;
    const claims = batch.map(({ record, token, envelope }) => ({ key: record!, token, attempt: envelope.attempt }));
    const { refused: indexes, errors } = await claim(redis, keys, workerName, claims);
    if (errors.length > 0) logger.error({ errors }, 'executions whose records cannot be used are kept as failures');
    const refused = new Set(indexes);
    return batch.map((_, i) => (refused.has(i) ? 'refused' : null));
  }

  #admitOnce(requests: readonly AdmissionRequest[]): Promise<ClaimResult[]> {
    const { redis, keys, workerName, consumer } = this.#options;
    return admit(redis, keys, { worker: workerName, consumer }, requests);
  }

  /** Never rejects, and resolves after `earlier`. */
  async #takeOwnership(
    batch: readonly Delivery[],
    earlier: Promise<void>,
    claimOnce: () => Promise<ClaimResult[]>,
  ): Promise<void> {
    const { logger, onNotClaimed, onRoom } = this.#options;
    for (const delivery of batch) this.#claiming.add(delivery);
    try {
      let sentMs = 0;
      const claiming = this.#untilLeaseEnds(() => {
        sentMs = monotonicMs();
        return claimOnce();
      });
      claiming.catch(() => undefined); // handled below, which may be later
      await earlier;
      const results = await claiming;
      // When it was counted is not known: the answer may have waited for this process as long as for the server.
      const isLate = monotonicMs() - sentMs > START_WITHIN_MS;
      const mustCountAgain = isLate && batch.some(({ countedBy }) => countedBy !== null);
      this.#handOn(batch, mustCountAgain ? await this.#untilLeaseEnds(claimOnce) : results);
    } catch (error) {
      for (const delivery of batch) onNotClaimed(delivery);
      // Nothing else is done: the entries are redelivered when their lease ends.
      logger.error({ error: String(error), count: batch.length }, 'executions could not be claimed');
    } finally {
      for (const delivery of batch) this.#claiming.delete(delivery);
      onRoom();
    }
  }

  #handOn(batch: readonly Delivery[], results: readonly ClaimResult[]): void {
    const { logger, take, drop, onNotClaimed } = this.#options;
    take(batch.filter((_, i) => results[i] === null));
    let failed = 0;
    for (const [i, delivery] of batch.entries()) {
      const result = results[i]!;
      if (result === null) continue;
      onNotClaimed(delivery);
      switch (result) {
        case 'refused':
        case 'parked':
          break; // no longer ours
        case 'failed':
          failed += 1;
          break;
        case 'cooldown':
        case 'debounce':
        case 'rate':
          drop(delivery, result);
          break;
        default:
          assertNever(result);
      }
    }
    if (failed > 0) logger.error({ failed }, 'executions met an error in the script and are left to their leases');
  }

  /** Claiming twice does no harm: an execution that was admitted is admitted again. */
  #untilLeaseEnds(claimOnce: () => Promise<ClaimResult[]>): Promise<ClaimResult[]> {
    const { link, leaseMs, logger } = this.#options;
    const attempt = async () => {
      const results = await claimOnce();
      this.#lastAnswerMs = monotonicMs();
      return results;
    };
    return retryUntilLeaseEnds(attempt, {
      link,
      leaseMs,
      pauseMs: RETRY_AFTER_MS,
      canRetry: () => !this.#isClosed,
      onRetry: (error) => logRetry(logger, error, 'claiming failed'),
    });
  }
}

function requestOf({ delivery, checks }: Limited): AdmissionRequest {
  const { record, token, envelope, admissionStage, holdsPermits, hasBooking, priority } = delivery;
  const { attempt, ttlMs } = envelope;
  const id = record === null ? (envelope.id ?? token) : '';
  const ticket = ticketOf(delivery);
  return { record, token, attempt, ttlMs, ticket, id, admissionStage, holdsPermits, hasBooking, priority, checks };
}

/** Returns the name of the rate limit that counts the start on admission; `null` when it was counted before. */
function rateOf({ delivery, checks }: Limited): string | null {
  const { admissionStage, holdsPermits, hasBooking } = delivery;
  if (!hasBooking && (holdsPermits || admissionStage === 'attempt-admitted')) return null;
  return checks.find(({ kind }) => kind === 'rate')?.key ?? null;
}
