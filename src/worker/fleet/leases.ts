/**
 * Renews the leases of all deliveries of this worker, three times per lease, and reports those that were lost.
 *
 * Runs on the coordinator, which runs no tasks (unless `threads: 0`), so no task that is busy for minutes can stall it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { pause, Service } from '../../core/service.js';
import { renew, type Token } from '../../redis/delivery-store.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';

export interface LeasesOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'consumer' | 'leaseMs' | 'logger'> {
  /** Returns all deliveries of this worker. */
  held(): Iterable<{ readonly token: Token }>;
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
    const { redis, keys, consumer, leaseMs, logger } = this.#options;
    while (!signal.aborted) {
      await pause(leaseMs / 3, signal);
      if (signal.aborted) return;
      try {
        const tokens = tokensOf(this.#options.held());
        if (tokens.size === 0) continue;
        const lost = await renew(redis, keys, consumer, [...tokens]);
        // A delivery that was settled while the renewal was in flight is missing for a good reason. The answer to its
        // settlement may have come together with this one.
        await turn();
        const held = tokensOf(this.#options.held());
        const stillHeld = lost.filter((token) => held.has(token));
        if (stillHeld.length === 0) continue;
        logger.warn({ count: stillHeld.length }, 'leases were lost: these executions run elsewhere now');
        this.#options.onLost(new Set(stillHeld));
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ error: String(error) }, 'renewing leases failed, trying again');
      }
    }
  }
}
