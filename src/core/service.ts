/** The common skin of every background loop: start, stop, both idempotent; stop waits for the current turn. */
import { setTimeout as delay } from 'node:timers/promises';

export abstract class Service {
  #stopping: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  /** Starts the loop; does nothing when it runs. */
  start(): void {
    if (this.#stopping) return;
    const stopping = new AbortController();
    this.#stopping = stopping;
    this.#running = this.run(stopping.signal);
  }

  /** Ends the loop and waits until its current turn is over; does nothing when it does not run. */
  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#stopping = undefined;
  }

  /** Runs until `signal` aborts. Must not reject: what can fail is handled, logged and tried again inside. */
  protected abstract run(signal: AbortSignal): Promise<void>;
}

/** Node's timers hold 24.8 days; beyond that they fire at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits `ms` milliseconds (24.8 days at most), or less when `signal` aborts; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await delay(Math.min(ms, LONGEST_TIMER_MS), undefined, { signal, ref: true }).catch(() => undefined);
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Spreads `ms` by up to a fifth either way, so that the loops of a fleet do not march in step. */
export function jittered(ms: number): number {
  return ms * (0.8 + 0.4 * Math.random());
}
