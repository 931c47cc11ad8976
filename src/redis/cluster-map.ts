/** Chooses the tags of new partitions, so that the masters of a cluster share them evenly. */
import type { Redis } from 'ioredis';
import type { Layout } from './layout-store.js';
import { isReplyError } from './reply-errors.js';

/** How many tags are tried for one partition. With a hundred masters, about one tag in a hundred lies on each. */
const MOST_TRIES = 1_000;

/** Returns the name of the master that has the keys of a tag. */
export type MasterOf = (tag: string) => Promise<string>;

/**
 * Returns the tags for a number of partitions. The tags of the layout stay, so that their keys stay where they are. On
 * one server, the tag of a new partition is its number. In a cluster, it is the first of `2`, `2.1`, `2.2` … whose slot
 * lies on a master with the fewest partitions.
 * @param masterOf - `null` for one server
 */
export async function tagsFor(
  { tags }: Pick<Layout, 'tags'>,
  count: number,
  masterOf: MasterOf | null,
  masters: readonly string[] = [],
): Promise<string[]> {
  const chosen = tags.slice(0, count);
  if (masterOf === null) return [...chosen, ...numbersFrom(chosen.length, count)];
  const shares = new Map(masters.map((master) => [master, 0]));
  for (const tag of chosen) addOne(shares, await masterOf(tag));
  for (let number = chosen.length; number < count; number++) {
    const fewest = Math.min(...shares.values());
    let tag = String(number);
    let master = await masterOf(tag);
    for (let tries = 1; (shares.get(master) ?? 0) > fewest && tries <= MOST_TRIES; tries++) {
      tag = `${number}.${tries}`;
      master = await masterOf(tag);
    }
    addOne(shares, master);
    chosen.push(tag);
  }
  return chosen;
}

function numbersFrom(first: number, end: number): string[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => String(first + i));
}

function addOne(shares: Map<string, number>, master: string): void {
  shares.set(master, (shares.get(master) ?? 0) + 1);
}

/** The masters of a cluster. */
export interface ClusterMap {
  readonly masters: readonly string[];
  /** Returns the master that has the slot of a key. */
  masterOfKey(key: string): Promise<string>;
}

/** Reads which master has which slots; `null` for a server that is not part of a cluster. */
export async function readClusterMap(redis: Redis): Promise<ClusterMap | null> {
  const info = await redis.info('cluster').catch((error: unknown) => {
    if (isReplyError(error)) return ''; // this user may not read INFO, so the masters of the partitions are not balanced
    throw error;
  });
  if (!/^cluster_enabled:1\r?$/m.test(info)) return null;
  const ranges = rangesIn(await redis.cluster('SLOTS'));
  return {
    masters: [...new Set(ranges.map(({ master }) => master))],
    masterOfKey: async (key) => {
      const slot = await redis.cluster('KEYSLOT', key);
      const range = ranges.find(({ first, last }) => first <= slot && slot <= last);
      if (!range) throw new Error(`no master of the cluster has the slot ${slot}`);
      return range.master;
    },
  };
}

/** The slots from `first` to `last`. */
interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly master: string;
}

/**
 * Reads the reply to CLUSTER SLOTS. Masters are known by their ids, since nodes may not know their hosts. What is no
 * range is left out.
 */
function rangesIn(reply: unknown): SlotRange[] {
  const ranges: SlotRange[] = [];
  for (const range of Array.isArray(reply) ? (reply as unknown[]) : []) {
    const [first, last, master] = Array.isArray(range) ? (range as unknown[]) : [];
    const id = Array.isArray(master) ? (master as unknown[])[2] : undefined;
    if (typeof id === 'string') ranges.push({ first: Number(first), last: Number(last), master: id });
  }
  return ranges;
}
