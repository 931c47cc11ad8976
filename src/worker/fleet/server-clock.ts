/** The server's clock as far as this process knows it. Due times are compared with that clock, not with the local one. */
import { monotonicMs } from '../../core/clock.js';

export class ServerClock {
  readonly #leapMs: number;
  #aheadMs = 0;
  #aheadOfMonotonicMs = Number.POSITIVE_INFINITY;
  #lastLeapMs = Number.NEGATIVE_INFINITY;

  /** @param leapMs - how far it must be set forward at once for that to count as a leap. @default never */
  constructor(leapMs = Number.POSITIVE_INFINITY) {
    this.#leapMs = leapMs;
  }

  /** Takes a time that the server has just sent. */
  learn(serverMs: number): void {
    this.#aheadMs = serverMs - Date.now();
    const aheadOfMonotonicMs = serverMs - monotonicMs();
    if (aheadOfMonotonicMs - this.#aheadOfMonotonicMs > this.#leapMs) this.#lastLeapMs = monotonicMs();
    this.#aheadOfMonotonicMs = aheadOfMonotonicMs;
  }

  /** When the clock was last found to have been set forward, on the monotonic clock; minus infinity before that. */
  get lastLeapMs(): number {
    return this.#lastLeapMs;
  }

  /** Returns the server's time in milliseconds; it lags by the time that the last answer took to arrive. */
  nowMs(): number {
    return Date.now() + this.#aheadMs;
  }
}
