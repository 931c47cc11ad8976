/**
 * Moves an execution from the partition in which a worker has read it to the one where it belongs. The two may be on different
 * servers, so a move has three steps:
 *
 *   readDeparting   reads it, from the partition where it is
 *   place           places it where it belongs, under the name of the move, which is accepted once
 *   removeDeparted  removes it from where it was
 *
 * If a worker dies between two steps, the entry stays pending. The next worker that gets it moves the execution again,
 * under the same name. So the execution is not placed twice.
 *
 * A producer that cancels or replaces the execution meanwhile learns of the move from the record, and stops it in the partition to
 * which it leads. If the execution has arrived there, it is cancelled or replaced there instead.
 */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import {
  type ARRIVAL,
  ARRIVAL_FORGOTTEN_MS,
  ARRIVAL_REMEMBERED_MS,
  ARRIVES_WITHIN_MS,
  type DEPARTURE,
} from './schema.js';
import { runScript } from './script.js';
import { serverTimeMs } from './time.js';

/** Names and values of fields, in turn. */
type Fields = readonly Buffer[];

/** An execution that is to be moved. */
export interface Departing {
  readonly entry: Fields;
  /** Empty when it has no record. */
  readonly record: Fields;
  /** The name of the move. Each worker that tries the move uses the same name. */
  readonly move: string;
}

export type Arrival = keyof typeof ARRIVAL;
export type Departure = keyof typeof DEPARTURE;

/** A delivery that is to be moved. */
export interface DepartingDelivery {
  readonly token: Token;
  /** Its key, or the id of one without a record. */
  readonly key: string;
  /** Tag of the partition where it is. */
  readonly from: string;
  /** Tag of the one where it belongs. */
  readonly to: string;
}

/** Reads an execution from the partition where it is. Returns `null` when it is no longer this worker's. */
export async function readDeparting(
  redis: Redis,
  keys: Keys,
  { token, key, from, to }: DepartingDelivery,
): Promise<Departing | null> {
  const args = [keys.prefix, token, from, to, key];
  const reply = (await runScript(redis, 'depart', [keys.work, keys.front], args)) as [Fields, Fields, Buffer] | [];
  const [entry, record, move] = reply;
  return entry && record && move ? { entry, record, move: String(move) } : null;
}

/**
 * Returns the time until which an execution may arrive in a partition. Call this before the execution is read. A command can be
 * delayed for any time, by its link or because this process stands still. Meanwhile another worker may make the move, and the
 * execution may run and end.
 */
export async function lastArrivalMs(redis: Redis): Promise<number> {
  return (await serverTimeMs(redis)) + ARRIVES_WITHIN_MS;
}

/** On what conditions an execution may arrive in a partition. */
export interface ArrivalTerms {
  /** Until when, on the clock of the server where it arrives. */
  readonly untilMs: number;
  /** The version of the strikes there at which the layout had the partition. */
  readonly strikes: string;
}

/** Places an execution in the partition where it belongs, unless it has arrived before or the move was stopped. */
export async function place(
  redis: Redis,
  keys: Keys,
  { entry, record, move }: Departing,
  { untilMs, strikes }: ArrivalTerms,
): Promise<Arrival> {
  const names = [keys.work, keys.front, keys.schedule];
  const args = [keys.prefix, move, ARRIVAL_REMEMBERED_MS, untilMs, strikes, entry.length, ...entry, ...record];
  return String(await runScript(redis, 'arrive', names, args)) as Arrival;
}

/** Removes an execution that has arrived, unless it has no record and was cancelled. */
export async function removeDeparted(redis: Redis, keys: Keys, token: Token): Promise<Departure> {
  const names = [keys.work, keys.front, keys.schedule];
  return String(await runScript(redis, 'departed', names, [keys.prefix, token])) as Departure;
}

/** Forgets that an execution may have arrived elsewhere: it was cancelled there. */
export async function forgetDeparture(redis: Redis, keys: Keys, { move }: Departing): Promise<void> {
  await redis.zrem(keys.departures, move.slice(move.indexOf(' ') + 1));
}

/** Shortens the time for which a move that is over is remembered. */
export async function forgetMove(redis: Redis, keys: Keys, move: string): Promise<void> {
  await redis.pexpire(keys.arrived(move), ARRIVAL_FORGOTTEN_MS);
}
