import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { LateStarts, START_WITHIN_MS } from '../../../../src/worker/intake/late-starts.js';
import { deliveryWith } from '../deliveries.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** `unstarted` are the deliveries that have not begun. */
function setUp(unstarted: Set<Delivery>) {
  const requeued: (string | null)[][] = [];
  const takeBackUnstarted = vi.fn((matches: (delivery: Delivery) => boolean = () => true) =>
    [...unstarted].filter(matches).reverse(),
  );
  const lateStarts = new LateStarts({
    dispatcher: { takeBackUnstarted },
    requeue: (deliveries) => requeued.push(deliveries.map(({ record }) => record)),
  });
  return { lateStarts, requeued, takeBackUnstarted };
}

test('executions that have not begun in time are requeued, in order, and no others', () => {
  const [a, b, c, stranger] = ['a', 'b', 'c', 'stranger'].map((record) => deliveryWith({ record }));
  const unstarted = new Set([a!, b!, c!, stranger!]);
  const { lateStarts, requeued } = setUp(unstarted);
  for (const delivery of [a!, b!, c!]) lateStarts.watch(delivery);
  unstarted.delete(b!);
  vi.advanceTimersByTime(START_WITHIN_MS - 1);
  expect(requeued).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(requeued).toEqual([['a', 'c']]);
});

test('each execution has its own time, and no timer runs when nothing is watched', () => {
  const [a, b] = ['a', 'b'].map((record) => deliveryWith({ record }));
  const { lateStarts, requeued, takeBackUnstarted } = setUp(new Set([a!, b!]));
  lateStarts.watch(a!);
  vi.advanceTimersByTime(30);
  lateStarts.watch(b!);
  vi.advanceTimersByTime(START_WITHIN_MS - 30);
  expect(requeued).toEqual([['a']]);
  vi.advanceTimersByTime(30);
  expect(requeued).toEqual([['a'], ['b']]);
  vi.advanceTimersByTime(10 * START_WITHIN_MS);
  expect(takeBackUnstarted).toHaveBeenCalledTimes(2);
  expect(vi.getTimerCount()).toBe(0);
});
