import { expect, test } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Shipment } from '../../../../src/worker/dispatch/shipment.js';

function shipmentOf(deliveries = 0): Shipment {
  const delivery = { record: 'key', dueMs: 7, deliveries, envelope: { bytes: new Uint8Array(3) } } as Delivery;
  return new Shipment(delivery, 2, 5, 9);
}

test('a shipment carries what its thread needs to know of the delivery', () => {
  const { row, epoch, record, dueMs, isRedelivered, message } = shipmentOf();
  expect([row, epoch, record, dueMs, isRedelivered, message.length]).toEqual([5, 9, 'key', 7, false, 3]);
  expect(shipmentOf(1).isRedelivered).toBe(true);
});
