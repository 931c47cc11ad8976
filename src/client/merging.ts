/** Merges the answers of all partitions into one. The answer of a single partition is returned as it is. */
import type { ExecutionRecord } from '../redis/record.js';
import type { CancelReport } from '../tasks/cancelling.js';
import type { Failure, FailureGroup, RetryReport } from '../tasks/failures.js';
import type { LimitInfo } from '../tasks/limit-info.js';
import type { Pause } from '../tasks/pause.js';
import type { Schedule } from '../tasks/schedules.js';
import type { Snapshot, WorkerInfo } from '../tasks/snapshot.js';
import type { StrikeInfo } from '../tasks/strike-info.js';

export function sumOfCancels(reports: readonly CancelReport[]): CancelReport {
  return reports.reduce((sum, one) => ({
    removed: sum.removed + one.removed,
    stopping: sum.stopping + one.stopping,
    missed: sum.missed + one.missed,
  }));
}

export function sumOfRetries(reports: readonly RetryReport[]): RetryReport {
  return {
    retried: reports.flatMap(({ retried }) => retried),
    taken: reports.flatMap(({ taken }) => taken),
    struck: reports.flatMap(({ struck }) => struck),
    unusable: reports.flatMap(({ unusable }) => unusable),
    missing: reports.flatMap(({ missing }) => missing),
  };
}

/** Merges snapshots. Each list keeps its order, and has at most `limit` items. */
export function mergedSnapshot(snapshots: readonly Snapshot[], limit: number): Snapshot {
  if (snapshots.length === 1) return snapshots[0]!;
  const total = (of: keyof Snapshot['totals']) => snapshots.reduce((sum, { totals }) => sum + totals[of], 0);
  const byDue = (a: { readonly when: Date }, b: { readonly when: Date }) => a.when.getTime() - b.when.getTime();
  const startOf = ({ since }: { readonly since: Date | null }) => since?.getTime() ?? Number.POSITIVE_INFINITY;
  const merged = <T>(lists: readonly (readonly T[])[], order: (a: T, b: T) => number) =>
    lists.flat().sort(order).slice(0, limit);
  return {
    taken: new Date(Math.max(...snapshots.map(({ taken }) => taken.getTime()))),
    totals: {
      queued: total('queued'),
      scheduled: total('scheduled'),
      waiting: total('waiting'),
      paused: total('paused'),
      running: total('running'),
      failures: total('failures'),
    },
    queued: interleaved(snapshots.map(({ queued }) => queued)).slice(0, limit),
    future: merged(
      snapshots.map(({ future }) => future),
      byDue,
    ),
    running: merged(
      snapshots.map(({ running }) => running),
      (a, b) => compared(startOf(a), startOf(b)),
    ),
    waiting: snapshots.flatMap(({ waiting }) => waiting).slice(0, limit),
    pauses: mergedPauses(snapshots.map(({ pauses }) => pauses)),
    workers: mergedWorkers(snapshots.map(({ workers }) => workers)),
  };
}

/** Merges lists of workers. A worker reports to every partition that it reads, so only its last heartbeat counts. */
export function mergedWorkers(lists: readonly (readonly WorkerInfo[])[]): WorkerInfo[] {
  const byId = new Map<string, WorkerInfo>();
  for (const worker of lists.flat()) {
    const known = byId.get(worker.id);
    if (!known || worker.lastSeen > known.lastSeen) byId.set(worker.id, worker);
  }
  return [...byId.values()];
}

/** Merges lists of pauses. A pause is written to every partition, and is listed once, with the earliest of its times. */
export function mergedPauses(lists: readonly (readonly Pause[])[]): Pause[] {
  if (lists.length === 1) return [...lists[0]!];
  const pauses = oldestOfEach(lists.flat(), ({ task, reason }) => JSON.stringify([task, reason]));
  return pauses.sort((a, b) => compared(a.task ?? '', b.task ?? '') || compared(a.reason, b.reason));
}

/** Merges lists of strikes in the same way. */
export function mergedStrikes(lists: readonly (readonly StrikeInfo[])[]): StrikeInfo[] {
  if (lists.length === 1) return [...lists[0]!];
  return oldestOfEach(lists.flat(), ({ description }) => description);
}

/**
 * Merges lists of limits. A limit counts in one partition, unless tasks with other limits share its scope: then it has
 * the sums.
 */
export function mergedLimits(lists: readonly (readonly LimitInfo[])[], most: number): LimitInfo[] {
  if (lists.length === 1) return [...lists[0]!];
  const byName = new Map<string, LimitInfo>();
  for (const limit of lists.flat()) {
    const known = byName.get(limit.name);
    byName.set(limit.name, known ? sumOfLimits(known, limit) : limit);
  }
  const isWaitedFor = ({ waiting }: LimitInfo) => Number(waiting > 0);
  return [...byName.values()].sort((a, b) => isWaitedFor(b) - isWaitedFor(a)).slice(0, most);
}

function sumOfLimits(a: LimitInfo, b: LimitInfo): LimitInfo {
  return {
    ...a,
    max: a.max ?? b.max,
    taken: a.taken + b.taken,
    waiting: a.waiting + b.waiting,
    holders: [...a.holders, ...b.holders],
    waiters: [...a.waiters, ...b.waiters],
  };
}

/** Merges lists of failures, the newest first. */
export function mergedFailures(lists: readonly AsyncIterable<Failure>[], most: number): AsyncIterable<Failure> {
  return merged(lists, most, (a, b) => b.failedAt.getTime() - a.failedAt.getTime());
}

/** Adds up the groups of failures, the largest first. */
export function mergedGroups(lists: readonly (readonly FailureGroup[])[]): FailureGroup[] {
  if (lists.length === 1) return [...lists[0]!];
  const byName = new Map<string, FailureGroup>();
  for (const group of lists.flat()) {
    const name = JSON.stringify([group.task, group.errorName]);
    const known = byName.get(name);
    const newestAt = known && known.newestAt > group.newestAt ? known.newestAt : group.newestAt;
    byName.set(name, { ...group, count: group.count + (known?.count ?? 0), newestAt });
  }
  return [...byName.values()].sort((a, b) => b.count - a.count);
}

/** Merges lists of schedules, in the order of the bytes of their keys. */
export function mergedSchedules(lists: readonly AsyncIterable<Schedule>[], most: number): AsyncIterable<Schedule> {
  return merged(lists, most, (a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/** Merges ordered lists, and reads from each only what it needs. */
async function* merged<T>(
  lists: readonly AsyncIterable<T>[],
  most: number,
  order: (a: T, b: T) => number,
): AsyncGenerator<T, void, void> {
  const iterators = lists.map((list) => list[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(iterators.map((iterator) => iterator.next()));
    for (let left = most; left > 0; left--) {
      let first = -1;
      for (const [i, head] of heads.entries()) {
        if (!head.done && (first < 0 || order(head.value, heads[first]!.value as T) < 0)) first = i;
      }
      if (first < 0) return;
      yield heads[first]!.value as T;
      heads[first] = await iterators[first]!.next();
    }
  } finally {
    await Promise.all(iterators.map((iterator) => iterator.return?.()));
  }
}

/** Takes the first item of each list, then the second of each, and so on. */
function interleaved<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => (i < list.length ? [list[i]!] : []))).flat();
}

function oldestOfEach<T extends { readonly since: Date }>(items: readonly T[], nameOf: (item: T) => string): T[] {
  const byName = new Map<string, T>();
  for (const item of items) {
    const known = byName.get(nameOf(item));
    if (!known || item.since < known.since) byName.set(nameOf(item), item);
  }
  return [...byName.values()];
}

function compared<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Returns the execution that has not ended, or the one that was placed last, if several partitions know the key. */
export function bestOf<T>(
  found: readonly (T | null)[],
  recordOf: (one: T) => Pick<ExecutionRecord, 'completedMs' | 'generation'>,
): T | null {
  const isNewer = (a: T, b: T) => {
    const [one, other] = [recordOf(a), recordOf(b)];
    const haveEnded = [one, other].map(({ completedMs }) => completedMs !== null);
    return haveEnded[0] === haveEnded[1] ? one.generation > other.generation : !haveEnded[0];
  };
  return found.reduce<T | null>(
    (best, one) => (one !== null && (best === null || isNewer(one, best)) ? one : best),
    null,
  );
}
