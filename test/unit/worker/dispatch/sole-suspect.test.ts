import { expect, test, vi } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { AloneMark } from '../../../../src/worker/dispatch/alone-mark.js';
import { Lane } from '../../../../src/worker/dispatch/lane.js';
import type { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import { SoleSuspect } from '../../../../src/worker/dispatch/sole-suspect.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';

const THREAD = { attend: () => 1 } as Partial<Thread> as Thread;
const delivery = (deliveries = 3) => ({ deliveries, reroutes: 0 }) as Delivery;
const shipment = () => ({ expectedMs: 1 }) as Shipment;

/** Lanes that run two at once and have this many shipments, the lane of the suspect, and a suspect for it. */
function setUp(...sizes: number[]) {
  const lanes = sizes.map((size, index) => {
    const lane = new Lane(index, 2);
    lane.attach(THREAD);
    for (let i = 0; i < size; i++) lane.add(shipment(), 0);
    return lane;
  });
  const own = new Lane(lanes.length, 1, 1);
  const mark = new AloneMark({ write: async () => true, remove: async () => {}, onChange: () => {} });
  return { lanes, own, mark, suspect: new SoleSuspect(lanes, own, mark) };
}

test('there is one suspect at most, until it leaves', () => {
  const { own, suspect } = setUp(0);
  const [first, next] = [delivery(), delivery()];
  expect([suspect.waiting, suspect.offer(first, 0), suspect.waiting]).toEqual([null, true, first]);
  expect(suspect.offer(next, 0)).toBe(false);
  suspect.advance(0);
  own.attach(THREAD);
  suspect.shipped(0);
  expect([suspect.waiting, suspect.offer(next, 0)]).toEqual([null, false]);
  suspect.leave(next); // which is not the suspect
  expect(suspect.offer(next, 0)).toBe(false);
  suspect.leave(first);
  expect([suspect.offer(next, 0), suspect.waiting]).toEqual([true, next]);
});

test('the lane with most free places lends one, and has it back when the suspect leaves', () => {
  const { lanes, own, suspect } = setUp(2, 0, 1);
  const one = delivery();
  suspect.offer(one, 0);
  expect(suspect.isPlaced).toBe(false);
  expect(suspect.advance(0)).toEqual({ kind: 'start-thread', lane: own });
  expect(suspect.isPlaced).toBe(true);
  expect(lanes.map(({ free }) => free)).toEqual([0, 1, 1]);
  suspect.leave(one);
  expect(lanes.map(({ free }) => free)).toEqual([0, 2, 1]);
});

test('it asks for one thread, and is shipped when that is there', () => {
  const { own, suspect } = setUp(1);
  const one = delivery();
  suspect.offer(one, 0);
  suspect.advance(0);
  expect(suspect.advance(1)).toEqual({ kind: 'nothing' });
  own.attach(THREAD);
  suspect.threadStartEnded();
  expect(suspect.advance(2)).toEqual({ kind: 'ship', delivery: one, lane: own });
});

test('it gets no thread on which another one has run', () => {
  const { own, suspect } = setUp(0);
  own.attach(THREAD);
  const earlier = shipment();
  own.add(earlier, 0);
  own.remove(earlier, 1);
  suspect.offer(delivery(), 1);
  expect(suspect.advance(1)).toEqual({ kind: 'nothing' });
  own.retire();
  own.detach();
  expect(suspect.advance(2)).toEqual({ kind: 'start-thread', lane: own });
});

test('it goes back when no place is free soon, and when its thread takes long', () => {
  const { lanes, suspect } = setUp(2);
  const one = delivery();
  suspect.offer(one, 0);
  expect(suspect.advance(250)).toEqual({ kind: 'nothing' });
  expect(suspect.advance(251)).toEqual({ kind: 'give-back', delivery: one });
  lanes[0]!.remove([...lanes[0]!.shipments][0]!, 251);
  expect(suspect.advance(252)).toMatchObject({ kind: 'start-thread' });
  expect(suspect.advance(10_000)).toEqual({ kind: 'nothing' });
  expect(suspect.advance(10_001)).toEqual({ kind: 'give-back', delivery: one });
});

test('with nothing beside it, it is marked first, and lets others start when the mark is gone', async () => {
  const { own, mark, suspect } = setUp(0);
  const one = delivery();
  suspect.offer(one, 0);
  suspect.advance(0);
  own.attach(THREAD);
  expect([suspect.advance(1), suspect.letsOthersStart]).toEqual([{ kind: 'nothing' }, false]);
  await vi.waitUntil(() => mark.isWritten);
  expect(suspect.advance(2)).toEqual({ kind: 'ship', delivery: one, lane: own });
  suspect.shipped(2);
  suspect.makeWay(3);
  expect(suspect.letsOthersStart).toBe(false);
  await vi.waitUntil(() => suspect.letsOthersStart);
});

test.each([
  [5, 0],
  [6, 1_000],
  [7, 2_000],
  [30, 300_000],
])('after %i deliveries without an outcome others do not start beside it for %i ms', async (deliveries, heldMs) => {
  const { own, mark, suspect } = setUp(0);
  suspect.offer(delivery(deliveries), 0);
  suspect.advance(0);
  own.attach(THREAD);
  suspect.advance(0);
  await vi.waitUntil(() => mark.isWritten);
  suspect.shipped(0);
  expect([suspect.holdsOthers(heldMs / 2), suspect.holdsOthers(heldMs)]).toEqual([heldMs > 0, false]);
});
