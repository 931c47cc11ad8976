import { describe, expect, test } from 'vitest';
import { BOUNDS_MS, Histogram, RecentDurations } from '../../../src/observe/histogram.js';
import { OTHER, TaskCounters } from '../../../src/observe/task-counters.js';

describe('a tally', () => {
  test('counts known tasks by name, from 0 on, and all else together', () => {
    const tally = new TaskCounters();
    tally.know(['charge', 'send']);
    tally.of('charge').started += 2;
    for (const name of ['x', 'y', 'x', 'constructor', '__proto__']) tally.of(name).started += 1;
    expect(Array.from(tally.tasks(), ([label, counts]) => [label, counts.started])).toEqual([
      ['charge', 2],
      ['send', 0],
      [OTHER, 5],
    ]);
    expect([tally.labelOf('charge'), tally.labelOf('x'), tally.total('started')]).toEqual(['charge', OTHER, 7]);
  });

  test('has one label for a task that is named other and for all others', () => {
    const tally = new TaskCounters();
    tally.know([OTHER]);
    tally.of(OTHER).failed += 1;
    tally.of('unknown').failed += 1;
    expect(Array.from(tally.tasks(), ([label, counts]) => [label, counts.failed])).toEqual([[OTHER, 2]]);
  });

  test('keeps what it has when it learns of more tasks', () => {
    const tally = new TaskCounters();
    tally.know(['charge']);
    tally.of('charge').added += 1;
    tally.of('send').added += 1;
    tally.know(['charge', 'send']);
    tally.of('send').added += 1;
    expect(Array.from(tally.tasks(), ([label, counts]) => [label, counts.added])).toEqual([
      ['charge', 1],
      ['send', 1],
      [OTHER, 1],
    ]);
  });
});

test('a distribution counts a value in the first bucket whose bound it does not exceed', () => {
  const distribution = new Histogram();
  for (const ms of [0, 1, 1.01, 5, 3_600_000, 3_600_001]) distribution.add(ms);
  const counted = distribution.counts.map((count, i) => [BOUNDS_MS[i] ?? Number.POSITIVE_INFINITY, count]);
  expect(counted.filter(([, count]) => count! > 0)).toEqual([
    [1, 2],
    [2.5, 1],
    [5, 1],
    [3_600_000, 1],
    [Number.POSITIVE_INFINITY, 1],
  ]);
  expect(distribution.sumMs).toBeCloseTo(7_200_008.01);
});

describe('recent durations', () => {
  test('give quantiles to a tenth, from microseconds to hours', () => {
    const recent = new RecentDurations();
    for (const scale of [0.002, 1, 7_000_000]) {
      for (let i = 1; i <= 1_000; i++) recent.add((i / 1_000) * scale);
      expect(recent.quantile(0.5) / (scale / 2)).toBeCloseTo(1, 0.9);
      expect(recent.quantile(0.99) / scale).toBeGreaterThan(0.88);
      expect(recent.quantile(0.99) / scale).toBeLessThan(1.1);
      recent.reset();
    }
  });

  test('take what is shorter or longer than they can tell', () => {
    const recent = new RecentDurations();
    for (const ms of [0, -1, Number.MAX_VALUE]) recent.add(ms);
    expect(recent.quantile(0.5)).toBe(0.001);
    expect(recent.quantile(1)).toBeGreaterThan(3_600_000);
  });

  test('are 0 when there were none', () => {
    expect(new RecentDurations().quantile(0.5)).toBe(0);
  });
});
