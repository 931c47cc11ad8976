/** Durations counted in the buckets of a metric, and in finer ones: a few comparisons and two increments for each. */
import { DurationCounts } from '../core/duration-counts.js';

/** Upper bounds of the buckets in milliseconds; longer durations have a last bucket without a bound. */
export const BOUNDS_MS: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000,
];

/** The counts that are taken when there are none. No duration is ever added to them. */
const NONE = new DurationCounts();

/** Counts durations as long as it lives, for a Prometheus histogram and for the history. */
export class Histogram {
  /** One count for each bucket, not including those below it; the last one is of durations above all bounds. */
  readonly counts: number[] = new Array(BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;
  #fine = new DurationCounts();

  add(ms: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sumMs += ms;
    this.#fine.add(ms);
  }

  /** Takes the durations since the last call, in buckets that are fine enough for quantiles. */
  takeFine(): DurationCounts {
    const taken = this.#fine;
    if (taken.isEmpty) return NONE;
    this.#fine = new DurationCounts();
    return taken;
  }
}
