/** One execution in the hands of this worker, from the read to the settle. */

import type { Due } from '../core/due.js';
import type { TerminalState } from '../core/states.js';
import type { Destination, Settlement, Token } from '../redis/delivery-store.js';
import type { Entry } from '../redis/entry.js';
import { type AdmissionStage, SUSPECT_AFTER } from '../redis/schema.js';
import type { TaskPolicies } from '../tasks/policies.js';
import { Envelope, withAttempt } from '../wire/envelope.js';

export interface Delivery {
  readonly token: Token;
  /** Key of the record; `null` when nothing is kept. */
  readonly record: string | null;
  readonly envelope: Envelope;
  /** The policies of its task, or of the task that runs in its place; `null` when nobody here can run it. */
  readonly policies: TaskPolicies | null;
  readonly dueMs: number;
  /** Deliveries before this one that ended without an outcome: the worker was lost, or the thread. */
  readonly deliveries: number;
  /** How many of them the execution is charged with. */
  readonly charges: number;
  /** How often it was put back because nobody could run it. */
  readonly reroutes: number;
  /** How far it has got through the limits of its task. */
  readonly admissionStage: AdmissionStage;
  /** Whether it was woken with its slots in hand. */
  readonly holdsPermits: boolean;
}

/** Whether it must run alone on its thread, as the only suspect of its process, so that a death can be charged to it. */
export function isSuspect(delivery: Delivery): boolean {
  return delivery.deliveries >= SUSPECT_AFTER;
}

/**
 * @param policiesOf - finds the policies of a task by its name
 * @throws UndecodableValueError when the entry holds no message that can be read
 */
export function deliveryOf(entry: Entry, policiesOf: (task: string) => TaskPolicies | null): Delivery {
  const { token, record, message, dueMs, deliveries, charges, reroutes, admissionStage, holdsPermits } = entry;
  const envelope = new Envelope(message ?? NO_MESSAGE);
  const policies = envelope.isReadable ? policiesOf(envelope.task) : null;
  return { token, record, envelope, policies, dueMs, deliveries, charges, reroutes, admissionStage, holdsPermits };
}

const NO_MESSAGE = Buffer.alloc(0);

/** Identity of the execution. */
export function keyOf({ record, envelope, token }: Delivery): string {
  return record ?? envelope.id ?? token;
}

/**
 * Where it stands in line for a slot if it has no record: by its due time in microseconds, like the generations of those
 * that have one, and within a millisecond by the order on the stream.
 */
export function ticketOf({ token, dueMs }: Delivery): number {
  const order = Number(token.slice(token.indexOf('-') + 1));
  return dueMs * 1_000 + Math.min(order, 999);
}

/** How an execution ended, for its record. */
export interface FinalState {
  readonly state: TerminalState;
  readonly result?: Uint8Array | null;
  readonly error?: Uint8Array;
  readonly errorLine?: string;
  /** Name of the automatic task whose chain ends with this run. */
  readonly endsChainOf?: string;
}

/** The execution, which has a record, ended. */
export function ended({ token, envelope }: Delivery, record: string, ending: FinalState): Settlement {
  const { state, result, error, errorLine = '', endsChainOf = '' } = ending;
  return {
    kind: 'ended',
    token,
    record,
    ttlMs: envelope.ttlMs,
    state,
    result: bufferOf(result),
    error: bufferOf(error),
    errorLine,
    endsChainOf,
  };
}

/** This run of a perpetual task ended, and the next one follows; with the same arguments unless others are given. */
export function followed(delivery: Delivery, state: TerminalState, due: Due, args: Uint8Array | null): Settlement {
  const { token, record, envelope } = delivery;
  const message = withAttempt(envelope, 1, args);
  return { kind: 'followed', token, record, state, due, message, id: keyOf(delivery), ttlMs: envelope.ttlMs };
}

/**
 * The next attempt, straight back on the work stream when it is due at once. A perpetual task keeps its due time, from
 * which the next run is counted.
 */
export function retried(delivery: Delivery, due: Due): Settlement {
  const to: Destination = 'delayMs' in due && due.delayMs <= 0 ? { stream: 'work' } : due;
  const message = withAttempt(delivery.envelope, delivery.envelope.attempt + 1);
  const keepsDue = delivery.policies?.perpetual !== undefined;
  return {
    ...goesOn(delivery),
    to,
    message,
    keepsDue,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    admissionStage: 'submission-admitted',
  };
}

/** The same attempt, which has not run, or was cut short and is not to blame, goes to whoever reads next. */
export function requeued(delivery: Delivery): Settlement {
  return { ...goesOn(delivery), to: { stream: 'front' } };
}

/** The same attempt after the thread died under it; `charge` is 1 when the execution is to blame. */
export function redelivered(delivery: Delivery, charge: 0 | 1): Settlement {
  const deliveries = delivery.deliveries + 1;
  const charges = delivery.charges + charge;
  return { ...goesOn(delivery), to: { stream: 'front' }, deliveries, charges };
}

/** The same attempt waits for its turn. */
export function requeuedAfter(delivery: Delivery, delayMs: number): Settlement {
  return { ...goesOn(delivery), to: { delayMs } };
}

/** The same attempt, which has not met the limits of its task, waits for a worker that can run it. */
export function rerouted(delivery: Delivery, delayMs: number): Settlement {
  return { ...goesOn(delivery), to: { delayMs }, reroutes: delivery.reroutes + 1, admissionStage: null };
}

/** The same attempt, which has not met the limits of its task, is left to other workers. */
export function requeuedSpentKey(delivery: Delivery, delayMs: number): Settlement {
  return { ...goesOn(delivery), to: { delayMs }, admissionStage: null };
}

function goesOn(delivery: Delivery) {
  const { token, envelope, deliveries, charges, reroutes } = delivery;
  const id = keyOf(delivery);
  const { ttlMs } = envelope;
  const same = { message: null, keepsDue: true, admissionStage: 'attempt-admitted' } as const;
  return { kind: 'moved', token, id, ttlMs, deliveries, charges, reroutes, ...same } as const;
}

function bufferOf(bytes: Uint8Array | null | undefined): Buffer | null {
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : null;
}
