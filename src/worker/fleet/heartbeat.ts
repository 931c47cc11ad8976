/** Says at an interval that this worker lives. */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../../core/clock.js';
import { pause, Service } from '../../core/service.js';
import { heartbeat, type WorkerReport } from '../../redis/fleet-store.js';
import type { Keys } from '../../redis/keys.js';
import type { Logger } from '../../tasks/context.js';
import type { ServerClock } from './server-clock.js';

export interface HeartbeatOptions {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly consumer: string;
  readonly intervalMs: number;
  /** Heartbeats that may be missed before the worker is no longer listed. */
  readonly missed: number;
  /** Learns the server's time from each answer. */
  readonly clock: ServerClock;
  readonly logger: Logger;
  report(): WorkerReport;
}

export class Heartbeat extends Service {
  readonly #options: HeartbeatOptions;
  #answeredMs = 0;

  constructor(options: HeartbeatOptions) {
    super();
    this.#options = options;
  }

  /** When the server last answered one, by this process' monotonic clock; 0 before the first. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { redis, keys, consumer, intervalMs, missed, clock, logger } = this.#options;
    while (!signal.aborted) {
      try {
        clock.learn(await heartbeat(redis, keys, { consumer, ttlMs: intervalMs * missed }, this.#options.report()));
        this.#answeredMs = monotonicMs();
      } catch (error) {
        logger.warn({ error: String(error) }, 'the heartbeat failed, trying again');
      }
      await pause(intervalMs, signal);
    }
  }
}
