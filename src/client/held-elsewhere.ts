/**
 * Looks whether the key of a `once` call has an execution in another partition than the one to which it leads. After a change of
 * the partitions the record of one that has ended is still where the key led before, and it must not run again.
 *
 * No other call needs that: a change waits for the end of what has a key, and the other calls are placed behind that.
 */
import type { Placed } from '../redis/producer-store.js';
import type { Partition } from './partition.js';
import type { PreparedCall } from './prepare.js';

/** The execution that has the key of a call, as the answer to its add. */
export interface Held {
  readonly result: Placed;
  readonly partition: Partition;
}

/**
 * Returns what has the key of a call in a partition beside the one where the call is about to be placed; `null` when nothing has
 * it, or the call is not to be compared with what has ended.
 * @param all - the partitions of the layout by which the call was routed, and those that are drained
 * @throws RedisUnavailableError when one of them cannot be asked
 */
export async function heldElsewhere(
  { kind, key }: PreparedCall,
  place: Partition,
  all: readonly Partition[],
): Promise<Held | null> {
  if (kind !== 'once' || all.length === 1) return null;
  const look = async (partition: Partition): Promise<Held | null> => {
    const record = await partition.source.readHere(key);
    if (record === null) return null;
    const { generation, readUs } = record;
    return { result: { isNew: false, generation, nowMs: Math.floor(readUs / 1_000) }, partition };
  };
  const found = await Promise.all(all.filter((partition) => partition !== place).map(look));
  return found.find((held) => held !== null) ?? null;
}
