/** `docket.snapshot()`: the waiting and running executions of a docket, and its workers. */
import type { Redis } from 'ioredis';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { type LiveWorker, liveWorkers, runsTask, workerNameOf } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { isLine, loadPauses, waitingForOf } from '../redis/pause-store.js';
import { type Identity, identify, survey, surveyQueued, surveyWaiting } from '../redis/snapshot-store.js';
import type { Snapshot, SnapshotEntry, SnapshotOptions, WorkerInfo } from '../tasks/snapshot.js';
import { pauseOf } from './pauses.js';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

const OPTION_NAMES = optionNames<SnapshotOptions>({ limit: true });

/**
 * Returns how many entries each list of a snapshot has at most.
 * @throws InvalidOptionError when `limit` is out of range
 */
export function snapshotLimit(options: SnapshotOptions): number {
  checkOptionNames(options, OPTION_NAMES, 'snapshot.');
  const { limit = DEFAULT_LIMIT } = options;
  if (Number.isSafeInteger(limit) && limit >= 0 && limit <= MAX_LIMIT) return limit;
  throw new InvalidOptionError('limit', `expected a whole number from 0 to ${MAX_LIMIT}, got ${limit}`);
}

/**
 * Takes a snapshot. It takes several commands, so that none of them is long; an execution that moves meanwhile may be seen
 * twice or not at all.
 */
export async function takeSnapshot(redis: Redis, keys: Keys, limit: number): Promise<Snapshot> {
  const [counted, queue, waiting, pauses, workers] = await Promise.all([
    survey(redis, keys, limit),
    surveyQueued(redis, keys, limit),
    surveyWaiting(redis, keys, limit),
    loadPauses(redis, keys),
    listWorkers(redis, keys),
  ]);
  const locations = [...queue, ...counted.future, ...counted.held, ...waiting.first].map(({ location }) => location);
  const identities = await identify(redis, keys, locations);
  /** Consumes the identities of one list; executions that moved since it was read have none, and are left out. */
  const named = <T, E>(list: readonly T[], entryOf: (entry: SnapshotEntry, item: T, identity: Identity) => E): E[] => {
    const found = identities.splice(0, list.length);
    return found.flatMap((identity, i) => (identity ? [entryOf(entryFor(identity), list[i]!, identity)] : []));
  };
  const due = (entry: SnapshotEntry, { dueMs }: { readonly dueMs: number }) => {
    return { ...entry, when: new Date(dueMs), hasWorker: workers.some((worker) => runsTask(worker, entry.task)) };
  };
  const { queued, scheduled, running, failures } = counted;
  return {
    taken: new Date(counted.nowMs),
    totals: { queued, scheduled, waiting: waiting.total, paused: waiting.paused, running, failures },
    queued: named(queue, due),
    future: named(counted.future, (entry, item, { waitingFor }) => ({ ...due(entry, item), waitingFor })),
    running: named(counted.held, (entry, { consumer }, { state, worker, startedMs }) => {
      const hasBegun = state === 'running' && startedMs !== null;
      const since = hasBegun ? new Date(startedMs) : null;
      return { ...entry, worker: hasBegun ? worker : workerNameOf(consumer), since };
    }),
    waiting: named(waiting.first, (entry, { limit: name }) => {
      return { ...entry, waitingFor: waitingForOf(name), isPaused: isLine(name) };
    }),
    pauses: pauses.map(pauseOf),
    workers,
  };
}

/** Lists the workers that can take work. */
export async function listWorkers(redis: Redis, keys: Keys): Promise<WorkerInfo[]> {
  const live = await liveWorkers(redis, keys);
  return live.filter(({ canClaim }) => canClaim).map(infoOf);
}

function infoOf(worker: LiveWorker): WorkerInfo {
  const { name, consumer, threads, concurrency, running, tasks, hasFallback, seenMs, expiresMs } = worker;
  const { version = null, nodeVersion = null } = worker;
  const [lastSeen, expiresAt] = [new Date(seenMs), new Date(expiresMs)];
  const counts = { threads, concurrency, running };
  return { name, id: consumer, ...counts, tasks, hasFallback, version, nodeVersion, lastSeen, expiresAt };
}

function entryFor({ key, task, attempt, priority }: Identity): SnapshotEntry {
  return { key, task, attempt, priority };
}
