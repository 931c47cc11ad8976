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
  /** Deliveries before this one that took their worker or thread down, or whose worker was lost. */
  readonly deliveries: number;
}

/** @throws UndecodableValueError when the entry holds no message that can be read */
export function deliveryOf({ token, record, message, dueMs, deliveries }: Entry): Delivery {
  return { token, record, envelope: new Envelope(message ?? NO_MESSAGE), dueMs, deliveries };
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

/** The next attempt, `delayMs` from now or straight back on the work stream. */
export function retried(delivery: Delivery, delayMs: number): Settlement {
  const to: Destination = delayMs > 0 ? { delayMs } : { stream: 'work' };
  const message = withAttempt(delivery.envelope, delivery.envelope.attempt + 1);
  return { ...goesOn(delivery), to, message, dueMs: null, deliveries: 0 };
}

/** The same attempt goes to whoever reads next, at the front; `charge` says that it cost its worker or thread. */
export function handedBack(delivery: Delivery, charge: 0 | 1 = 0): Settlement {
  const deliveries = delivery.deliveries + charge;
  return {
    ...goesOn(delivery),
    to: { stream: 'front' },
    message: delivery.envelope.bytes,
    dueMs: delivery.dueMs,
    deliveries,
  };
}

/** The same attempt waits for a worker that knows the task. */
export function putBack(delivery: Delivery, delayMs: number): Settlement {
  const { envelope, dueMs, deliveries } = delivery;
  return { ...goesOn(delivery), to: { delayMs }, message: envelope.bytes, dueMs, deliveries };
}

function goesOn(delivery: Delivery) {
  const { token, record, envelope } = delivery;
  return { kind: 'again', token, record, id: keyOf(delivery), task: envelope.task } as const;
}
