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
    ],
  );
  return Number(nowMs);
}

/** Whether a live worker other than `consumer` says that it knows the task. */
export async function isAnnounced(redis: Redis, keys: Keys, task: string, consumer: string): Promise<boolean> {
  const live = await redis.zrangebyscore(keys.workers, await serverTimeMs(redis), '+inf');
  const others = live.filter((other) => other !== consumer);
  const tasks = await Promise.all(others.map((other) => redis.hget(keys.worker(other), 'tasks')));
  return tasks.some((announced) => announced !== null && (JSON.parse(announced) as string[]).includes(task));
}

/** Takes the worker off the list, and its consumer off the streams if nothing is pending on it. */
export async function leave(redis: Redis, keys: Keys, consumer: string): Promise<void> {
  await runScript(redis, 'leave', [keys.work, keys.front, keys.workers, keys.worker(consumer)], [consumer]);
}
