/**
 * Finds executions whose lease ran out, in the whole docket, and redelivers them.
 *
 * One worker of the fleet sweeps at a time. It leaves alone what is in its own hands: if its own renewals were late, these
 * executions are still running here. What is pending under its name but not in its hands, because the reply to a read was
 * lost with a connection, is redelivered like the entries of any other worker.
 *
 * A lease says something about its worker only if the worker could renew it. After an outage, or when the server's clock was
 * set forward, all leases may have run out at once. So it waits until each live worker must have renewed its own.
 */
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service } from '../../core/service.js';
import { ensureGroups, redeliver, sweep, type Token } from '../../redis/delivery-store.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';

/** Entries of each stream that one sweep looks at. A full sweep is followed by the next one at once. */
const SWEEP_ITEMS = 100;

export interface ReclaimerOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'keys' | 'leaseMs' | 'clock' | 'logger'> {
  /** How long others may take to reconnect after an outage, in milliseconds. */
  readonly reconnectionMs: number;
  /** Returns all deliveries of this worker. */
  held(): Iterable<{ readonly token: Token }>;
}

export class Reclaimer extends Service {
  readonly #options: ReclaimerOptions;
  /** Where the next sweep continues to look for permits whose entries have vanished. */
  #cursor = '0';
  #isFailing = false;
  /** When the first sweep succeeded after others had failed, on the monotonic clock. */
  #recoveredMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReclaimerOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, keys, leaseMs, logger } = this.#options;
    // A lease that ran out is noticed after half a lease at most. The fleet shares the sweeps.
    const everyMs = Math.min(leaseMs / 3, 10_000);
    while (!signal.aborted) {
      await pause(jittered(everyMs), signal);
      if (signal.aborted) return; // a last sweep would keep others from sweeping for a while
      if (!this.#couldAllRenew(leaseMs)) continue;
      try {
        let isMore = await this.#sweep(everyMs / 2);
        while (isMore && !signal.aborted) isMore = await this.#sweep(0);
      } catch (error) {
        this.#isFailing = true;
        if (signal.aborted) return;
        logger.warn({ error: String(error) }, 'looking for expired leases failed, trying again');
        if (isGroupMissing(error)) await ensureGroups(redis, keys).catch(() => undefined);
      }
    }
  }

  /**
   * Redelivers a page of expired entries. Returns whether there may be more. A sweep within `pauseMs` after another one
   * finds nothing to do; 0 follows up on this worker's own.
   */
  async #sweep(pauseMs: number): Promise<boolean> {
    const { redis, keys, leaseMs, clock, logger } = this.#options;
    const found = await sweep(redis, keys, { leaseMs, pauseMs, limit: SWEEP_ITEMS, cursor: this.#cursor });
    if (this.#isFailing) this.#recoveredMs = monotonicMs();
    this.#isFailing = false;
    if (!found) return false;
    this.#cursor = found.cursor;
    clock.learn(found.nowMs);
    if (!this.#couldAllRenew(found.leaseMs)) return false;
    const held = tokensOf(this.#options.held());
    const tokens = found.expired.map(({ token }) => token).filter((token) => !held.has(token));
    if (tokens.length === 0) return false;
    const count = await redeliver(redis, keys, found.leaseMs, tokens);
    if (count > 0) {
      const from = [...new Set(found.expired.map(({ consumer }) => consumer))];
      logger.warn({ count, from }, 'executions whose worker fell silent are delivered again');
    }
    return count > 0 && found.expired.length >= SWEEP_ITEMS;
  }

  /** Whether every live worker has had the time to reach the server and to renew leases of `leaseMs`. */
  #couldAllRenew(leaseMs: number): boolean {
    const { link, clock, reconnectionMs } = this.#options;
    const troubleMs = Math.max(link.lastTroubleMs, clock.lastLeapMs, this.#recoveredMs);
    return monotonicMs() - troubleMs >= leaseMs / 3 + reconnectionMs;
  }
}
