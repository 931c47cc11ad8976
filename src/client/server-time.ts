/**
 * The server's clock, as a producer knows it: a schedule that is added must begin at a time of the server's, whatever the clock
 * of this process says. Asks the server once in a while, and follows the monotonic clock in between.
 */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../core/clock.js';
import type { ManualClock } from '../redis/manual-clock.js';
import { serverTimeMs } from '../redis/time.js';

/** How long an answer is used. The server's clock may have been set since. */
const USED_FOR_MS = 10_000;

export class ServerTime {
  readonly #read: <T>(commands: (redis: Redis) => Promise<T>) => Promise<T>;
  #asked: Promise<number> | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  readonly #manualClock: () => ManualClock | null;

  /**
   * @param read - sends commands
   * @param manualClock - returns the clock of the server, if it stands still until it is set
   */
  constructor(
    read: <T>(commands: (redis: Redis) => Promise<T>) => Promise<T>,
    manualClock: () => ManualClock | null = () => null,
  ) {
    this.#read = read;
    this.#manualClock = manualClock;
  }

  /**
   * Returns the server's time, in milliseconds.
   * @throws RedisUnavailableError when the server cannot be reached
   */
  async nowMs(): Promise<number> {
    const manual = this.#manualClock();
    if (manual) return manual.nowMs;
    if (monotonicMs() - this.#askedMs > USED_FOR_MS) {
      this.#askedMs = monotonicMs();
      this.#asked = this.#ask();
      this.#asked.catch(() => {
        this.#askedMs = Number.NEGATIVE_INFINITY; // the next caller asks again
      });
    }
    return Math.floor(monotonicMs() + (await this.#asked!));
  }

  /** Returns how far the server's clock is ahead of the monotonic one. */
  async #ask(): Promise<number> {
    const serverMs = await this.#read(serverTimeMs);
    return serverMs - monotonicMs();
  }
}
