/** Entries and deliveries for the tests of the worker. */
import type { Entry } from '../../../src/redis/entry.js';
import type { TaskPolicies } from '../../../src/tasks/policies.js';
import { encoderFor } from '../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../src/wire/envelope.js';
import { type Delivery, type DeliveryPipeline, deliveryOf } from '../../../src/worker/delivery.js';

/** Where nothing is asked of the pipeline of a delivery. */
export const NO_PIPELINE = { tag: '' } as DeliveryPipeline;

/** The message of the first attempt of `resize`, unless another task is named. */
export function messageOf({
  task = 'resize',
  id = null,
  ttlMs = 60_000,
  args = { size: 9 },
}: {
  readonly task?: string;
  readonly id?: string | null;
  readonly ttlMs?: number;
  readonly args?: object;
} = {}): Buffer {
  return encodeEnvelope(encoderFor(args, 'args'), task, ttlMs, id, args);
}

/** A new entry with the key `k`. */
export function entryOf(rest: Partial<Entry> = {}): Entry {
  const counts = { deliveries: 0, charges: 0, reroutes: 0 };
  const limits = { admissionStage: 'new' as const, holdsPermits: false, hasBooking: false };
  return { token: 'w17-3', record: 'k', message: messageOf(), dueMs: 1_000, ...counts, ...limits, ...rest };
}

/** A delivery of such an entry. */
export function deliveryWith(rest: Partial<Entry> = {}, policies: TaskPolicies | null = {}): Delivery {
  return deliveryOf(entryOf(rest), () => policies, NO_PIPELINE);
}
