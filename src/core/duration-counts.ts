/**
 * Durations counted in buckets that are fine enough for quantiles and few enough to be stored.
 *
 * The buckets are those of Prometheus' native histograms with schema 2, which are those of OpenTelemetry's exponential
 * histograms with scale 2: four for each doubling. Bucket `i` has the durations above 2^((i-1)/4) ms, up to 2^(i/4) ms. The
 * numbers of the buckets are stored, so they never change their meaning.
 */

/** Buckets for each doubling of a duration: a quantile is within 9 %. */
const BUCKETS_PER_DOUBLING = 4;
/** The shortest durations that are told apart take 1 us. */
const FIRST_BUCKET = -40;
/** The longest take 12 days. */
const LAST_BUCKET = 120;

export class DurationCounts {
  /** One count for each bucket. Not integers of 32 bits: some counts grow as long as a worker lives. */
  readonly #counts = new Float64Array(LAST_BUCKET - FIRST_BUCKET + 1);
  #total = 0;

  /** Counts a duration. */
  add(ms: number): void {
    const bucket = ms > 0 ? Math.ceil(Math.log2(ms) * BUCKETS_PER_DOUBLING) : FIRST_BUCKET;
    this.addTo(bucket, 1);
  }

  /** Counts durations of one bucket. A bucket that does not exist counts as the nearest that does. */
  addTo(bucket: number, count: number): void {
    this.#counts[Math.max(FIRST_BUCKET, Math.min(LAST_BUCKET, bucket)) - FIRST_BUCKET]! += count;
    this.#total += count;
  }

  addAll(others: DurationCounts): void {
    if (others.isEmpty) return;
    for (let i = 0; i < this.#counts.length; i++) this.#counts[i]! += others.#counts[i]!;
    this.#total += others.#total;
  }

  get isEmpty(): boolean {
    return this.#total === 0;
  }

  /** Returns the milliseconds that this share of the durations did not exceed; 0 when there were none. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#total);
    if (left === 0) return 0;
    const index = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return 2 ** ((index + FIRST_BUCKET - 0.5) / BUCKETS_PER_DOUBLING); // half-way, as a ratio, between its bounds
  }

  /** Yields the buckets that are not empty, in order, each with its count. */
  *buckets(): Iterable<readonly [bucket: number, count: number]> {
    if (this.isEmpty) return;
    for (const [index, count] of this.#counts.entries()) if (count > 0) yield [index + FIRST_BUCKET, count];
  }

  reset(): void {
    if (this.isEmpty) return;
    this.#counts.fill(0);
    this.#total = 0;
  }
}
