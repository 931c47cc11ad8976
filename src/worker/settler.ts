/**
 * Commits outcomes to Redis in batches and holds their deliveries, leases included, until that is confirmed.
 *
 * Executions that keep nothing need only be acknowledged; all others go through the settle script. A batch that fails is
 * sent again until the lease would be over: then whoever the entry passes to runs it again, and what comes from here
 * late is fenced off.
 */
import type { Redis } from 'ioredis';
import { assertNever } from '../core/assert.js';
import { Batcher } from '../core/batcher.js';
import { encodeError } from '../core/codec.js';
import { PoisonedError } from '../core/errors.js';
import type { Outcome } from '../core/protocol.js';
import { monotonicMs } from '../core/slots.js';
import { BATCH_BYTES, BATCH_ITEMS, finish, type Settlement, settle, type Token } from '../redis/delivery-store.js';
import type { Keys } from '../redis/keys.js';
import type { Logger } from '../tasks/context.js';
import { type Delivery, done, handedBack, keepsNothing, putBack, retried } from './delivery.js';

/** How long an execution waits when no worker here knows its task. */
const UNKNOWN_TASK_DELAY_MS = 10_000;
const RETRY_AFTER_MS = 200;

export interface SettlerOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly leaseMs: number;
  readonly maxDeliveries: number;
  readonly logger: Logger;
}

export class Settler {
  readonly #options: SettlerOptions;
  readonly #pending = new Set<Delivery>();
  readonly #finishing: Batcher<Token, null>;
  readonly #settling: Batcher<Settlement, boolean>;
  #idle: (() => void)[] = [];

  constructor(options: SettlerOptions) {
    this.#options = options;
    const { redis, keys } = options;
    const limits = { maxItems: BATCH_ITEMS, maxBytes: BATCH_BYTES, maxInFlight: 2 };
    const sendTokens = async (tokens: Token[]) => {
      const fenced = await finish(redis, keys, tokens);
      if (fenced > 0) options.logger.warn({ fenced }, 'executions ended here after their leases had passed on');
      return tokens.map(() => null);
    };
    const sendSettlements = async (settlements: Settlement[]) => {
      const fenced = new Set(await settle(redis, keys, settlements));
      return settlements.map((_, i) => !fenced.has(i));
    };
    this.#finishing = new Batcher(sendTokens, { ...limits, sizeOf: () => 0 });
    this.#settling = new Batcher(sendSettlements, { ...limits, sizeOf: bytesOf });
  }

  /** Deliveries whose outcome is not confirmed yet; their leases must be kept. */
  get pending(): ReadonlySet<Delivery> {
    return this.#pending;
  }

  /** Commits what became of an execution. */
  settle(delivery: Delivery, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'completed':
        if (keepsNothing(delivery)) return this.#commit(delivery, () => this.#finishing.add(delivery.token));
        return this.#write(delivery, done(delivery, 'completed', outcome.result));
      case 'failed':
        this.#log('warn', delivery, `failed: ${outcome.line}`);
        if (keepsNothing(delivery)) return this.#commit(delivery, () => this.#finishing.add(delivery.token));
        return this.#write(delivery, done(delivery, 'failed', null, outcome.error, outcome.line));
      case 'retry':
        this.#log('info', delivery, `is tried again in ${Math.round(outcome.delayMs)} ms: ${outcome.line}`);
        return this.#write(delivery, retried(delivery, outcome.delayMs));
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

  /** The thread died under the execution: it is charged for that, and given up when it has been too often. */
  lostThread(delivery: Delivery): void {
    const charges = delivery.deliveries + 1;
    if (charges < this.#options.maxDeliveries) {
      this.#log('warn', delivery, `lost its thread, is delivered again (${charges} of ${this.#options.maxDeliveries})`);
      return this.#write(delivery, handedBack(delivery, 1));
    }
    const error = new PoisonedError(delivery.key, charges);
    this.#log('error', delivery, error.message);
    this.settle(delivery, { kind: 'failed', error: encodeError(error), line: `${error.name}: ${error.message}` });
  }

  /** Resolves when everything is committed, or given up. */
  async idle(): Promise<void> {
    if (this.#pending.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #write(delivery: Delivery, settlement: Settlement): void {
    this.#commit(delivery, async () => {
      const isOwned = await this.#settling.add(settlement);
      if (!isOwned) this.#log('warn', delivery, 'ended here after its lease had passed on: nothing was written');
    });
  }

  #commit(delivery: Delivery, write: () => Promise<unknown>): void {
    this.#pending.add(delivery);
    const attempt = async (since: number): Promise<void> => {
      try {
        await write();
      } catch (error) {
        if (monotonicMs() - since < this.#options.leaseMs) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
          return await attempt(since);
        }
        this.#log('error', delivery, `could not be settled and is left to its lease: ${String(error)}`);
      }
    };
    void attempt(monotonicMs()).then(() => {
      this.#pending.delete(delivery);
      if (this.#pending.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  #log(level: 'info' | 'warn' | 'error', { key, envelope }: Delivery, message: string): void {
    const { task, attempt } = envelope;
    this.#options.logger[level]({ task, key, attempt }, `${task} ${message}`);
  }
}

function bytesOf(settlement: Settlement): number {
  if (settlement.kind === 'again') return settlement.message.length;
  return (settlement.result?.length ?? 0) + (settlement.error?.length ?? 0);
}
