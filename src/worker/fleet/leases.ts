/**
 * Renews the leases of all deliveries of this worker, three times per lease, and reports those that were lost.
 *
 * Runs on the coordinator, which runs no tasks (unless `threads: 0`), so no task that is busy for minutes can stall it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { pause, Service } from '../../core/service.js';
import { renew, type Token } from '../../redis/delivery-store.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';
import { logRetry } from '../log-retry.js';

/** The longest pause after a failed renewal. Nothing is read until a renewal succeeds. */
const RETRY_AFTER_MS = 1_000;

export interface LeasesOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'keys' | 'streams' | 'consumer' | 'leaseMs' | 'logger'> {
  /** Returns all deliveries of this worker. */
  inHand(): Iterable<{ readonly token: Token }>;
  /** Called with the tokens of deliveries that belong to another worker now. */
  onLost(tokens: ReadonlySet<Token>): void;
}

export class Leases extends Service {
  readonly #options: LeasesOptions;

  constructor(options: LeasesOptions) {
    super();
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { link, streams, leaseMs, logger } = this.#options;
    const renewal = link.track();
    while (!signal.aborted) {
      await pause(renewal.isFailing ? Math.min(RETRY_AFTER_MS, leaseMs / 3) : leaseMs / 3, signal);
      if (signal.aborted) break;
      try {
        const lost = await renewal.attempt(() => this.#renew());
        if (lost.size === 0) continue;
        logger.warn({ count: lost.size }, 'leases were lost: these executions run elsewhere now');
        this.#options.onLost(lost);
      } catch (error) {
        if (signal.aborted) return;
        logRetry(logger, error, 'renewing leases failed');
        if (isGroupMissing(error)) await streams.restore().catch(() => undefined);
      }
    }
    renewal.end();
  }

  /** Renews all leases. Returns the tokens of those that were lost. */
  async #renew(): Promise<Set<Token>> {
    const { redis, keys, consumer } = this.#options;
    const tokens = tokensOf(this.#options.inHand());
    if (tokens.size === 0) return tokens;
    const lost = await renew(redis, keys, consumer, [...tokens]);
    // A delivery that was settled while the renewal was in flight is missing for a good reason. The reply to its settlement
    // may have arrived together with this one.
    await turn();
    const inHand = tokensOf(this.#options.inHand());
    return new Set(lost.filter((token) => inHand.has(token)));
  }
}
