/** What one run of a scenario found, with all that is needed to judge it: the sizes, the machine, the versions, the date. */
import { describeMachine, type Machine } from './machine.js';
import type { BenchRedis } from './redis-server.js';
import type { Report } from './report.js';
import type { Scenario } from './scenario.js';

export interface Result {
  readonly date: string;
  readonly machine: Machine;
  readonly sizes: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly report: Report;
}

export async function runScenario(
  scenario: Scenario,
  redis: BenchRedis,
  sizes: Readonly<Record<string, number>>,
): Promise<Result> {
  process.env.BENCH_REDIS_PATH = redis.path; // for the tasks that count their executions
  const machine = describeMachine(/redis_version:(\S+)/.exec(await redis.admin.info('server'))?.[1] ?? 'unknown');
  const start = performance.now();
  const report = await scenario.run(redis, sizes);
  const seconds = Math.round((performance.now() - start) / 1e3);
  return { date: new Date().toISOString(), machine, sizes, seconds, report };
}
