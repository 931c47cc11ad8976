/**
 * The server's clock, as this process knows it. Due times are compared with that clock, not with the local one.
 *
 * Owns the rule that only the server sets it: between two answers it follows the monotonic clock, so that a step of the
 * local clock, such as one by NTP, moves no due time.
 */
import { monotonicMs } from '../../core/clock.js';
import type { ManualClock } from '../../redis/manual-clock.js';

export class ServerClock {
  readonly #leapMs: number;
  /** How far the server's clock is ahead of the monotonic one; `null` before the first answer. */
  #aheadMs: number | null = null;
  /** How long the last answer took. The server may have given it as soon as it was asked. */
  #tookMs = 0;
  #lastLeapMs = Number.NEGATIVE_INFINITY;

  /** The clock of the server, if it stands still until it is set: it is read, and never continued. */
  readonly #manual: Pick<ManualClock, 'nowMs'> | null;

  /** @param leapMs - how far it must be set forward at once to count as a leap. @default never */
  constructor(leapMs = Number.POSITIVE_INFINITY, manual: Pick<ManualClock, 'nowMs'> | null = null) {
    this.#leapMs = leapMs;
    this.#manual = manual;
  }

  /**
   * Takes a time that the server has just sent.
   * @param askedMs - when it was asked, on the monotonic clock. @default now
   */
  learn(serverMs: number, askedMs = monotonicMs()): void {
    const nowMs = monotonicMs();
    const aheadMs = serverMs - nowMs;
    this.#tookMs = nowMs - askedMs;
    if (this.#aheadMs !== null && aheadMs - this.#aheadMs > this.#leapMs) this.#lastLeapMs = nowMs;
    this.#aheadMs = aheadMs;
  }

  /** When the clock was last found to have been set forward, on the monotonic clock; minus infinity before that. */
  get lastLeapMs(): number {
    return this.#lastLeapMs;
  }

  /** How far the server's clock is ahead of the monotonic one, in milliseconds. */
  get aheadMs(): number {
    if (this.#manual) return this.#manual.nowMs - monotonicMs();
    return this.#aheadMs ?? Date.now() - monotonicMs();
  }

  /** Returns the server's time in whole milliseconds; it lags by the time that the last answer took to arrive. */
  nowMs(): number {
    if (this.#manual) return this.#manual.nowMs;
    return this.#aheadMs === null ? Date.now() : Math.round(monotonicMs() + this.#aheadMs);
  }

  /**
   * Returns the latest that the server's time can be, in whole milliseconds. It is long after `nowMs()` when this process
   * stood still before it read the last answer.
   */
  latestMs(): number {
    return Math.ceil(this.nowMs() + this.#tookMs);
  }
}
