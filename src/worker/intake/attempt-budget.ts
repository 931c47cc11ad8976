/**
 * Counts how often this worker may still run executions under certain keys. It counts the attempts that this worker
 * claims. Further executions under these keys are left to other workers.
 */
import { type Delivery, keyOf } from '../delivery.js';

export class AttemptBudget {
  /** Attempts that remain, by key. Empty for most workers, and then costs a delivery nothing. */
  readonly #remaining: Map<string, number>;

  constructor(attempts: Iterable<readonly [key: string, count: number]> = []) {
    this.#remaining = new Map(attempts);
  }

  /** Whether there is any key that this worker may run only so often. */
  get isLimited(): boolean {
    return this.#remaining.size > 0;
  }

  /** The keys that this worker may run no more. */
  get spentKeys(): string[] {
    return [...this.#remaining].filter(([, remaining]) => remaining === 0).map(([key]) => key);
  }

  /** Whether this worker may run the key of this delivery no more. */
  isSpent(delivery: Delivery): boolean {
    return this.#remaining.size > 0 && this.#remaining.get(keyOf(delivery)) === 0;
  }

  /** Counts an attempt that is about to be claimed. */
  take(delivery: Delivery): void {
    this.#add(delivery, -1);
  }

  /** Gives back an attempt that was counted, but was not claimed after all or did not start. */
  refund(delivery: Delivery): void {
    this.#add(delivery, 1);
  }

  #add(delivery: Delivery, count: 1 | -1): void {
    if (this.#remaining.size === 0) return;
    const key = keyOf(delivery);
    const remaining = this.#remaining.get(key);
    if (remaining !== undefined) this.#remaining.set(key, remaining + count);
  }
}
