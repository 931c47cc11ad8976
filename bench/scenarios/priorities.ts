/**
 * How long does a task of high priority wait behind a long backlog of normal ones? And does the backlog keep a task of low
 * priority from running? All tasks keep the CPU busy. Those of high priority arrive one by one, at random times; each may have
 * to wait for one of the tasks that run when it comes, and for what is on its way to a thread.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { call, Docket } from 'docket';
import { long, short } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { DOCKET } from '../peers/names.js';
import { nowMs, type TimedWork, waitsOf } from '../peers/waits.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { quantile, spread } from '../support/stats.js';

const THREADS = 2;
/** How long a task of the backlog takes. */
const LONG_MS = 10;
/** How long a task of high priority takes, and one of low priority. */
const [HIGH_MS, LOW_MS] = [1, 2];
/** What a task of high priority may wait for, beside the longest task that runs. */
const ALLOWANCE_MS = 50;
const MEAN_GAP_MS = 40;
const ADDED_AT_ONCE = 10_000;
const WARM_UP = 20;
const STUCK_MS = 60_000;

export interface PrioritiesOptions {
  readonly rounds: number;
  /** Normal tasks in the backlog: more than the worker runs in this time. */
  readonly tasks: number;
  /** Tasks of high priority that are added in a round. */
  readonly calls: number;
}

interface PrioritiesRun {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Waits of the tasks of low priority, in milliseconds. */
  readonly low: number;
  readonly problems: readonly string[];
}

export async function priorities(redis: BenchRedis, options: PrioritiesOptions): Promise<Report> {
  const contender = { name: 'docket, high behind a backlog of normal ones' };
  const runs = await interleave('priorities', [contender], options.rounds, () => runOnce(redis, options));
  const all = (of: 'p50' | 'p99' | 'max' | 'low') => runs.get(contender.name)!.map((run) => run[of]);
  return {
    scenario: 'priorities',
    tables: [
      {
        title: `priorities: ${options.calls} tasks of high priority, behind ${options.tasks} normal ones of ${LONG_MS} ms`,
        rows: [
          {
            contender: contender.name,
            'p50 ms': spread(all('p50')).median,
            'p99 ms': spread(all('p99')).median,
            'max ms': spread(all('max')).median,
            'low ms': spread(all('low')).median,
          },
        ],
        notes: [
          'waits from the add to the start of the body, as medians of the rounds; low: the wait of one of low priority',
        ],
      },
    ],
    verdicts: [atMost('p99 wait of high priority, in ms: the longest task and 50', all('p99'), LONG_MS + ALLOWANCE_MS)],
    problems: problemsOf(runs),
  };
}

async function runOnce(redis: BenchRedis, { tasks, calls }: PrioritiesOptions): Promise<PrioritiesRun> {
  await redis.reset();
  const docket = new Docket({ name: DOCKET, url: redis.url, executionTtl: 0 });
  const work = (workMs: number): TimedWork => ({ addedMs: nowMs(), workMs });
  for (let added = 0; added < tasks; added += ADDED_AT_ONCE) {
    await docket.addMany(
      Array.from({ length: Math.min(ADDED_AT_ONCE, tasks - added) }, () => call(long, work(LONG_MS))),
    );
  }
  const settings: DocketWorkerSettings = { url: redis.url, options: { threads: THREADS, concurrency: THREADS } };
  const worker = await Peer.start('docket-worker', settings);
  await worker.request();
  await reported(redis, LONG_MS, WARM_UP);
  await docket.add(short, work(LOW_MS), { priority: 'low' });
  for (let i = 0; i < calls; i++) {
    await sleep(-Math.log(1 - Math.random()) * MEAN_GAP_MS);
    await docket.add(short, work(HIGH_MS), { priority: 'high' });
  }
  const waits = await reported(redis, HIGH_MS, calls);
  const [low] = await reported(redis, LOW_MS, 1);
  const left = (await docket.snapshot()).totals.queued;
  await docket.clear();
  await docket.close();
  await worker.stop();
  return {
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    max: quantile(waits, 1),
    low: low!,
    problems: left > 0 ? [] : ['the backlog ended before the tasks of high priority did: make it longer'],
  };
}

/** Returns the waits of the tasks of this duration, once so many have started. */
async function reported(redis: BenchRedis, workMs: number, expected: number): Promise<number[]> {
  const deadline = nowMs() + STUCK_MS;
  while ((await redis.admin.llen(waitsOf(workMs))) < expected) {
    if (nowMs() > deadline) throw new Error(`${expected} tasks of ${workMs} ms did not run within ${STUCK_MS} ms`);
    await sleep(20);
  }
  return (await redis.admin.lrange(waitsOf(workMs), 0, -1)).map(Number);
}
