import { expect, test } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Lane } from '../../../../src/worker/dispatch/lane.js';
import type { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import { SoleSuspect } from '../../../../src/worker/dispatch/sole-suspect.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';

const THREAD = { attend: () => 1 } as Partial<Thread> as Thread;
const delivery = () => ({}) as Delivery;

/** Lanes with this many shipments, and a suspect for them. */
function setUp(...sizes: number[]) {
  const lanes = sizes.map((size, index) => {
    const lane = new Lane(index, 10);
    lane.attach(THREAD);
    for (let i = 0; i < size; i++) lane.add({ expectedMs: 1 } as Shipment, 0);
    return lane;
  });
  return { lanes, suspect: new SoleSuspect(lanes), reserved: () => lanes.filter((lane) => lane.isReserved) };
}

function empty(lane: Lane): void {
  for (const shipment of [...lane.shipments]) lane.remove(shipment, 1);
}

test('there is one suspect at most: waiting, or on its lane', () => {
  const { suspect } = setUp(0);
  const first = delivery();
  expect([suspect.waiting, suspect.offer(first), suspect.waiting]).toEqual([null, true, first]);
  expect(suspect.offer(delivery())).toBe(false);
  suspect.reserveLane();
  suspect.shipped();
  expect([suspect.waiting, suspect.offer(delivery())]).toEqual([null, false]);
});

test('the next one may come when it has left', () => {
  const { suspect, reserved } = setUp(0);
  const [first, next] = [delivery(), delivery()];
  suspect.offer(first);
  suspect.reserveLane();
  suspect.shipped();
  suspect.leave(next); // which is not the suspect
  expect(suspect.offer(next)).toBe(false);
  suspect.leave(first);
  expect([reserved(), suspect.offer(next), suspect.waiting]).toEqual([[], true, next]);
});

test('the emptiest lane is reserved, and given once nothing is on it', () => {
  const { lanes, suspect, reserved } = setUp(3, 1, 2);
  suspect.offer(delivery());
  expect(suspect.reserveLane()).toBeNull();
  expect(reserved()).toEqual([lanes[1]]);
  empty(lanes[0]!);
  expect(suspect.reserveLane()).toBeNull(); // it stays with the one it has
  empty(lanes[1]!);
  expect(suspect.reserveLane()).toBe(lanes[1]);
  expect(reserved()).toEqual([lanes[1]]);
});

test('a lane that can take it no more is left for another one: one lane at most is reserved', () => {
  const { lanes, suspect, reserved } = setUp(1, 2);
  suspect.offer(delivery());
  suspect.reserveLane();
  lanes[0]!.beginEnding(0);
  suspect.reserveLane();
  expect(reserved()).toEqual([lanes[1]]);
  lanes[0]!.reopen();
  suspect.reserveLane();
  expect(reserved()).toEqual([lanes[1]]);
});

test('it keeps the lane that it has while there is no other', () => {
  const { lanes, suspect, reserved } = setUp(1);
  suspect.offer(delivery());
  suspect.reserveLane();
  lanes[0]!.beginEnding(0);
  empty(lanes[0]!);
  expect(suspect.reserveLane()).toBeNull();
  lanes[0]!.reopen();
  expect(suspect.reserveLane()).toBe(lanes[0]);
  expect(reserved()).toEqual([lanes[0]]);
});

test('a suspect that leaves while it waits leaves its lane to others', () => {
  const { suspect, reserved } = setUp(1);
  const waiting = delivery();
  suspect.offer(waiting);
  suspect.reserveLane();
  suspect.leave(waiting);
  expect([suspect.waiting, reserved()]).toEqual([null, []]);
});
