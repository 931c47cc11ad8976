import { describe, expect, test } from 'vitest';
import { StopReason } from '../../../../src/channel/slots.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Shipment } from '../../../../src/worker/dispatch/shipment.js';

function shipmentOf(deliveries = 0): Shipment {
  const delivery = { record: 'key', dueMs: 7, deliveries, envelope: { bytes: new Uint8Array(3) } } as Delivery;
  return new Shipment({ delivery, expectedMs: 2, row: 5, epoch: 9 });
}

test('a shipment carries what its thread needs to know of the delivery', () => {
  const { row, epoch, record, dueMs, isRedelivered, message } = shipmentOf();
  expect([row, epoch, record, dueMs, isRedelivered, message.length]).toEqual([5, 9, 'key', 7, false, 3]);
  expect(shipmentOf(1).isRedelivered).toBe(true);
});

describe('a shipment that is asked to stop', () => {
  test('keeps the first reason and its time', () => {
    const shipment = shipmentOf();
    expect(shipment.stop).toBeNull();
    expect(shipment.askToStop(StopReason.cancelled, 100)).toBe(StopReason.cancelled);
    expect(shipment.askToStop(StopReason.interrupted, 200)).toBe(StopReason.cancelled);
    expect(shipment.stop).toEqual({ reason: StopReason.cancelled, askedMs: 100 });
  });

  test('can be condemned after it', () => {
    const shipment = shipmentOf();
    shipment.askToStop(StopReason.cancelled, 100);
    shipment.condemn(StopReason.cancelled);
    expect(shipment.condemned).toBe(StopReason.cancelled);
  });
});

test('a shipment that ran out of time is condemned without being asked to stop', () => {
  const shipment = shipmentOf();
  expect(shipment.condemned).toBeNull();
  shipment.condemn('timeout');
  expect([shipment.condemned, shipment.stop]).toEqual(['timeout', null]);
});

describe('a shipment that has left', () => {
  const left = () => {
    const shipment = shipmentOf();
    shipment.leave();
    return shipment;
  };

  test.each<[string, (shipment: Shipment) => unknown]>([
    ['leave again', (shipment) => shipment.leave()],
    ['leave again and keep its row', (shipment) => shipment.leaveKeepingRow()],
    ['free its row again', (shipment) => shipment.freeRow()],
    ['be asked to stop', (shipment) => shipment.askToStop(StopReason.cancelled, 0)],
    ['be condemned', (shipment) => shipment.condemn('timeout')],
  ])('cannot %s', (_, step) => {
    const shipment = left();
    expect(shipment.keepsRow).toBe(false);
    expect(() => step(shipment)).toThrow('the shipment on row 5 is not');
  });

  test('may keep its row, and frees it once', () => {
    const shipment = shipmentOf();
    shipment.leaveKeepingRow();
    expect(shipment.keepsRow).toBe(true);
    expect(() => shipment.leave()).toThrow('is not shipped but row kept');
    shipment.freeRow();
    expect(shipment.keepsRow).toBe(false);
    expect(() => shipment.freeRow()).toThrow('is not row kept but over');
  });
});

test('a shipment that has not left has no kept row to free', () => {
  expect(() => shipmentOf().freeRow()).toThrow('is not row kept but shipped');
});
