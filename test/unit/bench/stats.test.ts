import { expect, test } from 'vitest';
import { atLeast, atMost, compare } from '../../../bench/support/report.js';
import { quantile, spread } from '../../../bench/support/stats.js';

test('the median of an even number of values lies between the middle two', () => {
  expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
});

test('the median of an odd number of values is one of them', () => {
  expect(spread([5, 100, 1])).toEqual({ median: 5, min: 1, max: 100 });
});

test('a quantile is the smallest value that the share does not exceed', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect([0, 0.5, 0.99, 0.991, 1].map((share) => quantile(values, share))).toEqual([1, 50, 99, 100, 100]);
});

test('contenders are compared round by round, not median by median', () => {
  // In the second round the machine was half as fast, for both.
  expect(compare('ours / theirs', [100, 50, 90], [50, 25, 45], 2)).toMatchObject({
    measured: { median: 2, min: 2, max: 2 },
    met: true,
    isRatio: true,
  });
});

test('a target is met by its own value, from either side', () => {
  expect([atLeast('at least', [2], 2).met, atMost('at most', [2], 2).met]).toEqual([true, true]);
  expect([atLeast('at least', [1.9], 2).met, atMost('at most', [2.1], 2).met]).toEqual([false, false]);
});
