/**
 * Commits outcomes to Redis in batches and holds their deliveries, leases included, until that is confirmed.
 *
 * Executions that keep nothing need only be acknowledged; all others go through the settle script. A batch that fails is
 * sent again until the lease would be over: then whoever the entry passes to runs it again, and what comes from here
 * late is fenced off.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { assertNever } from '../core/assert.js';
import { Batcher } from '../core/batcher.js';
import { encodeError } from '../core/codec.js';
import { PoisonedError } from '../core/errors.js';
import type { Outcome } from '../core/protocol.js';
import { monotonicMs } from '../core/slots.js';
import { BATCH_BYTES, BATCH_ITEMS, finish, type Settlement, settle } from '../redis/delivery-store.js';
import type { Keys } from '../redis/keys.js';
import type { Logger } from '../tasks/context.js';
import { type Delivery, done, handedBack, keyOf, putBack, retried, survived } from './delivery.js';

/** How long an execution waits when no worker here knows its task. */
const UNKNOWN_TASK_DELAY_MS = 10_000;
const RETRY_AFTER_MS = 200;
/** Enough that no outcome waits for an answer about another: 130k/s with 2, 145k/s with 4 to 12 (lean no-ops, measured). */
const BATCHES_IN_FLIGHT = 6;
/** How long a suspect waits while another one runs. */
const SUSPECT_DELAY_MS = 1_000;

export interface SettlerOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly leaseMs: number;
  readonly maxDeliveries: number;
  readonly logger: Logger;
}

export class Settler {
  readonly #options: SettlerOptions;
  readonly #finishing: Batcher<Delivery>;
  readonly #settling: Batcher<Settling>;

  constructor(options: SettlerOptions) {
    this.#options = options;
    const limits = { maxItems: BATCH_ITEMS, maxBytes: BATCH_BYTES, maxInFlight: BATCHES_IN_FLIGHT };
    this.#finishing = new Batcher((batch) => this.#sendFinished(batch), { ...limits, sizeOf: () => 0 });
    this.#settling = new Batcher((batch) => this.#sendSettlements(batch), { ...limits, sizeOf: bytesOf });
  }

  /** Deliveries whose outcome is not confirmed yet; their leases must be kept. */
  *deliveries(): Iterable<Delivery> {
    yield* this.#finishing;
    for (const { delivery } of this.#settling) yield delivery;
  }

  /** Whether everything is committed, or given up. */
  get isIdle(): boolean {
    return this.#finishing.isIdle && this.#settling.isIdle;
  }

  /** Commits what became of an execution. */
  settle(delivery: Delivery, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'completed':
        return this.#end(delivery, 'completed', outcome.result);
      case 'failed':
        this.#log('warn', delivery, `failed: ${outcome.line}`);
        return this.#end(delivery, 'failed', null, outcome.error, outcome.line);
      case 'retry':
        this.#log('info', delivery, `is tried again: ${outcome.line}`);
        return this.#write(delivery, retried(delivery, outcome.due));
      case 'unknown':
        this.#log('warn', delivery, `is put back for ${UNKNOWN_TASK_DELAY_MS / 1000} s: no such task is loaded here`);
        return this.#write(delivery, putBack(delivery, UNKNOWN_TASK_DELAY_MS));
      case 'interrupted':
        return this.#write(delivery, handedBack(delivery));
      default:
        return assertNever(outcome);
    }
  }

  /** Gives claimed executions to whoever reads next; they have not run. */
  handBack(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#write(delivery, handedBack(delivery));
  }

  /** Suspects run one at a time: this one waits for its turn. */
  postpone(delivery: Delivery): void {
    this.#write(delivery, putBack(delivery, SUSPECT_DELAY_MS));
  }

  /** The thread died under the execution. If it ran alone it is charged for that, and given up when it was too often. */
  lostThread(delivery: Delivery, wasAlone: boolean): void {
    const charge = wasAlone ? 1 : 0;
    if (delivery.charges + charge >= this.#options.maxDeliveries)
      return this.poison(delivery, delivery.charges + charge);
    this.#log('warn', delivery, `lost its thread and is delivered again, ${charge ? 'charged' : 'uncharged'}`);
    this.#write(delivery, survived(delivery, charge));
  }

  /** The execution has ended its thread or process too often. */
  poison(delivery: Delivery, charges = delivery.charges): void {
    const error = new PoisonedError(keyOf(delivery), charges);
    this.#log('error', delivery, error.message);
    this.#end(delivery, 'failed', null, encodeError(error), `${error.name}: ${error.message}`);
  }

  /** Resolves when everything is committed, or given up. */
  async idle(): Promise<void> {
    await Promise.all([this.#finishing.idle(), this.#settling.idle()]);
  }

  /** The execution is over. What keeps nothing leaves no trace of how. */
  #end(
    delivery: Delivery,
    state: 'completed' | 'failed',
    result: Uint8Array | null,
    error: Uint8Array | null = null,
    line = '',
  ): void {
    const { record } = delivery;
    if (record !== null) return this.#write(delivery, done(delivery, record, state, result, error, line));
    this.#finishing.push(delivery);
  }

  #write(delivery: Delivery, settlement: Settlement): void {
    this.#settling.push({ delivery, settlement });
  }

  async #sendFinished(batch: readonly Delivery[]): Promise<void> {
    const { redis, keys, logger } = this.#options;
    const tokens = batch.map((delivery) => delivery.token);
    await this.#untilLeaseEnds(batch.length, async () => {
      const fenced = await finish(redis, keys, tokens);
      if (fenced > 0) logger.warn({ fenced }, 'executions ended here after their leases had passed on');
    });
  }

  async #sendSettlements(batch: readonly Settling[]): Promise<void> {
    const { redis, keys, logger } = this.#options;
    const settlements = batch.map((settling) => settling.settlement);
    const deliveries = batch.map((settling) => settling.delivery);
    await this.#untilLeaseEnds(batch.length, async () => {
      const { fenced, errors } = await settle(redis, keys, settlements);
      for (const { token } of fenced) {
        const delivery = deliveries.find((one) => one.token === token)!;
        this.#log('warn', delivery, 'ended here after its lease had passed on: nothing was written');
      }
      for (const error of errors) logger.error({ error }, 'the record of an execution that ended could not be written');
    });
  }

  async #untilLeaseEnds(count: number, write: () => Promise<void>): Promise<void> {
    const { redis, leaseMs, logger } = this.#options;
    const giveUpMs = monotonicMs() + leaseMs;
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (monotonicMs() > giveUpMs || redis.status === 'end') {
          logger.error({ error: String(error), count }, 'outcomes could not be written and are left to their leases');
          return;
        }
        logger.warn({ error: String(error), count }, 'outcomes could not be written, trying again');
        await delay(RETRY_AFTER_MS);
      }
    }
  }

  #log(level: 'info' | 'warn' | 'error', delivery: Delivery, message: string): void {
    const { task, attempt } = delivery.envelope;
    this.#options.logger[level]({ task, key: keyOf(delivery), attempt }, `${task} ${message}`);
  }
}

interface Settling {
  readonly delivery: Delivery;
  readonly settlement: Settlement;
}

function bytesOf({ settlement }: Settling): number {
  if (settlement.kind === 'again') return settlement.message.length;
  return (settlement.result?.length ?? 0) + (settlement.error?.length ?? 0);
}
