import { expect, test, vi } from 'vitest';
import { SlotState, StopReason, shipmentIdOf } from '../../../../src/channel/slots.js';
import type { TaskPolicies } from '../../../../src/tasks/policies.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Lane } from '../../../../src/worker/dispatch/lane.js';
import type { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import { Shipments } from '../../../../src/worker/dispatch/shipments.js';
import type { Thread } from '../../../../src/worker/threads/thread.js';
import { NO_PIPELINE } from '../deliveries.js';

function setUp() {
  const leaving: [shipment: Shipment, state: SlotState][] = [];
  const shipments: Shipments = new Shipments(4, (shipment) =>
    leaving.push([shipment, shipments.slots.state(shipment.row)]),
  );
  const lane = new Lane(0, shipments.slots.rows);
  let attended = 0;
  const attend = () => ++attended;
  lane.attach({ attend } as Partial<Thread> as Thread);
  const ship = (name = 'a', policies: TaskPolicies = {}) => {
    const envelope = { bytes: new Uint8Array() };
    const delivery = { record: name, policies, dueMs: 0, deliveries: 0, envelope, pipeline: NO_PIPELINE };
    return shipments.ship(delivery as Partial<Delivery> as Delivery, lane, 1, 0);
  };
  return { shipments, lane, ship, leaving, attended: () => attended };
}

test('a shipment is on a lane and on a row, and is found by its number', () => {
  const { shipments, lane, ship } = setUp();
  const shipment = ship();
  expect([...lane.shipments]).toEqual([shipment]);
  expect(shipments.size).toBe(1);
  expect(shipments.slots.state(shipment.row)).toBe(SlotState.shipped);
  expect(shipments.find(lane, shipmentIdOf(shipment.row, shipment.epoch))).toBe(shipment);
});

test('a shipment that leaves is on neither, and its row goes to the next one, under another number', () => {
  const { shipments, lane, ship, leaving } = setUp();
  const first = ship();
  shipments.free(first, 10);
  expect(leaving).toEqual([[first, SlotState.shipped]]); // the row could still be read
  expect([lane.shipments.size, shipments.size]).toEqual([0, 0]);
  const next = ship();
  expect(next.row).toBe(first.row);
  expect(shipments.find(lane, shipmentIdOf(first.row, first.epoch))).toBeUndefined();
  expect(shipments.find(lane, shipmentIdOf(next.row, next.epoch))).toBe(next);
});

test('a row that is kept goes to nobody until its chunk is over', () => {
  const { shipments, ship, leaving } = setUp();
  const chunk = [ship(), ship()] as const;
  shipments.keep(chunk[0]);
  shipments.free(chunk[1]);
  expect([leaving.length, shipments.size]).toEqual([2, 0]);
  expect(ship().row).toBe(chunk[1].row);
  expect(ship().row).not.toBe(chunk[0].row);
  shipments.chunkOver(chunk);
  expect(ship().row).toBe(chunk[0].row);
});

test('when many rows are kept, those that a thread has skipped are free before their chunks are over', () => {
  const { shipments, ship } = setUp();
  const { slots } = shipments;
  const chunk = Array.from({ length: 1_024 }, () => ship());
  const takeBack = (shipment: Shipment) => {
    expect(shipments.revoke(shipment)).toBe(true);
    shipments.keep(shipment);
  };
  chunk.slice(1).forEach(takeBack);
  const [last, skipped, revoked] = chunk as [Shipment, Shipment, Shipment];
  slots.skip(skipped.row, skipped.epoch);
  takeBack(last);
  expect(ship().row).toBe(skipped.row);
  const others = new Set<number>();
  while (shipments.hasFreeRow) others.add(ship().row);
  expect(others.has(revoked.row)).toBe(false);
  shipments.chunkOver(chunk);
  const rows = new Set<number>();
  while (shipments.hasFreeRow) rows.add(ship().row);
  expect([rows.size, rows.has(revoked.row), rows.has(skipped.row)]).toEqual([1_023, true, false]);
});

test('many shipments are taken back at once without a look at all kept rows for each of them', () => {
  const { shipments, ship } = setUp();
  const chunk: Shipment[] = [];
  while (shipments.hasFreeRow) chunk.push(ship());
  const looks = vi.spyOn(shipments.slots, 'state');
  for (const shipment of chunk) {
    expect(shipments.revoke(shipment)).toBe(true);
    shipments.keep(shipment);
  }
  expect(chunk.length).toBeGreaterThan(4_000);
  expect(looks.mock.calls.length).toBeLessThan(4 * chunk.length);
});

test('a chunk that is over twice frees no row twice', () => {
  const { shipments, ship } = setUp();
  const chunk = [ship()] as const;
  shipments.keep(chunk[0]);
  shipments.chunkOver(chunk);
  shipments.chunkOver(chunk);
  expect(ship().row).not.toBe(ship().row);
});

test('a row is not freed twice', () => {
  const { shipments, ship } = setUp();
  const shipment = ship();
  shipments.free(shipment);
  expect(() => shipments.free(shipment)).toThrow('is not shipped but over');
  expect(() => shipments.keep(shipment)).toThrow('is not shipped but over');
  expect(ship().row).not.toBe(ship().row);
});

test('a shipment that has left cannot leave again', () => {
  const { shipments, ship } = setUp();
  const shipment = ship();
  shipments.keep(shipment);
  expect(() => shipments.free(shipment)).toThrow('is not shipped but row kept');
  expect(() => shipments.keep(shipment)).toThrow('is not shipped but row kept');
});

test('a shipment that has not left has no kept row to free', () => {
  const { shipments, ship } = setUp();
  const shipment = ship();
  shipments.chunkOver([shipment]);
  expect(shipment.place).toBe('shipped');
  expect(ship().row).not.toBe(shipment.row);
});

test('a shipment that is asked to stop keeps the first reason and its time', () => {
  const { shipments, lane, ship } = setUp();
  const shipment = ship();
  expect(shipment.stop).toBeNull();
  shipments.askToStop(lane, StopReason.cancelled);
  const { stop } = shipment;
  shipments.askToStop(lane, StopReason.interrupted);
  expect(shipment.stop).toBe(stop);
  expect(stop).toEqual({ reason: StopReason.cancelled, askedMs: expect.any(Number) });
});

test('there is no free row when all are occupied or kept', () => {
  const { shipments, ship } = setUp();
  const all = Array.from({ length: shipments.slots.rows }, () => ship());
  expect(shipments.hasFreeRow).toBe(false);
  shipments.keep(all[0]!);
  expect(shipments.hasFreeRow).toBe(false);
  shipments.chunkOver(all);
  expect(shipments.hasFreeRow).toBe(true);
});

test('what a lane has not started is taken back, and its rows are kept', () => {
  const { shipments, lane, ship } = setUp();
  const [running, waiting, other] = [ship('running'), ship('waiting'), ship('other')];
  shipments.slots.begin(running.row, running.epoch, 0);
  const taken = shipments.revokeUnstarted(lane, ({ record }) => record !== 'other');
  expect(taken).toEqual([waiting.delivery]);
  expect([...lane.shipments]).toEqual([running, other]);
  expect([running, waiting, other].map(({ place }) => place)).toEqual(['shipped', 'row kept', 'shipped']);
});

test('nothing is taken back from a lane that is leaving', () => {
  const { shipments, lane, ship } = setUp();
  ship();
  lane.threadDying(lane.thread!);
  expect(shipments.revokeUnstarted(lane)).toEqual([]);
  expect(lane.shipments.size).toBe(1);
});

test('what is asked to stop finds the reason on its row, and its thread is asked to look once', () => {
  const { shipments, lane, ship, attended } = setUp();
  const [a, b, other] = [ship('a'), ship('b'), ship('other')];
  shipments.askToStop(lane, StopReason.cancelled, ({ record }) => record !== 'other');
  const reasonOf = ({ row, epoch }: Shipment) => shipments.slots.stopReason(row, epoch);
  expect([a, b, other].map(reasonOf)).toEqual([StopReason.cancelled, StopReason.cancelled, null]);
  expect(attended()).toBe(1);
  shipments.askToStop(lane, StopReason.interrupted, () => false);
  expect(attended()).toBe(1);
  shipments.askToStop(lane, StopReason.interrupted);
  expect([a, b, other].map(reasonOf)).toEqual([StopReason.cancelled, StopReason.cancelled, StopReason.interrupted]);
});

test('a wait for a shipment ends when there is one, or when its signal aborts', async () => {
  const { shipments, ship } = setUp();
  const stopping = new AbortController();
  const went: string[] = [];
  const wait = (name: string, signal: AbortSignal) => shipments.any(signal).then(() => went.push(name));
  const waits = [wait('stopped', stopping.signal), wait('shipped', new AbortController().signal)];
  stopping.abort();
  await waits[0];
  expect(went).toEqual(['stopped']);
  ship();
  await waits[1];
  await wait('at once', new AbortController().signal);
  expect(went).toEqual(['stopped', 'shipped', 'at once']);
});

test('a shipment may be overdue when its task has a timeout, and once it was asked to stop', async () => {
  const { shipments, lane, ship } = setUp();
  const { signal } = new AbortController();
  let waits = 0;
  const wait = () => shipments.anyMayBeOverdue(signal, 2 ** 30).then(() => (waits += 1));
  const first = ship('without');
  const waiting = wait();
  await Promise.resolve();
  expect(waits).toBe(0);
  shipments.askToStop(lane, StopReason.cancelled);
  shipments.askToStop(lane, StopReason.interrupted); // counts once
  await waiting;
  await wait();
  shipments.free(first);
  const another = wait();
  await Promise.resolve();
  expect(waits).toBe(2);
  ship('with', { timeoutMs: 1 });
  await another;
  expect(waits).toBe(3);
});
