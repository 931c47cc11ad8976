/** Statistics of a few numbers: the median and the extremes. A mean hides the round in which something else ran. */

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** What a reader needs to know of many values, such as latencies. */
export interface Distribution {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export function distribution(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b);
  return { p50: percentile(sorted, 50), p90: percentile(sorted, 90), p99: percentile(sorted, 99), max: sorted.at(-1)! };
}

/** Returns the smallest value that at least `percent` % of the values do not exceed. The values must be sorted. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)]!;
}

/** Makes the line of a plot from many values: how many per cent of them are at most how large. */
export function cumulative(values: readonly number[]): [value: number, percent: number][] {
  const sorted = [...values].sort((a, b) => a - b);
  return Array.from({ length: 100 }, (_, i) => [percentile(sorted, i + 0.5), i + 0.5]);
}
