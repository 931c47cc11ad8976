/**
 * How often this worker may still run what has certain keys. Counts the attempts that it claims; what is beyond is for
 * other workers.
 */
export class AttemptBudget {
  readonly #left: Map<string, number>;

  constructor(attempts: Iterable<readonly [key: string, count: number]> = []) {
    this.#left = new Map(attempts);
  }

  /** The keys that this worker runs no more. */
  get spent(): string[] {
    return [...this.#left].filter(([, left]) => left === 0).map(([key]) => key);
  }

  /** Whether it may claim an attempt under this key, which is counted. */
  take(key: string): boolean {
    if (this.#left.size === 0) return true;
    const left = this.#left.get(key);
    if (left === undefined) return true;
    if (left > 0) this.#left.set(key, left - 1);
    return left > 0;
  }

  /** An attempt that was counted was not claimed after all. */
  refund(key: string): void {
    const left = this.#left.get(key);
    if (left !== undefined) this.#left.set(key, left + 1);
  }
}
