import { describe, expect, test } from 'vitest';
import { BOUNDS_MS, Histogram } from '../../../src/observe/histogram.js';
import { OTHER_LABEL, TaskCounters } from '../../../src/observe/task-counters.js';

describe('task counters', () => {
  test('count loaded tasks by name, from 0 on, and all others together', () => {
    const counters = new TaskCounters();
    counters.addTasks(['charge', 'send']);
    counters.of('charge').started += 2;
    for (const name of ['x', 'y', 'x', 'constructor', '__proto__']) counters.of(name).started += 1;
    expect(Array.from(counters.tasks(), ([label, counts]) => [label, counts.started])).toEqual([
      ['charge', 2],
      ['send', 0],
      [OTHER_LABEL, 5],
    ]);
    expect([counters.labelOf('charge'), counters.labelOf('x'), counters.total('started')]).toEqual([
      'charge',
      OTHER_LABEL,
      7,
    ]);
  });

  test('have one label for a task that is named other and for all others', () => {
    const counters = new TaskCounters();
    counters.addTasks([OTHER_LABEL]);
    counters.of(OTHER_LABEL).failed += 1;
    counters.of('unknown').failed += 1;
    expect(Array.from(counters.tasks(), ([label, counts]) => [label, counts.failed])).toEqual([[OTHER_LABEL, 2]]);
  });

  test('count placements from before the tasks are loaded under their own names, once these are known', () => {
    const counters = new TaskCounters();
    counters.of('charge').added += 2;
    for (const name of ['charge', 'unknown', 'elsewhere']) counters.of(name).added += 1;
    expect([...counters.tasks()]).toEqual([]);
    counters.addTasks(['charge', 'send']);
    counters.of('charge').added += 1;
    expect(Array.from(counters.tasks(), ([label, counts]) => [label, counts.added])).toEqual([
      ['charge', 4],
      ['send', 0],
      [OTHER_LABEL, 2],
    ]);
  });

  test('keep a bounded number of names apart before the tasks are loaded', () => {
    const counters = new TaskCounters();
    for (let n = 0; n < 1_500; n++) counters.of(`t${n}`).added += 1;
    counters.addTasks(['t0', 't1499']);
    expect(Array.from(counters.tasks(), ([label, counts]) => [label, counts.added])).toEqual([
      ['t0', 1],
      ['t1499', 0],
      [OTHER_LABEL, 1_499],
    ]);
  });

  test('keep their counts when tasks are added', () => {
    const counters = new TaskCounters();
    counters.addTasks(['charge']);
    counters.of('charge').added += 1;
    counters.of('send').added += 1;
    counters.addTasks(['charge', 'send']);
    counters.of('send').added += 1;
    expect(Array.from(counters.tasks(), ([label, counts]) => [label, counts.added])).toEqual([
      ['charge', 1],
      ['send', 1],
      [OTHER_LABEL, 1],
    ]);
  });
});

test('a histogram counts a value in the first bucket whose bound it does not exceed', () => {
  const histogram = new Histogram();
  for (const ms of [0, 1, 1.01, 5, 3_600_000, 3_600_001]) histogram.add(ms);
  const counted = histogram.counts.map((count, i) => [BOUNDS_MS[i] ?? Number.POSITIVE_INFINITY, count]);
  expect(counted.filter(([, count]) => count! > 0)).toEqual([
    [1, 2],
    [2.5, 1],
    [5, 1],
    [3_600_000, 1],
    [Number.POSITIVE_INFINITY, 1],
  ]);
  expect(histogram.sumMs).toBeCloseTo(7_200_008.01);
});
