/** The workers of a docket, as they tell of themselves. */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { runScript } from './script.js';

export interface WorkerReport {
  readonly name: string;
  readonly threads: number;
  readonly concurrency: number;
  readonly running: number;
  readonly tasks: readonly string[];
  /** How long this worker may be silent before its executions are given to others, in milliseconds. */
  readonly leaseMs: number;
}

/** Lists the worker as alive for `ttlMs` from now on the server's clock, so that readers need not know its interval. */
export async function heartbeat(
  redis: Redis,
  keys: Keys,
  consumer: string,
  ttlMs: number,
  report: WorkerReport,
): Promise<void> {
  await runScript(
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
}

/** Takes the worker off the list, and its consumer off the streams if nothing is pending on it. */
export async function leave(redis: Redis, keys: Keys, consumer: string): Promise<void> {
  await runScript(redis, 'leave', [keys.work, keys.front, keys.workers, keys.worker(consumer)], [consumer]);
}
