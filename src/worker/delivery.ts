/** One execution in the hands of this worker, from the read to the settle. */
import { decodeEnvelope, type Envelope, WIRE_VERSION, withAttempt } from '../core/envelope.js';
import type { Destination, Settlement, Token } from '../redis/delivery-store.js';
import type { Entry } from '../redis/stream-reader.js';

export interface Delivery {
  readonly token: Token;
  readonly key: string;
  /** Key of the record; `null` when nothing is kept. */
  readonly record: string | null;
  readonly envelope: Envelope;
  readonly message: Buffer;
  readonly dueMs: number;
  /** Deliveries before this one that took their worker or thread down, or whose worker was lost. */
  readonly deliveries: number;
  /** When it came into the hands of this worker, on the monotonic clock. */
  readonly receivedMs: number;
}

/** @throws UndecodableValueError when the entry holds no message that can be read */
export function deliveryOf(entry: Entry, receivedMs: number): Delivery {
  const message = entry.message ?? Buffer.alloc(0);
  const envelope = decodeEnvelope(message);
  const { token, record, dueMs, deliveries } = entry;
  return { token, record, dueMs, deliveries, receivedMs, message, envelope, key: record ?? envelope.id ?? token };
}

/** Whether this version understands the message. A newer one is put back for a newer worker. */
export function isReadable(delivery: Delivery): boolean {
  return delivery.envelope.version <= WIRE_VERSION;
}

/** Whether its end leaves no trace: then acknowledging it is all there is to write. */
export function keepsNothing(delivery: Delivery): boolean {
  return delivery.record === null;
}

/** The execution ended. */
export function done(
  { token, record, envelope }: Delivery,
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
  return { ...goesOn(delivery), to: { stream: 'front' }, message: delivery.message, dueMs: delivery.dueMs, deliveries };
}

/** The same attempt waits for a worker that knows the task. */
export function putBack(delivery: Delivery, delayMs: number): Settlement {
  const { message, dueMs, deliveries } = delivery;
  return { ...goesOn(delivery), to: { delayMs }, message, dueMs, deliveries };
}

function goesOn({ token, record, key, envelope }: Delivery) {
  return { kind: 'again', token, record, id: key, task: envelope.task } as const;
}
