import { expect, test } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { CHUNK_MS, Lane, type Shipment } from '../../../../src/worker/dispatch/lane.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';

/** A thread whose event loop is held. */
const THREAD = { attend: () => 1, hasHeard: () => false } as Partial<Thread> as Thread;

function laneOf(concurrency: number): Lane {
  const lane = new Lane(0, concurrency);
  lane.attach(THREAD);
  return lane;
}

function shipment(lane: Lane, expectedMs: number): Shipment {
  return { delivery: {} as Delivery, lane, expectedMs, keepsRow: false } as Shipment;
}

test('without a thread nothing is free and nothing is open', () => {
  const lane = new Lane(0, 2);
  expect([lane.free, lane.isOpen(0)]).toEqual([0, false]);
});

test('as many runs are free as would start at once', () => {
  const lane = laneOf(2);
  expect(lane.free).toBe(2);
  for (let i = 0; i < 3; i++) lane.add(shipment(lane, 1), 0);
  expect(lane.free).toBe(0);
});

test('takes work ahead until it has enough for 5 ms', () => {
  const lane = laneOf(1);
  lane.add(shipment(lane, CHUNK_MS - 1), 0);
  expect(lane.isOpen(0)).toBe(true);
  lane.add(shipment(lane, 1), 0);
  expect(lane.isOpen(0)).toBe(false);
});

test('a thread that runs several at once has enough later', () => {
  const lane = laneOf(4);
  lane.add(shipment(lane, 3 * CHUNK_MS), 0);
  expect(lane.isOpen(0)).toBe(true);
  lane.add(shipment(lane, CHUNK_MS), 0);
  expect(lane.isOpen(0)).toBe(false);
});

test('is stuck when nothing ends for longer than its work should take, and takes no more', () => {
  const lane = laneOf(1);
  const first = shipment(lane, 1);
  lane.add(first, 1_000);
  lane.add(shipment(lane, 1), 1_005);
  expect([lane.isStuck(1_010), lane.isOpen(1_010)]).toEqual([false, true]);
  expect([lane.isStuck(1_011), lane.isOpen(1_011), lane.silentMs(1_011)]).toEqual([true, false, 11]);
  lane.remove(first, 1_011);
  expect([lane.isStuck(1_012), lane.silentMs(1_012)]).toEqual([false, 1]);
});

test('is as stuck as before when something is taken back from it', () => {
  const lane = laneOf(1);
  const second = shipment(lane, 1);
  lane.add(shipment(lane, 1), 1_000);
  lane.add(second, 1_000);
  lane.remove(second);
  expect([lane.isStuck(1_020), lane.silentMs(1_020)]).toEqual([true, 20]);
});

test('is never stuck or silent while it has nothing to do', () => {
  const lane = laneOf(1);
  expect([lane.isStuck(1e9), lane.silentMs(1e9)]).toEqual([false, 0]);
});

test('that was blocked when its thread died takes work again once it has another', () => {
  const lane = laneOf(2);
  const shipments = [shipment(lane, 1), shipment(lane, 1)];
  for (const one of shipments) lane.add(one, 0);
  lane.block();
  lane.remove(shipments[1]!); // taken back
  expect(lane.free).toBe(0);
  lane.thread = null;
  lane.remove(shipments[0]!); // lost
  lane.attach(THREAD);
  expect([lane.free, lane.isOpen(0)]).toEqual([2, true]);
});

test('that was blocked takes work again once its thread listens', () => {
  const lane = laneOf(2);
  let heard = 0;
  lane.attach({ attend: () => 7, hasHeard: (request: number) => heard >= request } as Partial<Thread> as Thread);
  lane.add(shipment(lane, 1), 0);
  lane.block();
  expect(lane.free).toBe(0);
  heard = 7;
  expect(lane.free).toBe(1);
});

test('forgets rounding errors when it is empty', () => {
  const lane = laneOf(1);
  const shipments = [0.1, 0.2, 0.3].map((expectedMs) => shipment(lane, expectedMs));
  for (const one of shipments) lane.add(one, 0);
  for (const one of shipments) lane.remove(one, 0);
  expect(lane.expectedMs).toBe(0);
});
