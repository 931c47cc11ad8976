/**
 * The time an attempt has: making its dependencies, the body, and the clean-up get the task's timeout each.
 *
 * Owns the deadline of what runs now. It is kept twice: here, where the attempt asks, and in the slot table, where the
 * coordinator sees it and ends the thread when the code does not end by itself.
 */

import { monotonicMs } from '../core/clock.js';
import type { TimeoutError } from '../core/errors.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import { timeoutErrorOf } from '../tasks/decide.js';

export interface ClockOptions {
  readonly task: string;
  readonly timeoutMs: number;
  /** Makes the deadline known, 0 for none. */
  readonly announce: (deadlineMs: number) => void;
  /** Called when a deadline passes while the event loop is free. */
  readonly onTimeout: () => void;
}

export class Clock {
  readonly #options: ClockOptions;
  #timer: NodeJS.Timeout | undefined;
  /** On the monotonic clock; 0 when nothing runs. */
  #deadlineMs = 0;
  /** What the phase was given in all, for the error. */
  #budgetMs = 0;
  #timedOut: TimeoutError | null = null;

  constructor(options: ClockOptions) {
    this.#options = options;
  }

  /** Set for good once a deadline has passed, whatever happens later. */
  get timedOut(): TimeoutError | null {
    if (!this.#timedOut && this.#deadlineMs > 0 && monotonicMs() >= this.#deadlineMs) {
      this.#timedOut = timeoutErrorOf(this.#options.task, this.#budgetMs);
    }
    return this.#timedOut;
  }

  /** A phase begins. */
  start(): void {
    void this.timedOut; // of the phase before, whose deadline goes now
    this.#budgetMs = this.#options.timeoutMs;
    this.#setDeadline(monotonicMs() + this.#budgetMs);
    if (!this.#timer) this.#armTimer();
  }

  /** The last phase has ended. */
  stop(): void {
    void this.timedOut;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#setDeadline(0);
  }

  /**
   * Gives the phase more time; nothing once the attempt is over.
   * @throws TimeoutError when the time is over: nothing is taken back that was told to others
   */
  extend(byMs = this.#options.timeoutMs): void {
    if (this.timedOut) throw this.timedOut;
    if (this.#deadlineMs === 0) return;
    this.#budgetMs += byMs;
    this.#setDeadline(this.#deadlineMs + byMs);
  }

  get remainingMs(): number {
    return Math.max(0, this.#deadlineMs - monotonicMs());
  }

  #setDeadline(atMs: number): void {
    this.#deadlineMs = atMs;
    this.#options.announce(atMs);
  }

  /** The timer is not moved with the deadline: it looks, and waits for the rest. */
  #armTimer(): void {
    const leftMs = Math.min(Math.ceil(this.remainingMs), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => (this.timedOut ? this.#options.onTimeout() : this.#armTimer()), leftMs);
  }
}
