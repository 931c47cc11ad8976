/** Divides the dockets of tests into partitions, and looks into each of them. */
import { Docket } from 'docket';
import type { Redis } from 'ioredis';
import type { Keys } from '../../src/redis/keys.js';
import type { ArrivalTerms } from '../../src/redis/move-store.js';
import { importBuilt, STREAM_NAMES } from './built.js';

const { internalsOf } = await importBuilt<typeof import('../../src/client/internals.js')>('client/internals.js');
const { changePartitions } =
  await importBuilt<typeof import('../../src/client/repartition.js')>('client/repartition.js');
const { partitionOf } = await importBuilt<typeof import('../../src/client/routing.js')>('client/routing.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

/** The partitions of a docket, as its producer knows them. */
export const partitionsOf = (docket: Docket) => internalsOf(docket).partitions;

/** Gives a docket this many partitions. */
export async function divide(docket: Docket, count: number, options: { readonly force?: boolean } = {}): Promise<void> {
  await changePartitions(partitionsOf(docket), count, options);
}

/** Gives a new docket this many partitions. Returns what the names of keys begin with in each of them. */
export async function divideNew(name: string, url: string, count: number): Promise<string[]> {
  const docket = new Docket({ name, url });
  try {
    await divide(docket, count);
    return prefixesOf(docket);
  } finally {
    await docket.close();
  }
}

/** Returns what the names of keys begin with, in each partition that the docket knows. */
function prefixesOf(docket: Docket): string[] {
  return internalsOf(docket).partitions.known.map(({ settings }) => settings.keys.prefix);
}

/** The keys of each partition of a docket that was divided on one server. */
export function keysOfAll(name: string, count: number): Keys[] {
  return Array.from({ length: count }, (_, i) => keysOf(name, { tag: i === 0 ? '' : String(i) }));
}

/** Returns how many entries the streams of each partition have. */
export async function entriesOfAll(redis: Redis, name: string, count: number): Promise<number[]> {
  return await Promise.all(
    keysOfAll(name, count).map(async (keys) => {
      const lengths = await Promise.all(STREAM_NAMES.map((stream) => redis.xlen(keys[stream])));
      return lengths.reduce((sum, length) => sum + length, 0);
    }),
  );
}

/** Returns the numbers of the partitions in which a key has a record. */
export async function placesOf(redis: Redis, name: string, count: number, key: string): Promise<number[]> {
  const found = await Promise.all(keysOfAll(name, count).map((keys) => redis.exists(keys.record(key))));
  return found.flatMap((exists, i) => (exists === 1 ? [i] : []));
}

/** Lets an execution arrive in a partition of the layout at any time. */
export async function anyTime(redis: Redis, keys: Keys): Promise<ArrivalTerms> {
  return { untilMs: Number.MAX_SAFE_INTEGER, strikes: (await redis.hget(keys.strikes, 'version')) ?? '' };
}

/** Returns a key that begins with `prefix` and belongs to a partition. */
export function keyIn(partition: number, count: number, prefix = 'k'): string {
  for (let i = 0; ; i++) if (partitionOf(`${prefix}${i}`, count) === partition) return `${prefix}${i}`;
}
