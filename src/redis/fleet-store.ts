/** Announces the workers of a docket, lists those that live, recalls the work for their tasks, and takes them off the list. */
import type { Redis } from 'ioredis';
import { batchesOf } from '../core/batcher.js';
import type { Keys } from './keys.js';
import { msUntil } from './schedule-store.js';
import { BATCH_ITEMS, WORKER } from './schema.js';
import { runScript } from './script.js';
import { storedTime } from './stored-time.js';
import { serverTimeMs } from './time.js';

export interface WorkerReport {
  readonly name: string;
  readonly threads: number;
  readonly concurrency: number;
  readonly running: number;
  readonly tasks: readonly string[];
  /** How long this worker may be silent before its executions are redelivered, in milliseconds. */
  readonly leaseMs: number;
  /** Whether it takes work: it reads, or has all it can run. If not, it is no longer listed, but keeps its lease. */
  readonly canClaim: boolean;
  /** Whether it has a fallback, so that it also runs tasks that it does not know. */
  readonly hasFallback: boolean;
  /** Names of the arguments that its tasks show in the log, by task. @default none */
  readonly logged?: Readonly<Record<string, readonly string[]>>;
  /** Version of docket; `null` when it is not known. */
  readonly version?: string | null;
  /** Version of Node; `null` when it is not known. */
  readonly nodeVersion?: string | null;
  /** Whether it is about to end: it takes nothing more, and lets finish what it has. @default false */
  readonly isDraining?: boolean;
}

/** Policies of tasks in words, by task: none for a task that has none. */
export type PolicyTexts = Readonly<Record<string, readonly string[]>>;

/** A worker whose heartbeat has not expired. Times are server milliseconds. */
export interface LiveWorker extends WorkerReport {
  readonly consumer: string;
  readonly seenMs: number;
  readonly expiresMs: number;
}

/** What a worker learns from the reply to its heartbeat. */
export interface HeartbeatReply {
  /** The time of the server, in milliseconds. */
  readonly nowMs: number;
  /** Whether there is anything to recall, for whichever task. */
  readonly isAnyRecallable: boolean;
  /** Milliseconds until the head of the schedule is due, 0 when it is due already; `null` when nothing is scheduled. */
  readonly nextInMs: number | null;
}

export interface HeartbeatTerms {
  readonly consumer: string;
  readonly ttlMs: number;
  /** What is announced of the policies of its tasks; left out where nothing of them is to be written. */
  readonly policies?: PolicyTexts | undefined;
}

/**
 * Lists the worker as alive for `ttlMs` from now on the server's clock, so that readers need not know its interval.
 */
export async function heartbeat(
  redis: Redis,
  keys: Keys,
  { consumer, ttlMs, policies }: HeartbeatTerms,
  report: WorkerReport,
): Promise<HeartbeatReply> {
  const [now, recallable, due] = (await runScript(
    redis,
    'heartbeat',
    [keys.work, keys.workers, keys.worker(consumer), keys.recallable, keys.schedule, keys.wakes],
    [
      consumer,
      ttlMs,
      WORKER.name,
      report.name,
      WORKER.threads,
      report.threads,
      WORKER.concurrency,
      report.concurrency,
      WORKER.running,
      report.running,
      WORKER.tasks,
      JSON.stringify(report.tasks),
      WORKER.lease,
      report.leaseMs,
      WORKER.claims,
      report.canClaim ? 1 : 0,
      WORKER.fallback,
      report.hasFallback ? 1 : 0,
      WORKER.draining,
      report.isDraining ? 1 : 0,
      ...loggedFields(report.logged),
      ...textField(WORKER.version, report.version),
      ...textField(WORKER.node, report.nodeVersion),
      ...(policies ? [WORKER.policies, JSON.stringify(policies)] : []),
    ],
  )) as [now: Buffer, recallable: number, due: Buffer];
  const nowMs = Number(now);
  return { nowMs, isAnyRecallable: recallable > 0, nextInMs: msUntil(String(due), nowMs) };
}

function loggedFields(logged: WorkerReport['logged']): string[] {
  return logged && Object.keys(logged).length > 0 ? [WORKER.logged, JSON.stringify(logged)] : [];
}

function textField(field: string, text: string | null | undefined): string[] {
  return text ? [field, text] : [];
}

/** Returns the names of the arguments that a task shows in the log, as the live workers that have it say. */
export async function loggedArguments(redis: Redis, keys: Keys, task: string): Promise<Set<string>> {
  const workers = await liveWorkers(redis, keys);
  return new Set(workers.flatMap(({ logged = {} }) => (Object.hasOwn(logged, task) ? logged[task]! : [])));
}

/** Whether a worker runs executions of this task: it has the task, or a fallback. */
export function runsTask({ tasks, hasFallback }: Pick<WorkerReport, 'tasks' | 'hasFallback'>, task: string): boolean {
  return hasFallback || tasks.includes(task);
}

/** Takes the name of the worker from that of a consumer: `<worker>:<random suffix>`. */
export function workerNameOf(consumer: string): string {
  return consumer.slice(0, Math.max(0, consumer.lastIndexOf(':'))) || consumer;
}

/** Finds out whether a live worker other than `consumer` can run the task. */
export async function isAnnounced(redis: Redis, keys: Keys, task: string, consumer: string): Promise<boolean> {
  const live = await liveWorkers(redis, keys);
  return live.some((other) => other.consumer !== consumer && other.canClaim && runsTask(other, task));
}

/**
 * Recalls executions that were rerouted because no live worker had one of these tasks: they are due at once. Handles a
 * bounded page. Returns whether there may be more.
 */
export async function recall(redis: Redis, keys: Keys, tasks: readonly string[]): Promise<boolean> {
  for (const batch of batchesOf(tasks, { maxItems: BATCH_ITEMS })) {
    const seen = await runScript(redis, 'recall', [keys.schedule], [keys.prefix, BATCH_ITEMS, ...batch]);
    if (Number(seen) >= BATCH_ITEMS) return true;
  }
  return false;
}

/** Returns the workers whose heartbeats have not expired. Deletes none of the others: the next heartbeat does. */
export async function liveWorkers(redis: Redis, keys: Keys): Promise<LiveWorker[]> {
  const live = await redis.zrangebyscore(keys.workers, `(${await serverTimeMs(redis)}`, '+inf', 'WITHSCORES');
  const workers: Promise<LiveWorker | null>[] = [];
  for (let i = 0; i + 1 < live.length; i += 2) {
    const [consumer, expiresMs] = [live[i]!, Number(live[i + 1])];
    workers.push(readReport(redis, keys.worker(consumer)).then((fields) => liveWorker(consumer, expiresMs, fields)));
  }
  return (await Promise.all(workers)).filter((worker) => worker !== null);
}

/** All fields but the policies, which may be long, and which few readers want. */
const REPORTED = Object.values(WORKER).filter((field) => field !== WORKER.policies);

async function readReport(redis: Redis, key: string): Promise<Partial<Record<string, string>>> {
  const values = await redis.hmget(key, ...REPORTED);
  return Object.fromEntries(REPORTED.flatMap((field, i) => (values[i] === null ? [] : [[field, values[i]]])));
}

/** Reads what some workers announced of the policies of their tasks; `null` for those that did not, as older versions do. */
export async function readPolicies(
  redis: Redis,
  keys: Keys,
  consumers: readonly string[],
): Promise<(PolicyTexts | null)[]> {
  const texts = await Promise.all(consumers.map((consumer) => redis.hget(keys.worker(consumer), WORKER.policies)));
  return texts.map((text) => (text === null ? null : policiesIn(text)));
}

/** Keeps what has the shape that is expected. */
function policiesIn(text: string): PolicyTexts | null {
  try {
    const entries = Object.entries(JSON.parse(text) as object);
    const isTexts = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string');
    return Object.fromEntries(entries.filter(([, value]) => isTexts(value)));
  } catch {
    return null;
  }
}

function liveWorker(consumer: string, expiresMs: number, fields: Partial<Record<string, string>>): LiveWorker | null {
  const name = fields[WORKER.name];
  if (name === undefined) return null; // it has left meanwhile
  return {
    consumer,
    expiresMs,
    name,
    seenMs: storedTime(fields[WORKER.seen]) ?? 0,
    threads: Number(fields[WORKER.threads]),
    concurrency: Number(fields[WORKER.concurrency]),
    running: Number(fields[WORKER.running]),
    tasks: listOf(parsed(fields[WORKER.tasks])),
    leaseMs: Number(fields[WORKER.lease]),
    canClaim: fields[WORKER.claims] !== '0',
    hasFallback: fields[WORKER.fallback] === '1',
    logged: Object.fromEntries(
      Object.entries(parsed(fields[WORKER.logged])).map(([task, names]) => [task, listOf(names)]),
    ),
    version: fields[WORKER.version] ?? null,
    nodeVersion: fields[WORKER.node] ?? null,
    isDraining: fields[WORKER.draining] === '1',
  };
}

/** Reads JSON; an empty object for what is none. */
function parsed(text: string | undefined): object {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {}; // somebody else wrote it
  }
}

function listOf(names: unknown): string[] {
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

/** Returns the leases of the workers that live at this time of the server, in milliseconds, by their consumers. */
export async function liveLeases(redis: Redis, keys: Keys, nowMs: number): Promise<Map<string, number>> {
  const live = await redis.zrangebyscore(keys.workers, `(${nowMs}`, '+inf');
  // A key of another type is not a report.
  const leases = live.map((consumer) => redis.hget(keys.worker(consumer), WORKER.lease).catch(() => null));
  const leaseMs = await Promise.all(leases);
  return new Map(live.map((consumer, i) => [consumer, Number(leaseMs[i]) || 0]));
}

/**
 * Takes the worker off the list, and its consumer off the streams if nothing is pending on it.
 * @param isForgotten - whether the docket has the partition no more: the last worker deletes its streams
 */
export async function leave(redis: Redis, keys: Keys, consumer: string, isForgotten = false): Promise<void> {
  const names = [keys.work, keys.front, keys.workers, keys.worker(consumer)];
  await runScript(redis, 'leave', names, [consumer, keys.prefix, isForgotten ? '1' : '']);
}
