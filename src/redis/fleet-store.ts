/** The workers of a docket, as they tell of themselves. */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { runScript } from './script.js';
import { serverTimeMs } from './time.js';

export interface WorkerReport {
  readonly name: string;
  readonly threads: number;
  readonly concurrency: number;
  readonly running: number;
  readonly tasks: readonly string[];
  /** How long this worker may be silent before its executions are given to others, in milliseconds. */
  readonly leaseMs: number;
  /** Whether it takes work: it reads, or has all it can run. One that does not is no longer listed, but keeps its lease. */
  readonly canClaim: boolean;
}

/** A worker whose heartbeat has not expired. Times are server milliseconds. */
export interface LiveWorker extends WorkerReport {
  readonly consumer: string;
  readonly seenMs: number;
  readonly expiresMs: number;
}

/**
 * Lists the worker as alive for `ttlMs` from now on the server's clock, so that readers need not know its interval. Answers
 * with the time of that clock, in milliseconds.
 */
export async function heartbeat(
  redis: Redis,
  keys: Keys,
  consumer: string,
  ttlMs: number,
  report: WorkerReport,
): Promise<number> {
  const nowMs = await runScript(
    redis,
    'heartbeat',
    [keys.workers, keys.worker(consumer)],
    [
      consumer,
      ttlMs,
      'name',
      report.name,
      'threads',
      report.threads,
      'concurrency',
      report.concurrency,
      'running',
      report.running,
      'tasks',
      JSON.stringify(report.tasks),
      'lease',
      report.leaseMs,
      'claims',
      report.canClaim ? 1 : 0,
    ],
  );
  return Number(nowMs);
}

/** Whether a live worker other than `consumer` says that it knows the task. */
export async function isAnnounced(redis: Redis, keys: Keys, task: string, consumer: string): Promise<boolean> {
  const live = await liveWorkers(redis, keys);
  return live.some((other) => other.consumer !== consumer && other.canClaim && other.tasks.includes(task));
}

/** The workers whose heartbeats have not expired. Only reads: whoever expired is taken off the list by the next heartbeat. */
export async function liveWorkers(redis: Redis, keys: Keys): Promise<LiveWorker[]> {
  const live = await redis.zrangebyscore(keys.workers, `(${await serverTimeMs(redis)}`, '+inf', 'WITHSCORES');
  const workers: Promise<LiveWorker | null>[] = [];
  for (let i = 0; i + 1 < live.length; i += 2) {
    const [consumer, expiresMs] = [live[i]!, Number(live[i + 1])];
    workers.push(redis.hgetall(keys.worker(consumer)).then((said) => liveWorker(consumer, expiresMs, said)));
  }
  return (await Promise.all(workers)).filter((worker) => worker !== null);
}

function liveWorker(consumer: string, expiresMs: number, said: Partial<Record<string, string>>): LiveWorker | null {
  if (said.name === undefined) return null; // signed off meanwhile
  return {
    consumer,
    expiresMs,
    seenMs: Number(said.seen ?? 0),
    name: said.name,
    threads: Number(said.threads),
    concurrency: Number(said.concurrency),
    running: Number(said.running),
    tasks: JSON.parse(said.tasks ?? '[]') as string[],
    leaseMs: Number(said.lease),
    canClaim: said.claims !== '0',
  };
}

/** Takes the worker off the list, and its consumer off the streams if nothing is pending on it. */
export async function leave(redis: Redis, keys: Keys, consumer: string): Promise<void> {
  await runScript(redis, 'leave', [keys.work, keys.front, keys.workers, keys.worker(consumer)], [consumer]);
}
