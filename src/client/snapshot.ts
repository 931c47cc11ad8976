/** A look at a docket for people: what waits, what runs where, and who is there to run it. */
import type { Redis } from 'ioredis';
import { InvalidOptionError } from '../core/errors.js';
import { type LiveWorker, liveWorkers } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { type Identity, identify, survey, surveyQueued, surveyWaiting } from '../redis/snapshot-store.js';

/** What every entry of a snapshot says of its execution. */
export interface SnapshotEntry {
  readonly key: string;
  readonly task: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
}

export interface QueuedEntry extends SnapshotEntry {
  /** Since when it is due. */
  readonly when: Date;
}

export interface FutureEntry extends SnapshotEntry {
  /** When it is due. */
  readonly when: Date;
}

export interface RunningEntry extends SnapshotEntry {
  /** Name of the worker that has it. */
  readonly worker: string;
  /** Since when it has it; `null` when that is not kept: `executionTtl: 0` without a key, or not claimed yet. */
  readonly since: Date | null;
}

export interface WaitingEntry extends SnapshotEntry {
  /** The limit at which it waits: `<task>`, `<task>:<argument>:<value>` or `@<scope>...`, percent-encoded. */
  readonly waitingFor: string;
}

export interface QuarantineEntry {
  /** `null` when the message had none that could be read. */
  readonly key: string | null;
  readonly reason: string;
  readonly at: Date;
}

/** A worker that lives and can take work. */
export interface WorkerInfo {
  readonly name: string;
  /** Distinguishes workers of the same name. */
  readonly id: string;
  readonly threads: number;
  /** Executions it runs at once. */
  readonly concurrency: number;
  /** Executions in its hands, those it has read ahead included. */
  readonly running: number;
  /** Names of the tasks it can run. */
  readonly tasks: readonly string[];
  readonly lastSeen: Date;
  /** When it is no longer listed if nothing more is heard of it. */
  readonly expiresAt: Date;
}

/** What there was in a docket. Times are those of the server's clock. */
export interface Snapshot {
  readonly taken: Date;
  /** How many there are, listed here or not. */
  readonly totals: {
    /** Due, and not taken by a worker. */
    readonly queued: number;
    /** Due later. */
    readonly scheduled: number;
    /** Waiting for a slot of a concurrency limit. */
    readonly waiting: number;
    /** In the hands of a worker, what it has read ahead included. */
    readonly running: number;
    /** Messages that could never run; the newest 1,000 are kept, for a week. */
    readonly quarantined: number;
  };
  /** What is queued, in the order in which workers take it; fewer where the messages are long: it ends behind 1 MiB. */
  readonly queued: readonly QueuedEntry[];
  /** What is scheduled, the earliest first. */
  readonly future: readonly FutureEntry[];
  /** The oldest first. */
  readonly running: readonly RunningEntry[];
  /** Limit by limit, first come first. */
  readonly waiting: readonly WaitingEntry[];
  /** The newest first. */
  readonly quarantine: readonly QuarantineEntry[];
  readonly workers: readonly WorkerInfo[];
}

export interface SnapshotOptions {
  /**
   * Entries in each list but `workers`, 0 to 1000.
   * @default 100
   */
  limit?: number;
}

const DEFAULT_LIMIT = 100;
const LARGEST_LIMIT = 1_000;

/**
 * Takes a snapshot. Several commands, so that none of them is long: what moves meanwhile may be seen twice or not at all.
 * @throws InvalidOptionError for a limit that is not one
 */
export async function takeSnapshot(redis: Redis, keys: Keys, options: SnapshotOptions): Promise<Snapshot> {
  const { limit = DEFAULT_LIMIT } = options;
  if (!Number.isSafeInteger(limit) || limit < 0 || limit > LARGEST_LIMIT) {
    throw new InvalidOptionError('limit', `expected a whole number from 0 to ${LARGEST_LIMIT}, got ${limit}`);
  }
  const [all, due, waiting, workers] = await Promise.all([
    survey(redis, keys, limit),
    surveyQueued(redis, keys, limit),
    surveyWaiting(redis, keys, limit),
    listWorkers(redis, keys),
  ]);
  const places = [...due, ...all.future, ...all.held, ...waiting.first].map(({ where }) => where);
  const identities = await identify(redis, keys, places);
  /** What can still be named of a list, with what it was listed for. */
  const named = <T, E>(list: readonly T[], entryOf: (entry: SnapshotEntry, item: T, identity: Identity) => E): E[] => {
    const own = identities.splice(0, list.length);
    return own.flatMap((identity, i) => (identity ? [entryOf(entryFor(identity), list[i]!, identity)] : []));
  };
  const { queued, scheduled, running, quarantined } = all;
  return {
    taken: new Date(all.nowMs),
    totals: { queued, scheduled, waiting: waiting.total, running, quarantined },
    queued: named(due, (entry, { dueMs }) => ({ ...entry, when: new Date(dueMs) })),
    future: named(all.future, (entry, { dueMs }) => ({ ...entry, when: new Date(dueMs) })),
    running: named(all.held, (entry, { consumer }, { state, worker, startedMs }) => {
      const hasBegun = state === 'running' && startedMs !== null;
      const since = hasBegun ? new Date(startedMs) : null;
      return { ...entry, worker: hasBegun ? worker : nameOf(consumer), since };
    }),
    waiting: named(waiting.first, (entry, item) => ({ ...entry, waitingFor: item.limit })),
    quarantine: all.quarantine.map(({ key, reason, atMs }) => ({ key: key || null, reason, at: new Date(atMs) })),
    workers,
  };
}

/** Lists the workers that can take work. */
export async function listWorkers(redis: Redis, keys: Keys): Promise<WorkerInfo[]> {
  const live = await liveWorkers(redis, keys);
  return live.filter(({ canClaim }) => canClaim).map(infoOf);
}

function infoOf(worker: LiveWorker): WorkerInfo {
  const { name, consumer, threads, concurrency, running, tasks, seenMs, expiresMs } = worker;
  const [lastSeen, expiresAt] = [new Date(seenMs), new Date(expiresMs)];
  return { name, id: consumer, threads, concurrency, running, tasks, lastSeen, expiresAt };
}

function entryFor({ key, task, attempt }: Identity): SnapshotEntry {
  return { key, task, attempt };
}

/** A consumer is called by its worker's name and a number of its own. */
function nameOf(consumer: string): string {
  return consumer.slice(0, Math.max(0, consumer.lastIndexOf(':'))) || consumer;
}
