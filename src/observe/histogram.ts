/** Durations counted in buckets: a few comparisons and one increment for each. */

/** Upper bounds of the buckets in milliseconds; longer durations have a last bucket without a bound. */
export const BOUNDS_MS: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
];

/** Counts durations as long as it lives, for a Prometheus histogram. */
export class Histogram {
  /** One count for each bucket, not including those below it; the last one is of durations above all bounds. */
  readonly counts: number[] = new Array(BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sumMs += ms;
  }
}

/** Buckets for each doubling of a duration: quantiles are within 9 %. */
const BUCKETS_PER_DOUBLING = 4;
/** 1 us, the shortest duration that is distinguished, falls into the first bucket; 19 hours fall into the last. */
const SHORTEST_MS = 0.001;
const BUCKETS = 36 * BUCKETS_PER_DOUBLING;

/** Counts durations until it is reset, in buckets that are fine enough for quantiles. */
export class RecentDurations {
  readonly #counts: number[] = new Array(BUCKETS).fill(0);
  #count = 0;

  add(ms: number): void {
    const bucket = ms > SHORTEST_MS ? Math.round(Math.log2(ms / SHORTEST_MS) * BUCKETS_PER_DOUBLING) : 0;
    this.#counts[Math.min(bucket, BUCKETS - 1)]! += 1;
    this.#count += 1;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Returns the milliseconds that this share of the durations did not exceed; 0 when there were none. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#count);
    if (left === 0) return 0;
    const bucket = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return SHORTEST_MS * 2 ** (bucket / BUCKETS_PER_DOUBLING);
  }

  reset(): void {
    if (this.#count === 0) return;
    this.#counts.fill(0);
    this.#count = 0;
  }
}
