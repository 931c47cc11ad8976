/**
 * Reads and changes the layout of a docket: which partitions it has. The layout lies in partition 0, whose keys never change.
 *
 * A change goes through these steps, so that every add is routed by the layout that is in force as it is written:
 *
 * 1. `beginLayoutChange` in every partition of the old layout, partition 0 last: adds that were routed before are refused,
 *    and producers wait while the mark is there.
 * 2. `setLayout`, which needs the mark in partition 0, and the layout that the new one was made from.
 * 3. `endLayoutChange` in every partition.
 *
 * A producer loads the strikes of a partition, finds no mark there, and then loads the layout. So if an add passes the check of its
 * version of the strikes, its layout is in force, too. The mark in partition 0 is the last to be set and the first to expire: while
 * it is there, so are the others.
 */
import type { Redis } from 'ioredis';
import { isPartitionTag, type Keys } from './keys.js';
import type { ListSource } from './list-follower.js';
import { LAYOUT, MOST_PARTITIONS, STREAM_NAMES } from './schema.js';
import { runScript } from './script.js';

/** The partitions of a docket at one moment. */
export interface Layout {
  /** Grows with each change; '' before the first one. */
  readonly version: string;
  /** The tag of each partition, by its number. That of partition 0 is ''. */
  readonly tags: readonly string[];
  /** Tags of partitions that were removed and may still have work. Nothing is added to them, and workers still read them. */
  readonly draining: readonly string[];
}

/** The layout of a docket that never had another. */
export const FIRST_LAYOUT: Layout = { version: '', tags: [''], draining: [] };

/**
 * Reads the layout of a docket.
 * @param keys - those of partition 0
 */
export async function loadLayout(redis: Redis, keys: Keys): Promise<Layout> {
  const fields = await redis.hmget(keys.layout, LAYOUT.version, LAYOUT.tags, LAYOUT.draining);
  const [version, tags, draining] = fields.map((field) => field ?? '') as [string, string, string];
  if (version === '') return FIRST_LAYOUT;
  return { version, tags: ['', ...tagsIn(tags)], draining: tagsIn(draining) };
}

/**
 * Returns the layout for a follower, as a list of one item. It is loaded again after each change.
 * @param keys - those of partition 0
 */
export function layoutSource(redis: Redis, keys: Keys): ListSource<Layout> {
  const load = async () => {
    const layout = await loadLayout(redis, keys);
    return { items: [layout], version: layout.version };
  };
  return {
    channel: keys.layoutChanges,
    load,
    loadChanged: async (version) => {
      const latest = (await redis.hget(keys.layout, LAYOUT.version)) ?? '';
      return latest === version ? null : await load();
    },
    // The message does not have the layout. No follower has the version '' here, so each loads the layout.
    parseChange: (version) => ({ versionBefore: '', version, isAdded: true, item: null }),
  };
}

/** Whether a change of the layout is under way, so that nothing may be added to this partition. */
export async function isLayoutChanging(redis: Redis, keys: Keys): Promise<boolean> {
  return (await redis.exists(keys.layoutChange)) === 1;
}

/** One change of the layout. */
export interface LayoutChange {
  /** Tells this change from any other. */
  readonly token: string;
  /** How long producers wait at most if the process that changes the layout dies. */
  readonly expiresMs: number;
  /** Whether the mark must be there already. If it has expired, adds may have been written since. */
  readonly isRenewal?: boolean;
}

/**
 * Sets or renews the mark that keeps producers from adding to a partition. Returns the number of limits whose permits are taken;
 * `null` when another change is under way, or when the mark to renew has expired.
 */
export async function beginLayoutChange(
  redis: Redis,
  keys: Keys,
  { token, expiresMs, isRenewal = false }: LayoutChange,
): Promise<number | null> {
  const args = [keys.prefix, token, expiresMs, isRenewal ? '1' : ''];
  return (await runScript(redis, 'begin-layout-change', [keys.strikes, keys.layoutChange], args)) as number | null;
}

/**
 * Writes a new layout. Returns its version. Writes nothing and returns `null` when the mark of the change has expired, or when the
 * layout that the new one was made from is no longer in force.
 * @param keys - those of partition 0
 */
export async function setLayout(
  redis: Redis,
  keys: Keys,
  { tags, draining }: Pick<Layout, 'tags' | 'draining'>,
  { token, versionBefore }: Pick<LayoutChange, 'token'> & { readonly versionBefore: string },
): Promise<string | null> {
  const args = [keys.prefix, token, versionBefore, tags.slice(1).join(' '), draining.join(' ')];
  const reply = await runScript(redis, 'set-layout', [keys.layout, keys.layoutChange], args);
  return String(reply) || null;
}

/** Lets producers add to a partition again. */
export async function endLayoutChange(redis: Redis, keys: Keys, { token }: Pick<LayoutChange, 'token'>): Promise<void> {
  await runScript(redis, 'end-layout-change', [keys.layoutChange], [token]);
}

/**
 * Returns whether a partition has no failures and no executions that have not ended. Nothing is added to a drained partition, so it
 * stays empty.
 */
export async function isPartitionEmpty(redis: Redis, keys: Keys): Promise<boolean> {
  const names = [...STREAM_NAMES.map((name) => keys[name]), keys.schedule, keys.waiting, keys.failures, keys.wakes];
  // One script looks at all places: between two commands, an execution could move from a place not yet seen to one already seen.
  return (await runScript(redis, 'is-empty', names, [])) === 1;
}

/**
 * Removes an empty partition from the drained ones in the layout. Returns whether it was one of them.
 * @param keys - those of partition 0
 */
export async function forgetPartition(redis: Redis, keys: Keys, tag: string): Promise<boolean> {
  return (await runScript(redis, 'forget-partition', [keys.layout], [keys.prefix, tag])) === 1;
}

/** Reads a list of tags. Leaves out text that cannot be a tag, so that the layout never leads to keys of another docket. */
function tagsIn(field: string): string[] {
  return field.split(' ').filter(isPartitionTag).slice(0, MOST_PARTITIONS);
}
