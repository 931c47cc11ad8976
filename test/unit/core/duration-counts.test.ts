import { describe, expect, test } from 'vitest';
import { DurationCounts } from '../../../src/core/duration-counts.js';

describe('durations that are counted', () => {
  test('give quantiles to a tenth, from microseconds to hours', () => {
    const counts = new DurationCounts();
    for (const scale of [0.002, 1, 7_000_000]) {
      for (let i = 1; i <= 1_000; i++) counts.add((i / 1_000) * scale);
      for (const share of [0.5, 0.95, 0.99]) {
        expect(counts.quantile(share) / (scale * share)).toBeGreaterThan(0.91);
        expect(counts.quantile(share) / (scale * share)).toBeLessThan(1.1);
      }
      counts.reset();
    }
  });

  test('count what is shorter or longer than all buckets', () => {
    const counts = new DurationCounts();
    for (const ms of [0, -1, Number.NaN, Number.MAX_VALUE]) counts.add(ms);
    expect(counts.quantile(0.5)).toBeCloseTo(0.001, 3);
    expect(counts.quantile(1)).toBeGreaterThan(3_600_000);
  });

  test('are 0 when there were none', () => {
    expect(new DurationCounts().quantile(0.5)).toBe(0);
  });

  test('are in the buckets of native histograms with schema 2: bucket i ends at 2^(i/4) ms', () => {
    const counts = new DurationCounts();
    for (const ms of [1, 1.1, 2, 2 ** 1.25 - 0.001, 2 ** 1.25 + 0.001, 0.5]) counts.add(ms);
    expect([...counts.buckets()]).toEqual([
      [-4, 1],
      [0, 1],
      [1, 1],
      [4, 1],
      [5, 1],
      [6, 1],
    ]);
  });

  test('can be added up bucket by bucket, and give the quantiles of all together', () => {
    const [one, other, sum] = [new DurationCounts(), new DurationCounts(), new DurationCounts()];
    for (let ms = 1; ms <= 50; ms++) one.add(ms);
    for (let ms = 51; ms <= 100; ms++) other.add(ms);
    for (const [bucket, count] of one.buckets()) sum.addTo(bucket, count);
    sum.addAll(other);
    const all = new DurationCounts();
    for (let ms = 1; ms <= 100; ms++) all.add(ms);
    expect([...sum.buckets()]).toEqual([...all.buckets()]);
    expect(sum.quantile(0.95)).toBe(all.quantile(0.95));
    sum.addTo(10_000, 1_000); // of another version, perhaps
    expect(sum.quantile(0.95)).toBeGreaterThan(3_600_000);
  });
});
