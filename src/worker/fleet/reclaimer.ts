/**
 * Redelivers executions of the whole docket whose leases ran out. Also scans slowly for executions that have lost their
 * place because somebody deleted a stream or the schedule.
 *
 * One worker of the fleet sweeps at a time. It leaves alone what is in its own hands: if its own renewals were late, these
 * executions are still running here. Entries that are pending under its name but not in its hands, because the reply to a read was
 * lost with a connection, are redelivered like those of any other worker.
 *
 * A lease says something about its worker only if the worker could renew it. After an outage, or when the server's clock was
 * set forward, all leases may have run out at once. So it waits until every live worker must have renewed its leases.
 */
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service } from '../../core/service.js';
import { redeliver, type Token } from '../../redis/delivery-store.js';
import { liveLeases } from '../../redis/fleet-store.js';
import { isForbidden, isGroupMissing } from '../../redis/reply-errors.js';
import { STREAM_NAMES, type StreamName } from '../../redis/schema.js';
import {
  beginSweep,
  type Expired,
  FIRST_PAGE,
  findExpired,
  forgetDeadConsumers,
  mendLost,
} from '../../redis/sweep-store.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';
import { logRetry } from '../log-retry.js';

/** Pages of all keys that one sweep looks at, 128 keys each, for executions that have lost their place. */
const SCAN_PAGES = 8;

export interface ReclaimerOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'keys' | 'streams' | 'leaseMs' | 'clock' | 'logger'> {
  /** How long others may take to reconnect after an outage, in milliseconds. */
  readonly reconnectionMs: number;
  /** Returns all deliveries of this worker. */
  inHand(): Iterable<{ readonly token: Token }>;
}

export class Reclaimer extends Service {
  readonly #options: ReclaimerOptions;
  /** Where the next sweep continues to look for permits whose entries have vanished. */
  #cursor = '0';
  /** Whether this user may scan the keys, as far as is known so far. */
  #canScan = true;
  #isFailing = false;
  /** When the first sweep succeeded after others had failed, on the monotonic clock. */
  #recoveredMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReclaimerOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { streams, leaseMs, logger } = this.#options;
    // A lease that ran out is noticed after half a lease at most. The fleet shares the sweeps.
    const everyMs = Math.min(leaseMs / 3, 10_000);
    while (!signal.aborted) {
      await pause(jittered(everyMs), signal);
      if (signal.aborted) return; // a last sweep would keep others from sweeping for a while
      if (!this.#couldAllRenew(leaseMs)) continue;
      try {
        await this.#sweep(everyMs / 2, signal);
      } catch (error) {
        this.#isFailing = true;
        if (signal.aborted) return;
        logRetry(logger, error, 'looking for expired leases failed');
        if (isGroupMissing(error)) await streams.restore().catch(() => undefined);
      }
    }
  }

  /** Sweeps, unless another worker has begun to do so within `pauseMs`. */
  async #sweep(pauseMs: number, signal: AbortSignal): Promise<void> {
    const { redis, keys, clock } = this.#options;
    const askedMs = monotonicMs();
    const begun = await beginSweep(redis, keys, { pauseMs, cursor: this.#cursor });
    if (this.#isFailing) this.#recoveredMs = monotonicMs();
    this.#isFailing = false;
    if (begun === null) return;
    this.#cursor = begun.cursor;
    clock.learn(begun.nowMs, askedMs);
    const leases = await liveLeases(redis, keys, begun.nowMs);
    // The longest that anybody asked for, so that a worker with a shorter one takes nothing from the others.
    let { leaseMs } = this.#options;
    for (const asked of leases.values()) leaseMs = Math.max(leaseMs, asked);
    if (!this.#couldAllRenew(leaseMs)) return;
    await Promise.all(STREAM_NAMES.map((stream) => this.#sweepStream(stream, leaseMs, signal)));
    await forgetDeadConsumers(redis, keys, new Set(leases.keys()), leaseMs);
    if (this.#canScan) await this.#mendLost(signal);
  }

  /** Redelivers what has expired on one stream, page by page. */
  async #sweepStream(stream: StreamName, leaseMs: number, signal: AbortSignal): Promise<void> {
    const { redis, keys } = this.#options;
    for (let from: string | null = FIRST_PAGE; from !== null && !signal.aborted; ) {
      const { expired, next } = await findExpired(redis, keys, { stream, leaseMs, from });
      const inHand = tokensOf(this.#options.inHand());
      const count = await this.#redeliver(
        expired.filter(({ token }) => !inHand.has(token)),
        leaseMs,
      );
      // A script moves 1 MiB at most. Redelivered entries are no longer pending, so the rest is on the same page.
      if (count === 0) from = next;
    }
  }

  /** Looks at a few pages of all keys. Once it finds something, it goes on to the last page. */
  async #mendLost(signal: AbortSignal): Promise<void> {
    const { redis, keys, logger } = this.#options;
    let [known, unknown] = [0, 0];
    try {
      for (let pages = 1, isOver = false; !isOver && !signal.aborted; pages++) {
        const page = await mendLost(redis, keys);
        known += page.known;
        unknown += page.unknown;
        isOver = page.next === null || (pages >= SCAN_PAGES && known + unknown === 0);
      }
    } catch (error) {
      if (!isForbidden(error)) throw error;
      this.#canScan = false;
      logger.warn({ error: String(error) }, 'without SCAN, executions whose entries were deleted are not found');
    }
    if (known > 0) logger.warn({ count: known }, 'executions that had lost their place are scheduled again');
    if (unknown > 0) logger.error({ count: unknown }, 'executions whose entries were deleted have failed');
  }

  /** Returns the number redelivered. */
  async #redeliver(expired: readonly Expired[], leaseMs: number): Promise<number> {
    if (expired.length === 0) return 0;
    const { redis, keys, logger } = this.#options;
    const tokens = expired.map(({ token }) => token);
    const count = await redeliver(redis, keys, leaseMs, tokens);
    if (count > 0) {
      const from = [...new Set(expired.map(({ consumer }) => consumer))];
      logger.warn({ count, from }, 'executions whose worker fell silent are delivered again');
    }
    return count;
  }

  /** Whether every live worker has had the time to reach the server and renew leases of `leaseMs`. */
  #couldAllRenew(leaseMs: number): boolean {
    const { link, clock, reconnectionMs } = this.#options;
    const troubleMs = Math.max(link.lastTroubleMs, clock.lastLeapMs, this.#recoveredMs);
    return monotonicMs() - troubleMs >= leaseMs / 3 + reconnectionMs;
  }
}
