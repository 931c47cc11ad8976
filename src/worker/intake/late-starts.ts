/**
 * Requeues executions that a rate limit has counted and that have not begun soon after, because all threads are busy.
 *
 * Owns the time between the count of a start and the start itself: `START_WITHIN_MS` at most. After that the execution is
 * taken back, unless it has begun, and the rate limit counts it again at its next claim. So the times that the rate limit
 * counts are those of the starts, within that margin.
 */
import { monotonicMs } from '../../core/clock.js';
import { RATE_MARGIN_MS } from '../../redis/schema.js';
import type { Delivery } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';

/** Twice the time for which work is read ahead: an execution is taken back only if threads are slower than expected. */
export const START_WITHIN_MS = RATE_MARGIN_MS;

export interface LateStartsOptions {
  readonly dispatcher: Pick<Dispatcher, 'takeBackUnstarted'>;
  /** Requeues deliveries that have not started. */
  requeue(deliveries: readonly Delivery[]): void;
}

export class LateStarts {
  readonly #options: LateStartsOptions;
  /** Deliveries with the times by which they must begin, the earliest first. */
  readonly #watched = new Map<Delivery, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LateStartsOptions) {
    this.#options = options;
  }

  /** Watches a delivery that is about to be dispatched. */
  watch(delivery: Delivery): void {
    this.#watched.set(delivery, monotonicMs() + START_WITHIN_MS);
    this.#timer ??= setTimeout(this.#look, START_WITHIN_MS).unref();
  }

  readonly #look = () => {
    this.#timer = undefined;
    const nowMs = monotonicMs();
    const late = new Set<Delivery>();
    for (const [delivery, latestMs] of this.#watched) {
      if (latestMs > nowMs) {
        this.#timer = setTimeout(this.#look, latestMs - nowMs).unref();
        break;
      }
      this.#watched.delete(delivery);
      late.add(delivery);
    }
    if (late.size === 0) return;
    const taken = new Set(this.#options.dispatcher.takeBackUnstarted((delivery) => late.has(delivery)));
    if (taken.size > 0) this.#options.requeue([...late].filter((delivery) => taken.has(delivery)));
  };
}
