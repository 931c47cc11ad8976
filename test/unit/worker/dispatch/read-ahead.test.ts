import { expect, test } from 'vitest';
import { Lane } from '../../../../src/worker/dispatch/lane.js';
import { roomFor } from '../../../../src/worker/dispatch/read-ahead.js';
import type { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';

function lanesOf(...concurrencies: number[]): Lane[] {
  return concurrencies.map((concurrency, index) => {
    const lane = new Lane(index, concurrency);
    lane.attach({} as Thread);
    return lane;
  });
}

test('until a duration is known there is room for what starts at once', () => {
  expect(roomFor(lanesOf(2, 3), undefined, 0, 0)).toBe(5);
  expect(roomFor(lanesOf(2, 3), undefined, 5, 0)).toBe(0);
});

test('then there is room for 50 ms of work as well', () => {
  expect(roomFor(lanesOf(1, 1), 1, 0, 0)).toBe(2 + 100);
  expect(roomFor(lanesOf(1, 1), 1_000, 0, 0)).toBe(2);
  expect(roomFor(lanesOf(1, 1), 0.001, 0, 0)).toBe(2 + 4_096);
});

test('a read is worth a trip when half of what is read ahead has been shipped, or when it brings a thousand', () => {
  expect(roomFor(lanesOf(1, 1), 1, 52, 0)).toBe(50);
  expect(roomFor(lanesOf(1, 1), 1, 53, 0)).toBe(0);
  expect(roomFor(lanesOf(1, 1), 0.001, 4_098 - 1_024, 0)).toBe(1_024);
  expect(roomFor(lanesOf(1, 1), 0.001, 4_098 - 1_023, 0)).toBe(0);
});

test('nothing is read ahead of a stuck lane, and nothing for one that takes no work', () => {
  const [stuck, leaving, other] = lanesOf(1, 1, 1);
  stuck!.add({ expectedMs: 1 } as Shipment, 0);
  leaving!.threadDying(leaving!.thread!);
  expect(roomFor([stuck!, leaving!, other!], 1, 0, 1_000)).toBe(2 + 50);
});

test('a place that is lent is no room, and nothing is read ahead of a lane that has no other', () => {
  const [lending, other] = lanesOf(1, 2);
  lending!.lendPlace(0);
  expect(roomFor([lending!, other!], undefined, 0, 0)).toBe(2);
  expect(roomFor([lending!, other!], 1, 0, 0)).toBe(2 + 100);
});
