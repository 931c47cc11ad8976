import { expect, test } from 'vitest';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { Shipment } from '../../../../src/worker/dispatch/shipment.js';
import { NO_PIPELINE } from '../deliveries.js';

function shipmentOf(deliveries = 0, record: string | null = 'key'): Shipment {
  const envelope = { bytes: new Uint8Array(3) };
  const delivery = { record, token: 'w1-0', dueMs: 7, deliveries, envelope, pipeline: NO_PIPELINE };
  return new Shipment(delivery as Partial<Delivery> as Delivery, 2, 5, 9);
}

test('a shipment carries what its thread needs to know of the delivery', () => {
  const { row, epoch, record, token, dueMs, isRedelivered, message } = shipmentOf();
  expect([row, epoch, record, token, dueMs, isRedelivered, message.length]).toEqual([5, 9, 'key', 'w1-0', 7, false, 3]);
  expect(shipmentOf(0, null).token).toBeNull();
  expect(shipmentOf(1).isRedelivered).toBe(true);
});
