/** `docket.snapshot()`: what waits in a docket, what runs where, and which workers are there to run it. */
import type { Redis } from 'ioredis';
import { InvalidOptionError } from '../core/errors.js';
import { checkOptionNames, optionNames } from '../core/options.js';
import { type LiveWorker, liveWorkers } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { type Identity, identify, survey, surveyQueued, surveyWaiting } from '../redis/snapshot-store.js';

/** An execution, as every list of a snapshot shows it. */
export interface SnapshotEntry {
  readonly key: string;
  readonly task: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
}

/** An execution that is due and that no worker has taken. */
export interface QueuedEntry extends SnapshotEntry {
  /** When it became due. */
  readonly when: Date;
}

/** An execution that is scheduled for later. */
export interface FutureEntry extends SnapshotEntry {
  /** When it is due. */
  readonly when: Date;
}

/** An execution in the hands of a worker. */
export interface RunningEntry extends SnapshotEntry {
  /** Name of the worker that has it. */
  readonly worker: string;
  /** When that worker claimed it; `null` before the claim, and for executions without a record (no key, `executionTtl: 0`). */
  readonly since: Date | null;
}

/** An execution that waits for a permit of a concurrency limit. */
export interface WaitingEntry extends SnapshotEntry {
  /** Name of the limit: `<task>`, `<task>:<argument>:<value>` or `@<scope>...`, percent-encoded. */
  readonly waitingFor: string;
}

/** A message that can never run. */
export interface QuarantineEntry {
  /** `null` when no key could be read from the message. */
  readonly key: string | null;
  /** Why it cannot run. */
  readonly reason: string;
  /** When it was put into quarantine. */
  readonly at: Date;
}

/** A live worker that can take work. */
export interface WorkerInfo {
  readonly name: string;
  /** Unique, also among workers of the same name. */
  readonly id: string;
  readonly threads: number;
  /** How many executions it runs at once, at most. */
  readonly concurrency: number;
  /** How many executions it has, including those it has read ahead. */
  readonly running: number;
  /** Names of the tasks it can run. */
  readonly tasks: readonly string[];
  /** Time of its last heartbeat. */
  readonly lastSeen: Date;
  /** When it is no longer listed unless another heartbeat comes. */
  readonly expiresAt: Date;
}

/** The contents of a docket at one time. All times are by the clock of the Redis server. */
export interface Snapshot {
  /** When it was taken. */
  readonly taken: Date;
  /** How many there are, whether listed here or not. */
  readonly totals: {
    /** Due, and not taken by a worker. */
    readonly queued: number;
    /** Due later. */
    readonly scheduled: number;
    /** Waiting for a permit of a concurrency limit. */
    readonly waiting: number;
    /** In the hands of a worker, including what it has read ahead. */
    readonly running: number;
    /** Messages that can never run; the newest 1,000 are kept, for a week. */
    readonly quarantined: number;
  };
  /** The next executions that workers take, in order. Shorter when messages are long: it ends once they exceed 1 MiB. */
  readonly queued: readonly QueuedEntry[];
  /** The scheduled executions, the earliest first. */
  readonly future: readonly FutureEntry[];
  /** The running executions, the oldest first. */
  readonly running: readonly RunningEntry[];
  /** The waiters, limit by limit, each in the order in which they get their permits. */
  readonly waiting: readonly WaitingEntry[];
  /** The messages in quarantine, the newest first. */
  readonly quarantine: readonly QuarantineEntry[];
  readonly workers: readonly WorkerInfo[];
}

/** Options of `docket.snapshot()`. */
export interface SnapshotOptions {
  /**
   * How many entries each list has at most, 0 to 1000. `workers` is always whole.
   * @default 100
   */
  limit?: number;
}

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
  const [counted, queue, waiting, workers] = await Promise.all([
    survey(redis, keys, limit),
    surveyQueued(redis, keys, limit),
    surveyWaiting(redis, keys, limit),
    listWorkers(redis, keys),
  ]);
  const places = [...queue, ...counted.future, ...counted.held, ...waiting.first].map(({ where }) => where);
  const identities = await identify(redis, keys, places);
  /** Consumes the identities of one list; executions that moved since it was read have none, and are left out. */
  const named = <T, E>(list: readonly T[], entryOf: (entry: SnapshotEntry, item: T, identity: Identity) => E): E[] => {
    const found = identities.splice(0, list.length);
    return found.flatMap((identity, i) => (identity ? [entryOf(entryFor(identity), list[i]!, identity)] : []));
  };
  const { queued, scheduled, running, quarantined } = counted;
  return {
    taken: new Date(counted.nowMs),
    totals: { queued, scheduled, waiting: waiting.total, running, quarantined },
    queued: named(queue, (entry, { dueMs }) => ({ ...entry, when: new Date(dueMs) })),
    future: named(counted.future, (entry, { dueMs }) => ({ ...entry, when: new Date(dueMs) })),
    running: named(counted.held, (entry, { consumer }, { state, worker, startedMs }) => {
      const hasBegun = state === 'running' && startedMs !== null;
      const since = hasBegun ? new Date(startedMs) : null;
      return { ...entry, worker: hasBegun ? worker : nameOf(consumer), since };
    }),
    waiting: named(waiting.first, (entry, item) => ({ ...entry, waitingFor: item.limit })),
    quarantine: counted.quarantine.map(({ key, reason, atMs }) => ({ key: key || null, reason, at: new Date(atMs) })),
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

/** Takes the name of the worker from that of a consumer: `<worker>:<random suffix>`. */
function nameOf(consumer: string): string {
  return consumer.slice(0, Math.max(0, consumer.lastIndexOf(':'))) || consumer;
}
