/**
 * Makes the settlements of a delivery: one function for each way in which a worker lets go of an execution. Pure.
 *
 *   ended        it is over, and its record says how
 *   unrecorded   it is over, and has no record
 *   followed     this run of a perpetual task is over, and the next one takes its place
 *   retried      the next attempt takes its place
 *   requeued     the same attempt goes back to Redis, uncharged
 *   rerouted     ... for a worker that can run it
 *   redelivered  ... because its thread was lost
 *   paused       ... where it waits until its task is no longer paused
 */
import type { Due } from '../../core/due.js';
import type { TerminalState } from '../../core/states.js';
import type { Destination, FailureReport, Settlement } from '../../redis/delivery-store.js';
import { chainText } from '../../tasks/chain.js';
import { overridesOfNextRun, policiesWith } from '../../tasks/overrides.js';
import { withAttempt, withOverrides } from '../../wire/envelope.js';
import { type Delivery, keyOf, ticketOf } from '../delivery.js';

/** How an execution ended, for its record. */
export interface FinalState {
  readonly state: TerminalState;
  readonly result?: Uint8Array | null;
  readonly error?: Uint8Array;
  readonly errorLine?: string;
  /** Name of the automatic task whose chain ends with this run. */
  readonly endsChainOf?: string;
  /** What is kept about it as a failure. */
  readonly failure?: FailureReport;
}

/**
 * `record` is the key of its record: an execution without one is not settled this way.
 * @param keepsArguments - whether its arguments are kept with its record
 */
export function ended(
  { token, envelope, policies }: Delivery,
  record: string,
  final: FinalState,
  keepsArguments = false,
): Settlement {
  const { state, result, error, errorLine = '', endsChainOf = '', failure } = final;
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
    endsChain: policies === null || policies.perpetual !== undefined,
    message: keepsArguments && envelope.ttlMs > 0 ? envelope.bytes : null,
    ...(failure && { failure }),
  };
}

/** An execution without a record ended. */
export function unrecorded({ token }: Delivery, failure?: FailureReport): Settlement {
  return { kind: 'unrecorded', token, ...(failure && { failure }) };
}

/** How the next run of a chain differs from the one that has ended. */
export interface NextRun {
  readonly due: Due;
  /** Encoded arguments; `null` for those of the run that has ended. */
  readonly args: Uint8Array | null;
  /** Whether the run that has ended is one of those that the chain has left. */
  readonly counts: boolean;
}

/** The next run of a perpetual execution takes the place of the one that has ended. */
export function followed(
  delivery: Delivery,
  { state, errorLine = '', failure }: FinalState,
  { due, args, counts }: NextRun,
): Settlement {
  const { token, record, envelope, priority } = delivery;
  let message = withAttempt(envelope, 1, args);
  let policies = delivery.policies!;
  if (counts && policies.runsLeft !== undefined) {
    const overrides = overridesOfNextRun(envelope.overrides!);
    message = withOverrides(envelope, overrides, args);
    policies = policiesWith(policies, overrides);
  }
  const chain = chainText(policies)!;
  const { ttlMs } = envelope;
  const run = { token, record, state, due, message, id: keyOf(delivery), ttlMs, errorLine, chain, priority };
  return { kind: 'followed', ...run, ...(failure && { failure }) };
}

/**
 * The next attempt goes straight to the stream of its priority when it is due at once. A perpetual task keeps its due
 * time, because the next run counts from it.
 */
export function retried(delivery: Delivery, due: Due, failedWith: string): Settlement {
  const to: Destination = 'delayMs' in due && due.delayMs <= 0 ? { stream: 'work' } : due;
  return {
    ...moved(delivery),
    to,
    message: withAttempt(delivery.envelope, delivery.envelope.attempt + 1),
    keepsDue: delivery.policies?.perpetual !== undefined,
    deliveries: 0,
    charges: 0,
    reroutes: 0,
    admissionStage: 'submission-admitted',
    failedWith,
  };
}

export interface Requeue {
  /** Milliseconds until it may be read again. @default 0, at the head of all work */
  readonly delayMs?: number;
  /** Whether it was claimed, so that its limits are behind it. @default true */
  readonly isAdmitted?: boolean;
  /** Whether its attempt has started. If not, its rate limits count it again. @default false */
  readonly hasStarted?: boolean;
}

/** Requeues a delivery that has not run, or was cut short and is not to blame. Any worker may read it. */
export function requeued(
  delivery: Delivery,
  { delayMs = 0, isAdmitted = true, hasStarted = false }: Requeue = {},
): Settlement {
  return {
    ...moved(delivery),
    to: delayMs > 0 ? { delayMs } : { stream: 'front' },
    admissionStage: isAdmitted ? 'attempt-admitted' : null,
    ...(hasStarted ? unbooked(delivery) : bookedAgain(delivery)),
  };
}

/**
 * Has a delivery that has not started wait until its task is no longer paused. It keeps its place in line by its ticket, and
 * its permits are released.
 * @param isAdmitted - whether it was claimed, so that its limits are behind it
 */
export function paused(delivery: Delivery, isAdmitted: boolean): Settlement {
  return {
    ...moved(delivery),
    to: { lineOf: delivery.envelope.task, ticket: ticketOf(delivery) },
    admissionStage: isAdmitted ? 'attempt-admitted' : null,
    ...bookedAgain(delivery),
  };
}

export interface Reroute {
  /** Milliseconds until it may be read again. */
  readonly delayMs: number;
  /** Whether it was claimed. If not, it has yet to pass its limits. */
  readonly isAdmitted: boolean;
  /** Whether a worker that has its task may recall it before that. */
  readonly isRecallable: boolean;
}

/** Reroutes a delivery for a worker that can run it. */
export function rerouted(delivery: Delivery, { delayMs, isAdmitted, isRecallable }: Reroute): Settlement {
  return {
    ...moved(delivery),
    to: { delayMs },
    reroutes: delivery.reroutes + 1,
    admissionStage: isAdmitted ? 'attempt-admitted' : null,
    recalledFor: isRecallable ? delivery.envelope.task : null,
    ...bookedAgain(delivery),
  };
}

/** Redelivers an execution whose thread was lost. `charge` is 1 when the execution is to blame. */
export function redelivered(delivery: Delivery, charge: 0 | 1): Settlement {
  return {
    ...moved(delivery),
    to: { stream: 'front' },
    deliveries: delivery.deliveries + 1,
    charges: delivery.charges + charge,
    admissionStage: 'attempt-admitted',
    ...unbooked(delivery),
  };
}

/** An attempt that has started was counted, and is not counted again. */
function unbooked({ hasBooking }: Delivery): { booking?: null } {
  return hasBooking ? { booking: null } : {};
}

/** A start that was counted and did not take place is booked again. */
function bookedAgain({ countedBy, envelope }: Delivery): { booking?: string } {
  return countedBy === null ? {} : { booking: `${envelope.attempt} ${countedBy}` };
}

/** Returns what all moves share: the same attempt goes on elsewhere, with its counts. */
function moved(delivery: Delivery) {
  const { token, envelope, deliveries, charges, reroutes } = delivery;
  const id = keyOf(delivery);
  const { ttlMs } = envelope;
  return { kind: 'moved', token, id, ttlMs, deliveries, charges, reroutes, message: null, keepsDue: true } as const;
}

export function bufferOf(bytes: Uint8Array): Buffer;
export function bufferOf(bytes: Uint8Array | null | undefined): Buffer | null;
export function bufferOf(bytes: Uint8Array | null | undefined): Buffer | null {
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : null;
}
