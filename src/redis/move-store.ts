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
 */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import {
  type ARRIVAL,
  ARRIVAL_FORGOTTEN_MS,
  ARRIVAL_REMEMBERED_MS,
  ARRIVES_WITHIN_MS,
  ENTRY,
  RECORD,
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
}

export type Arrival = keyof typeof ARRIVAL;

/** Reads an execution from the partition where it is. Returns `null` when it is no longer this worker's. */
export async function readDeparting(redis: Redis, keys: Keys, token: Token): Promise<Departing | null> {
  const reply = (await runScript(redis, 'depart', [keys.work, keys.front], [keys.prefix, token])) as Buffer[][];
  const [entry, record] = reply;
  return entry && record ? { entry, record } : null;
}

/**
 * Names a move. The name is the same for whoever tries this move, and differs from that of any other move of the execution: it
 * may come back to the same partition, because workers of two versions disagree about where it belongs.
 * @param from - tag of the partition where it is
 * @param id - key or id of the execution
 */
export function nameOfMove(from: string, id: string, { entry, record }: Departing): string {
  const moves = valueIn(entry, ENTRY.moves) ?? '0';
  const generation = valueIn(record, RECORD.generation) ?? '';
  return [from, moves, generation, id].join(' ');
}

function valueIn(fields: Fields, name: string): string | null {
  for (let i = 0; i + 1 < fields.length; i += 2) if (String(fields[i]) === name) return String(fields[i + 1]);
  return null;
}

/** A try to place an execution that is being moved. */
export interface Placing {
  /** The name of the move, the same for every try. */
  readonly name: string;
  /** Until when it may be placed, on the clock of the server where it arrives. */
  readonly untilMs: number;
}

/**
 * Returns until when an execution that is read after this may arrive in a partition. A command can be held up for any time: by its
 * link, or because this process stands still. Meanwhile another worker may make the move, and what has arrived may run and end.
 */
export async function lastArrivalMs(redis: Redis): Promise<number> {
  return (await serverTimeMs(redis)) + ARRIVES_WITHIN_MS;
}

/** Places an execution in the partition where it belongs, unless it was before. */
export async function place(
  redis: Redis,
  keys: Keys,
  { name, untilMs }: Placing,
  { entry, record }: Departing,
): Promise<Arrival> {
  const names = [keys.work, keys.front, keys.schedule];
  const args = [keys.prefix, name, ARRIVAL_REMEMBERED_MS, untilMs, entry.length, ...entry, ...record];
  return String(await runScript(redis, 'arrive', names, args)) as Arrival;
}

/** Removes an execution that has arrived. Returns whether it was still there. */
export async function removeDeparted(redis: Redis, keys: Keys, token: Token): Promise<boolean> {
  const names = [keys.work, keys.front, keys.schedule];
  return (await runScript(redis, 'departed', names, [keys.prefix, token])) === 1;
}

/** Lets a move that is over be forgotten soon. */
export async function forgetMove(redis: Redis, keys: Keys, name: string): Promise<void> {
  await redis.pexpire(keys.arrived(name), ARRIVAL_FORGOTTEN_MS);
}
