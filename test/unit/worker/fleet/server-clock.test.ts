import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { monotonicMs } from '../../../../src/core/clock.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';

const NOW_MS = 1_700_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

test('before the first answer of the server, the clock of this process is used', () => {
  expect(new ServerClock().nowMs()).toBe(NOW_MS);
});

test.each([
  ['ahead', 90_000],
  ['behind', -90_000],
])('a server that is %s is followed from its last answer', (_, aheadMs) => {
  const clock = new ServerClock();
  clock.learn(NOW_MS + aheadMs);
  expect(clock.nowMs()).toBe(NOW_MS + aheadMs);
  vi.advanceTimersByTime(5_000);
  expect(clock.nowMs()).toBe(NOW_MS + 5_000 + aheadMs);
});

test('a later answer replaces the one before, also when the clock here was set meanwhile', () => {
  const clock = new ServerClock();
  clock.learn(NOW_MS + 90_000);
  vi.setSystemTime(NOW_MS - 3_600_000);
  clock.learn(NOW_MS + 91_000);
  expect(clock.nowMs()).toBe(NOW_MS + 91_000);
});

test('a clock that is set forward by more than the limit has leapt; one that runs on or is set back has not', () => {
  const clock = new ServerClock(1_000);
  clock.learn(NOW_MS);
  vi.advanceTimersByTime(5_000);
  clock.learn(NOW_MS + 5_900);
  clock.learn(NOW_MS);
  expect(clock.lastLeapMs).toBe(Number.NEGATIVE_INFINITY);
  clock.learn(NOW_MS + 3_600_000);
  expect(clock.lastLeapMs).toBe(monotonicMs());
});

test.each([
  ['forward', 3_600_000],
  ['back', -3_600_000],
])('a step of the local clock %s changes nothing, so that no run of a chain is skipped', (_, stepMs) => {
  const clock = new ServerClock();
  clock.learn(NOW_MS + 90_000);
  vi.setSystemTime(NOW_MS + stepMs);
  vi.advanceTimersByTime(500);
  expect(clock.nowMs()).toBe(NOW_MS + 90_500);
});
