/** One execution in the hands of this worker, from the read to the settle. */
import { Envelope, withAttempt } from '../core/envelope.js';
import type { Destination, Settlement, Token } from '../redis/delivery-store.js';
import type { Entry } from '../redis/stream-reader.js';

export interface Delivery {
  readonly token: Token;
  /** Key of the record; `null` when nothing is kept. */
  readonly record: string | null;
  readonly envelope: Envelope;
  readonly dueMs: number;
  /** Deliveries before this one that ended without an outcome: the worker was lost, or the thread. */
  readonly deliveries: number;
  /** How many of them the execution is charged with. */
  readonly charges: number;
}

/** From so many deliveries without an outcome on, an execution may be what ends its threads or processes. */
const SUSPECT_AFTER = 3;

/** Whether it must run alone on its thread, as the only suspect of its process, so that a death can be charged to it. */
export function isSuspect(delivery: Delivery): boolean {
  return delivery.deliveries >= SUSPECT_AFTER;
}

/** @throws UndecodableValueError when the entry holds no message that can be read */
export function deliveryOf({ token, record, message, dueMs, deliveries, charges }: Entry): Delivery {
  return { token, record, envelope: new Envelope(message ?? NO_MESSAGE), dueMs, deliveries, charges };
}

const NO_MESSAGE = Buffer.alloc(0);

/** Identity of the execution. */
export function keyOf({ record, envelope, token }: Delivery): string {
  return record ?? envelope.id ?? token;
}

/** The execution, which has a record, ended. */
export function done(
  { token, envelope }: Delivery,
  record: string,
  state: 'completed' | 'failed' | 'cancelled',
  result: Uint8Array | null,
  error: Uint8Array | null = null,
  errorLine = '',
): Settlement {
  const buffer = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind: 'done',
    token,
    record,
    ttlMs: envelope.ttlMs,
    state,
    result: buffer(result),
    error: buffer(error),
    errorLine,
  };
}

/** The next attempt, straight back on the work stream when it is due at once. */
export function retried(delivery: Delivery, due: { readonly delayMs: number } | { readonly atMs: number }): Settlement {
  const to: Destination = 'delayMs' in due && due.delayMs <= 0 ? { stream: 'work' } : due;
  const message = withAttempt(delivery.envelope, delivery.envelope.attempt + 1);
  return { ...goesOn(delivery), to, message, dueMs: null, deliveries: 0, charges: 0 };
}

/** The same attempt, which has not run or was cut short, goes to whoever reads next. */
export function handedBack(delivery: Delivery): Settlement {
  return { ...goesOn(delivery), to: { stream: 'front' } };
}

/** The same attempt after the thread died under it; `charge` is 1 when the execution is to blame. */
export function survived(delivery: Delivery, charge: 0 | 1): Settlement {
  const deliveries = delivery.deliveries + 1;
  return { ...goesOn(delivery), to: { stream: 'front' }, deliveries, charges: delivery.charges + charge };
}

/** The same attempt waits, for a worker that knows the task or for its turn. */
export function putBack(delivery: Delivery, delayMs: number): Settlement {
  return { ...goesOn(delivery), to: { delayMs } };
}

function goesOn(delivery: Delivery) {
  const { token, record, envelope, dueMs, deliveries, charges } = delivery;
  return {
    kind: 'again',
    token,
    record,
    id: keyOf(delivery),
    message: envelope.bytes,
    dueMs,
    deliveries,
    charges,
  } as const;
}
