/**
 * The common shape of every background loop: `start` and `stop` are idempotent, and `stop` waits for the current turn.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { onAbort } from './abort.js';

export abstract class Service {
  #stopping: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  /** Starts the loop; does nothing when it is running. */
  start(): void {
    if (this.#stopping) return;
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.#running = this.run(stopping.signal);
  }

  /** Ends the loop and waits until its current turn is over; does nothing when it is not running. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#stopping = undefined;
  }

  /** Runs until `signal` aborts. Must not reject: failures are handled, logged and retried inside. */
  protected abstract run(signal: AbortSignal): Promise<void>;
}

/** The longest delay of a timer in Node, 24.8 days; a longer one fires at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits `ms` milliseconds (24.8 days at most), or until `signal` aborts. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await delay(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal, ref: true }).catch(() => undefined);
}

/**
 * Waits for `work`, `ms` milliseconds at most (24.8 days). Returns its value; `undefined` when it takes longer. Rejects when
 * `work` does so in time.
 */
export async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const done = new AbortController();
  const late = pause(Math.max(0, ms), done.signal) as Promise<undefined>;
  return await Promise.race([work, late]).finally(() => done.abort());
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => onAbort(signal, resolve));
}

/** Varies `ms` at random by up to a fifth either way, so that the loops of a fleet do not run in step. */
export function jittered(ms: number): number {
  return ms * (0.8 + 0.4 * Math.random());
}
