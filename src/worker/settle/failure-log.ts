/**
 * Logs executions that failed for good, each with its stack. Owns the bound on a flood: of each task it logs the first
 * ten failures in ten seconds, and then how many more there were.
 */
import type { Logger } from '../../tasks/context.js';
import { stackOfError } from '../../wire/codec.js';
import { type Delivery, logDelivery } from '../delivery.js';

/** A stack is decoded and written for each line, which takes some 50 us. */
const LINES = 10;
const PERIOD_MS = 10_000;

export class FailureLog {
  readonly #logger: Logger;
  /** How many executions of each task failed in this period. */
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @param error - the encoded error, whose stack is logged; `null` when a stack would say nothing */
  log(delivery: Delivery, message: string, error: Uint8Array | null): void {
    const { task } = delivery.envelope;
    const count = (this.#counts.get(task) ?? 0) + 1;
    this.#counts.set(task, count);
    this.#timer ??= setTimeout(() => this.endPeriod(), PERIOD_MS).unref();
    if (count > LINES) return;
    const stack = error && stackOfError(error);
    logDelivery(this.#logger, 'error', delivery, message, stack ? { stack } : {});
  }

  /** Logs how many failures were not logged one by one, and begins to count anew. */
  endPeriod(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [task, count] of this.#counts) {
      const more = count - LINES;
      if (more <= 0) continue;
      this.#logger.error({ task, count: more }, `${task} failed ${more} more times in ${PERIOD_MS / 1_000} seconds`);
    }
    this.#counts.clear();
  }
}
