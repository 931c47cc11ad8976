import { expect, test } from 'vitest';
import { DurationEstimates } from '../../../../src/worker/dispatch/duration-estimates.js';

test('a task is unknown until its first run, which sets the estimate', () => {
  const estimates = new DurationEstimates();
  expect([estimates.of('a'), estimates.overall]).toEqual([undefined, undefined]);
  estimates.add('a', 40);
  expect([estimates.of('a'), estimates.of('b'), estimates.overall]).toEqual([40, undefined, 40]);
});

test('slow runs count twice as much as quick ones', () => {
  const [up, down] = [new DurationEstimates(), new DurationEstimates()];
  up.add('a', 10);
  up.add('a', 20);
  down.add('a', 20);
  down.add('a', 10);
  expect([up.of('a'), down.of('a')]).toEqual([11, 19.5]);
});

test('a name with one slow run in twenty soon travels alone', () => {
  const estimates = new DurationEstimates();
  for (let i = 0; i < 40; i++) estimates.add('mixed', i % 20 === 19 ? 500 : 0.01);
  expect(estimates.of('mixed')).toBeGreaterThan(5);
});

test('each task has its own estimate, and the overall estimate covers all of them', () => {
  const estimates = new DurationEstimates();
  estimates.add('quick', 1);
  estimates.add('slow', 101);
  expect([estimates.of('quick'), estimates.of('slow'), estimates.overall]).toEqual([1, 101, 11]);
});
