/**
 * The deadline of an attempt's current phase: creating the dependencies, the body and the clean-up each have the task's
 * whole timeout.
 *
 * The deadline is kept in two places: here, where the attempt checks it, and in the slot table, where the coordinator
 * sees it and ends the thread when the code does not stop by itself.
 */

import { monotonicMs } from '../core/clock.js';
import type { TimeoutError } from '../core/errors.js';
import { LONGEST_TIMER_MS } from '../core/service.js';
import { timeoutErrorOf } from '../tasks/decide.js';

export interface DeadlineOptions {
  /** Name of the task, for the error. */
  readonly task: string;
  readonly timeoutMs: number;
  /** Publishes the deadline, on the monotonic clock; 0 for none. */
  readonly announce: (deadlineMs: number) => void;
  /** Called when a deadline passes while the event loop is free. */
  readonly onTimeout: () => void;
}

export class Deadline {
  readonly #options: DeadlineOptions;
  #timer: NodeJS.Timeout | undefined;
  /** When the phase must be over, on the monotonic clock; 0 between phases. */
  #atMs = 0;
  /** The time that the phase was given in total, for the error. */
  #budgetMs = 0;
  #timedOut: TimeoutError | null = null;

  constructor(options: DeadlineOptions) {
    this.#options = options;
  }

  /** The error of the first phase that took too long. Once it is set, it stays. */
  get timedOut(): TimeoutError | null {
    this.#check();
    return this.#timedOut;
  }

  /** Starts a phase, and ends the one before. */
  start(): void {
    this.#check();
    this.#budgetMs = this.#options.timeoutMs;
    this.#set(monotonicMs() + this.#budgetMs);
    if (!this.#timer) this.#armTimer();
  }

  /** Ends the current phase. */
  stop(): void {
    this.#check();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#set(0);
  }

  /**
   * Gives the phase more time. Does nothing once the attempt is over.
   * @throws TimeoutError when the time is over: the signal may have aborted, which cannot be undone
   */
  extend(byMs = this.#options.timeoutMs): void {
    if (this.timedOut) throw this.timedOut;
    if (this.#atMs === 0) return;
    this.#budgetMs += byMs;
    this.#set(this.#atMs + byMs);
  }

  get remainingMs(): number {
    return Math.max(0, this.#atMs - monotonicMs());
  }

  /** Keeps the timeout of the current phase, before the deadline of the next one takes its place. */
  #check(): void {
    if (this.#timedOut || this.#atMs === 0 || monotonicMs() < this.#atMs) return;
    this.#timedOut = timeoutErrorOf(this.#options.task, this.#budgetMs);
  }

  #set(atMs: number): void {
    this.#atMs = atMs;
    this.#options.announce(atMs);
  }

  /** The timer does not move with the deadline: when it fires too early, it waits for the rest. */
  #armTimer(): void {
    const leftMs = Math.min(Math.ceil(this.remainingMs), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => (this.timedOut ? this.#options.onTimeout() : this.#armTimer()), leftMs);
  }
}
