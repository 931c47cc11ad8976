/**
 * Moves an execution from the partition in which a worker has met it to the one where it belongs. The two may be on different
 * servers, so it takes three steps:
 *
 *   readDeparting   reads it, from the partition where it is
 *   place           places it where it belongs, under the name of the move, which is accepted once
 *   removeDeparted  removes it from where it was
 *
 * Whoever dies in between leaves the entry pending. The next one that has it moves it again: under the same name, so it is not
 * placed twice.
 *
 * Whoever cancels or replaces the execution meanwhile learns of the move from its record, and stops it where it leads. If it has
 * arrived there, it is cancelled or replaced there instead.
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
  /** The name of the move, the same for whoever tries it. */
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
 * Returns until when an execution that is read after this may arrive in a partition. A command can be held up for any time: by its
 * link, or because this process stands still. Meanwhile another worker may make the move, and what has arrived may run and end.
 */
export async function lastArrivalMs(redis: Redis): Promise<number> {
  return (await serverTimeMs(redis)) + ARRIVES_WITHIN_MS;
}

/**
 * Places an execution in the partition where it belongs, unless it was before or the move was stopped.
 * @param untilMs - until when it may be placed, on the clock of the server where it arrives
 */
export async function place(
  redis: Redis,
  keys: Keys,
  { entry, record, move }: Departing,
  untilMs: number,
): Promise<Arrival> {
  const names = [keys.work, keys.front, keys.schedule];
  const args = [keys.prefix, move, ARRIVAL_REMEMBERED_MS, untilMs, entry.length, ...entry, ...record];
  return String(await runScript(redis, 'arrive', names, args)) as Arrival;
}

/** Removes an execution that has arrived, unless it has no record and was cancelled. */
export async function removeDeparted(redis: Redis, keys: Keys, token: Token): Promise<Departure> {
  const names = [keys.work, keys.front, keys.schedule];
  return String(await runScript(redis, 'departed', names, [keys.prefix, token])) as Departure;
}

/** Lets a move that is over be forgotten soon. */
export async function forgetMove(redis: Redis, keys: Keys, move: string): Promise<void> {
  await redis.pexpire(keys.arrived(move), ARRIVAL_FORGOTTEN_MS);
}
