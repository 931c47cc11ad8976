/**
 * Looks in the other partitions for an execution under the key of a `once` call. After a change of the partitions, the record of
 * an execution that has ended stays where its key led before, and the execution must not run again.
 *
 * No other call needs this: without `--force`, the partitions change only when every execution under a key has ended.
 */
import type { Placed } from '../redis/producer-store.js';
import type { Partition } from './partition.js';
import type { PreparedCall } from './prepare.js';

/** An execution that has the key of a call already, as the result of adding that call. */
export interface Existing {
  readonly result: Placed;
  readonly partition: Partition;
}

/**
 * Returns the execution under the key of a call in a partition other than `place`, where the call is about to be written. Returns
 * `null` when there is none, or when the call is not a `once` call.
 * @param all - the partitions of the layout by which the call was routed, and those that are drained
 * @throws RedisUnavailableError when one of them cannot be asked
 */
export async function findExisting(
  { kind, key }: PreparedCall,
  place: Partition,
  all: readonly Partition[],
): Promise<Existing | null> {
  if (kind !== 'once' || all.length === 1) return null;
  const look = async (partition: Partition): Promise<Existing | null> => {
    const record = await partition.source.readHere(key);
    if (record === null) return null;
    const { generation, readUs } = record;
    return { result: { isNew: false, generation, nowMs: Math.floor(readUs / 1_000) }, partition };
  };
  const found = await Promise.all(all.filter((partition) => partition !== place).map(look));
  return found.find((existing) => existing !== null) ?? null;
}
