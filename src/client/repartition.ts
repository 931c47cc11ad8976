/**
 * Changes the number of partitions of a docket while producers add and workers run. `redis/layout-store.ts` has the steps by
 * which no add is routed by a layout that is not in force.
 *
 * Owns two more rules: new partitions get the strikes and the pauses, and partitions that were removed stay in the
 * layout as drained. The lists are copied after the marks were set and before the layout is written. So no worker reads
 * a new partition without its lists. One copy is enough: a producer that changes a list of partition 0 after the copy
 * finds the mark, and writes once more when the change is over (`Partitions.writeEverywhere`).
 */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { monotonicMs } from '../core/clock.js';
import { DocketError, InvalidOptionError, RedisUnavailableError } from '../core/errors.js';
import { readClusterMap, tagsFor } from '../redis/cluster-map.js';
import { describeDocket } from '../redis/docket-settings.js';
import { findDeparting, findKeyed } from '../redis/keyed-store.js';
import type { Keys } from '../redis/keys.js';
import {
  beginLayoutChange,
  endLayoutChange,
  forgetPartition,
  isPartitionEmpty,
  type Layout,
  setLayout,
} from '../redis/layout-store.js';
import type { ListSnapshot } from '../redis/list-follower.js';
import { addPause, type PauseTerms, pauseSource, removePauses } from '../redis/pause-store.js';
import { addStrike, loadStrikes, removeStrike } from '../redis/strike-store.js';
import { isClusterUrl } from '../redis/url.js';
import type { Partition } from './partition.js';
import type { Partitions } from './partitions.js';

/** How long the mark in partition 0 lasts; it is set again while the change goes on. */
const MARK_MS = 10_000;
/** How long the marks in the other partitions last. They must outlast the mark in partition 0. */
const OTHER_MARKS_MS = 30_000;
const RENEWED_AFTER_MS = 2_000;

/** The partitions of a docket cannot be changed, because executions would not be where their key or their limit leads. */
export class PartitionsInUseError extends DocketError {
  readonly code = 'DOCKET_PARTITIONS_IN_USE';
  override get name() {
    return 'PartitionsInUseError';
  }
}

/**
 * Gives a docket this many partitions. Returns the layout.
 * @param force - whether to change it although executions under keys have not ended, or executions hold permits
 * @throws PartitionsInUseError without `force`, when there are such executions. Nothing was changed
 * @throws RedisUnavailableError when a partition cannot be reached, or another process changes the partitions
 */
export async function changePartitions(
  partitions: Partitions,
  count: number,
  { force = false }: { readonly force?: boolean } = {},
): Promise<Layout> {
  await partitions.load();
  await forgetEmpty(partitions);
  const { layout } = partitions.routes;
  if (layout.tags.length === count) return layout;
  const tags = await newTags(partitions, count);
  const draining = [...layout.draining, ...layout.tags].filter((tag) => !tags.includes(tag));
  const added = tags.filter((tag) => !layout.tags.includes(tag)).map((tag) => partitions.at(tag));
  const marks = new ChangeMarks(partitions, [...new Set([...partitions.known, ...added])]);
  try {
    await marks.begin();
    if (!force) await marks.checkUnused();
    await copyLists(partitions.first, added);
    await marks.renew(); // if a mark has expired, a list may have changed after it was copied
    await marks.write({ tags, draining: [...new Set(draining)] }, layout);
  } finally {
    await marks.end();
  }
  await partitions.load();
  return partitions.routes.layout;
}

/** Removes drained partitions from the layout, if they are empty. */
async function forgetEmpty(partitions: Partitions): Promise<void> {
  for (const tag of partitions.routes.layout.draining) {
    if (!(await partitions.at(tag).run(isPartitionEmpty))) continue;
    await partitions.first.run((redis, keys) => forgetPartition(redis, keys, tag));
  }
  await partitions.load();
}

/** @throws InvalidOptionError when the partitions would be on masters that the URL does not lead to */
async function newTags(partitions: Partitions, count: number): Promise<string[]> {
  const { layout } = partitions.routes;
  return await partitions.first.run(async (redis) => {
    const map = await readClusterMap(redis);
    if (map === null) return await tagsFor(layout, count, null);
    if (!isClusterUrl(partitions.first.settings.url)) {
      const problem = 'it leads to one node of a cluster: name the cluster, as in redis+cluster://host:port,host:port';
      throw new InvalidOptionError('url', problem);
    }
    return await tagsFor(layout, count, (tag) => map.masterOfKey(partitions.at(tag).settings.keys.work), map.masters);
  });
}

/** Sets new marks, or keeps those that are there for longer. */
type MarkAction = 'set' | 'renew';

/** The marks of one change. */
class ChangeMarks {
  readonly #token = randomUUID();
  readonly #first: Partition;
  readonly #others: readonly Partition[];
  #renewedMs = monotonicMs();

  constructor({ first }: Partitions, all: readonly Partition[]) {
    this.#first = first;
    this.#others = all.filter((partition) => partition !== first);
  }

  /**
   * Sets the marks, the one in partition 0 last.
   * @throws RedisUnavailableError when another change is on its way
   */
  async begin(): Promise<void> {
    await this.#markAll('set');
  }

  /**
   * Keeps the marks for longer. Returns the number of limits of which permits are taken.
   * @throws RedisUnavailableError when a mark has expired: the partitions may have changed since they were checked
   */
  async renew(): Promise<number> {
    return await this.#markAll('renew');
  }

  async #markAll(action: MarkAction): Promise<number> {
    const startedMs = monotonicMs();
    const others = await Promise.all(this.#others.map((one) => this.#mark(one, action, OTHER_MARKS_MS)));
    const taken = [...others, await this.#mark(this.#first, action, MARK_MS)];
    this.#renewedMs = monotonicMs();
    // The mark in partition 0 must be the first to expire, also if this process stood still in between.
    if (this.#renewedMs - startedMs >= OTHER_MARKS_MS - MARK_MS) throw this.#tooSlow();
    return taken.reduce((sum, count) => sum + count, 0);
  }

  /** @throws PartitionsInUseError when executions would not be where their key or their limit leads, or could be moved twice */
  async checkUnused(): Promise<void> {
    if ((await this.renew()) > 0) {
      throw new PartitionsInUseError('executions hold permits of limits, which would count anew');
    }
    for (const partition of [this.#first, ...this.#others]) {
      const onStep = () => this.#renewInTime();
      const key = await partition.run((redis, keys) => findKeyed(redis, keys, onStep));
      if (key !== null) {
        const what = `an execution under the key '${key}' has not ended, and its key would lead elsewhere`;
        throw new PartitionsInUseError(what);
      }
      const departing = await partition.run((redis, keys) => findDeparting(redis, keys, onStep));
      if (departing === null) continue;
      const what = `execution '${departing}' is on its way to another partition, and could run twice`;
      throw new PartitionsInUseError(what);
    }
    await this.renew();
  }

  /**
   * @param before - the layout that the new one was made from
   * @throws RedisUnavailableError when the marks have expired, or that layout is not in force any more: nothing was written
   */
  async write(layout: Pick<Layout, 'tags' | 'draining'>, { version: versionBefore }: Layout): Promise<void> {
    const token = this.#token;
    const version = await this.#first.run((redis, keys) => setLayout(redis, keys, layout, { token, versionBefore }));
    if (version === null) throw this.#tooSlow();
  }

  /** Removes the marks. Those that cannot be removed expire. */
  async end(): Promise<void> {
    const token = this.#token;
    const ends = [...this.#others, this.#first].map((one) =>
      one.run((redis, keys) => endLayoutChange(redis, keys, { token })),
    );
    await Promise.allSettled(ends);
  }

  async #renewInTime(): Promise<void> {
    if (monotonicMs() - this.#renewedMs > RENEWED_AFTER_MS) await this.renew();
  }

  #tooSlow(): RedisUnavailableError {
    const where = describeDocket(this.#first.settings);
    return new RedisUnavailableError(
      `${where} was too slow to change its partitions, or they were changed meanwhile: nothing was written, try again`,
    );
  }

  async #mark(partition: Partition, action: MarkAction, expiresMs: number): Promise<number> {
    const token = this.#token;
    const isRenewal = action === 'renew';
    const taken = await partition.run((redis, keys) => beginLayoutChange(redis, keys, { token, expiresMs, isRenewal }));
    if (taken !== null) return taken;
    if (isRenewal) throw this.#tooSlow();
    const where = describeDocket(partition.settings);
    throw new RedisUnavailableError(`${where} is having its partitions changed by somebody else: try again`);
  }
}

/** Makes the strikes and the pauses of partitions those of another. */
async function copyLists(from: Partition, to: readonly Partition[]): Promise<void> {
  await Promise.all(to.flatMap((partition) => [copyStrikes(from, partition), copyPauses(from, partition)]));
}

async function copyStrikes(from: Partition, to: Partition): Promise<void> {
  const [wanted, present] = await Promise.all([from.run(loadStrikes), to.run(loadStrikes)]);
  const { missing, excess } = difference(wanted.strikes, present.strikes, ({ field }) => field);
  await to.run((redis, keys) => Promise.all(missing.map((strike) => addStrike(redis, keys, strike))));
  await to.run((redis, keys) => Promise.all(excess.map((strike) => removeStrike(redis, keys, strike))));
}

async function copyPauses(from: Partition, to: Partition): Promise<void> {
  const [wanted, present] = await Promise.all([from.run(loadPauseList), to.run(loadPauseList)]);
  const nameOf = ({ task, reason }: { readonly task: string | null; readonly reason: string }) =>
    JSON.stringify([task, reason]);
  const { missing, excess } = difference(wanted.items, present.items, nameOf);
  await to.run((redis, keys) => Promise.all(missing.map((terms) => addPause(redis, keys, terms))));
  await to.run((redis, keys) => Promise.all(excess.map(({ task, reason }) => removePauses(redis, keys, task, reason))));
}

async function loadPauseList(redis: Redis, keys: Keys): Promise<ListSnapshot<PauseTerms>> {
  return await pauseSource(redis, keys).load();
}

/** Returns what is wanted and not present, and what is present and not wanted. */
function difference<T>(wanted: readonly T[], present: readonly T[], nameOf: (item: T) => string) {
  const [names, presentNames] = [new Set(wanted.map(nameOf)), new Set(present.map(nameOf))];
  return {
    missing: wanted.filter((item) => !presentNames.has(nameOf(item))),
    excess: present.filter((item) => !names.has(nameOf(item))),
  };
}
