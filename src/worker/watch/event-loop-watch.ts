/**
 * Measures how late the coordinator's event loop is. It can be late for long only with `threads: 0`, where tasks share it;
 * leases are in danger then, and a warning says so while there is time.
 */
import { monotonicMs } from '../../core/clock.js';
import { aborted, Service } from '../../core/service.js';
import type { Logger } from '../../tasks/context.js';

/** For how long a delay counts as recent: usually longer than the time between two health checks. */
const RECENT_MS = 5_000;

export interface EventLoopWatchOptions {
  readonly logger: Logger;
  /** Milliseconds between two probes. A delay is measured up to this much too short. */
  readonly probeEveryMs: number;
  /** A delay of this many milliseconds or more is worth a warning; `null` never warns. */
  readonly warnsAfterMs: number | null;
}

export class EventLoopWatch extends Service {
  readonly #options: EventLoopWatchOptions;
  #expectedMs = 0;
  #worst = { delayMs: 0, atMs: 0 };

  constructor(options: EventLoopWatchOptions) {
    super();
    this.#options = options;
  }

  /** The longest delay of the last five seconds, in milliseconds, including one that goes on. */
  get delayMs(): number {
    const nowMs = monotonicMs();
    const currentMs = this.#expectedMs === 0 ? 0 : Math.max(0, nowMs - this.#expectedMs);
    return nowMs - this.#worst.atMs > RECENT_MS ? currentMs : Math.max(this.#worst.delayMs, currentMs);
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { probeEveryMs } = this.#options;
    this.#expectedMs = monotonicMs() + probeEveryMs;
    const timer = setInterval(() => this.#probe(), probeEveryMs).unref();
    await aborted(signal);
    clearInterval(timer);
    this.#expectedMs = 0;
  }

  #probe(): void {
    const { logger, warnsAfterMs, probeEveryMs } = this.#options;
    const nowMs = monotonicMs();
    const delayMs = Math.max(0, nowMs - this.#expectedMs);
    this.#expectedMs = nowMs + probeEveryMs;
    if (delayMs >= this.#worst.delayMs || nowMs - this.#worst.atMs > RECENT_MS) this.#worst = { delayMs, atMs: nowMs };
    if (warnsAfterMs === null || delayMs < warnsAfterMs) return;
    const text = 'a task held the event loop, which renews leases too: run it on threads, or raise redeliveryTimeout';
    logger.warn({ delayMs: Math.round(delayMs) }, text);
  }
}
