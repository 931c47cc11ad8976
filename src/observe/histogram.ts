/** How values are spread, counted in a few buckets: a comparison or two and an increment for each. */

/** Upper bounds of the buckets in milliseconds; what is above the last one is counted apart. */
export const BOUNDS_MS: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
];

/** Counts for ever, for a Prometheus histogram. */
export class Histogram {
  /** One count per bucket, each without those below it; the last has what is above all bounds. */
  readonly counts: number[] = new Array(BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;

  add(ms: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sumMs += ms;
  }
}

/** Buckets per doubling: a quantile is right to 9 %. */
const PER_DOUBLING = 4;
/** 1 us, the shortest that is told apart, is in the first bucket; 19 hours are in the last. */
const SHORTEST_MS = 0.001;
const BUCKETS = 36 * PER_DOUBLING;

/** Counts until it is taken, fine enough for quantiles. */
export class RecentDurations {
  readonly #counts: number[] = new Array(BUCKETS).fill(0);
  #count = 0;

  add(ms: number): void {
    const bucket = ms > SHORTEST_MS ? Math.round(Math.log2(ms / SHORTEST_MS) * PER_DOUBLING) : 0;
    this.#counts[Math.min(bucket, BUCKETS - 1)]! += 1;
    this.#count += 1;
  }

  /** Milliseconds that this share of the durations did not exceed; 0 when there were none. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#count);
    if (left === 0) return 0;
    const bucket = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return SHORTEST_MS * 2 ** (bucket / PER_DOUBLING);
  }

  reset(): void {
    if (this.#count === 0) return;
    this.#counts.fill(0);
    this.#count = 0;
  }
}
