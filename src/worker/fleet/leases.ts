/**
 * Keeps the leases of everything in the hands of this worker, and says which were lost.
 *
 * Runs on the coordinator, which never runs tasks: a task that is busy for minutes cannot stall it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { pause, Service } from '../../core/service.js';
import { renew, type Token } from '../../redis/delivery-store.js';
import type { Keys } from '../../redis/keys.js';
import type { Logger } from '../../tasks/context.js';

export interface LeasesOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly consumer: string;
  readonly leaseMs: number;
  readonly logger: Logger;
  /** Everything in the hands of this worker. */
  held(): Iterable<{ readonly token: Token }>;
  /** These belong to another worker now. */
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
        const before = this.#tokens();
        if (before.size === 0) continue;
        const lost = await renew(redis, keys, consumer, [...before]);
        // What was settled while the renewal travelled is gone for a good reason; its answer may have come with this one.
        await turn();
        const now = this.#tokens();
        const stillHeld = lost.filter((token) => now.has(token));
        if (stillHeld.length === 0) continue;
        logger.warn({ count: stillHeld.length }, 'leases were lost: these executions run elsewhere now');
        this.#options.onLost(new Set(stillHeld));
      } catch (error) {
        logger.warn({ error: String(error) }, 'renewing leases failed, trying again');
      }
    }
  }

  #tokens(): Set<Token> {
    const tokens = new Set<Token>();
    for (const { token } of this.#options.held()) tokens.add(token);
    return tokens;
  }
}
