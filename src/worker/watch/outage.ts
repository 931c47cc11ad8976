/** Measures for how long a link to Redis has been down. */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../../core/clock.js';

export class Outage {
  #sinceMs: number | null;

  constructor(redis: Pick<Redis, 'status' | 'on'>) {
    this.#sinceMs = redis.status === 'ready' ? null : monotonicMs();
    redis.on('close', () => {
      this.#sinceMs ??= monotonicMs(); // each failed attempt to connect closes it again
    });
    redis.on('ready', () => {
      this.#sinceMs = null;
    });
  }

  /** Milliseconds since the link broke; 0 while it can be used. */
  get ms(): number {
    return this.#sinceMs === null ? 0 : monotonicMs() - this.#sinceMs;
  }
}
