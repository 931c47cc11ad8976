/**
 * How late do scheduled tasks start? Tasks that are due 1 to 3 s ahead are added at a steady rate, whatever becomes of them.
 * Each body records the time that has passed since it was due.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { call, Docket } from 'docket';
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import { punctual } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { LATENESS } from '../peers/lateness.js';
import { BULLMQ_QUEUE, DOCKET } from '../peers/names.js';
import { bullmqLedger, docketLedger, type Ledger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { quantile, spread } from '../support/stats.js';

const PER_SECOND = 200;
const BATCH_EVERY_MS = 50;
const BATCH = (PER_SECOND * BATCH_EVERY_MS) / 1e3;
const [LEAST_AHEAD_MS, MOST_AHEAD_MS] = [1_000, 3_000];
const TARGET_P99_MS = 20;
const STUCK_MS = 20_000;

interface Contender {
  readonly name: string;
  readonly program: string;
  readonly ledger: Ledger;
  settings(redis: BenchRedis): object;
  /** Opens a producer, which adds tasks that are due after each of `delays`. */
  open(redis: BenchRedis): { add(delays: readonly number[]): Promise<unknown>; close(): Promise<unknown> };
}

interface LatenessRun {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly problems: readonly string[];
}

const DOCKET_RUN: Contender = {
  name: 'docket',
  program: 'docket-worker',
  ledger: docketLedger,
  settings: ({ url }): DocketWorkerSettings => ({ url, options: { threads: 2 } }),
  open({ url }) {
    const docket = new Docket({ name: DOCKET, url, executionTtl: 0 });
    return {
      add: (delays) => docket.addMany(delays.map((when) => call(punctual, {}, { when }))),
      close: () => docket.close(),
    };
  },
};

const BULLMQ_RUN: Contender = {
  name: 'BullMQ in-process',
  program: 'bullmq-worker',
  ledger: bullmqLedger,
  settings: ({ path }): BullmqWorkerSettings => ({
    ...{ path, concurrency: 100, sandboxed: false, keep: { count: 0 } },
  }),
  open({ path }) {
    const queue = new Queue(BULLMQ_QUEUE, { connection: { path } });
    return {
      add: (delays) => queue.addBulk(delays.map((delay) => ({ name: 'punctual', data: {}, opts: { delay } }))),
      close: () => queue.close(),
    };
  },
};

const CONTENDERS = [DOCKET_RUN, BULLMQ_RUN];

export async function lateness(
  redis: BenchRedis,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Report> {
  const tasks = PER_SECOND * seconds;
  const runs = await interleave('lateness', CONTENDERS, rounds, (contender) => runOnce(redis, contender, tasks));
  const median = ({ name }: Contender, of: 'p50Ms' | 'p99Ms' | 'maxMs') =>
    spread(runs.get(name)!.map((run) => run[of])).median;
  const p99 = ({ name }: Contender) => runs.get(name)!.map(({ p99Ms }) => p99Ms);
  const toCompare = (contender: Contender) => p99(contender).map((ms) => Math.max(1, ms)); // there are whole ones only
  return {
    scenario: 'lateness',
    tables: [
      {
        title: `lateness: ${tasks} tasks, ${PER_SECOND} a second, due ${LEAST_AHEAD_MS / 1e3} to ${MOST_AHEAD_MS / 1e3} s ahead`,
        rows: CONTENDERS.map((contender) => ({
          contender: contender.name,
          'p50 ms late': median(contender, 'p50Ms'),
          'p99 ms late': median(contender, 'p99Ms'),
          'max ms late': median(contender, 'maxMs'),
        })),
        notes: ['whole milliseconds, because due times are; medians of the rounds'],
      },
    ],
    verdicts: [
      atMost("docket's p99, in ms late", p99(DOCKET_RUN), TARGET_P99_MS),
      compare("BullMQ's p99 / docket's p99", toCompare(BULLMQ_RUN), toCompare(DOCKET_RUN), 1),
    ],
    problems: problemsOf(runs),
  };
}

async function runOnce(redis: BenchRedis, contender: Contender, tasks: number): Promise<LatenessRun> {
  await redis.reset();
  const worker = await Peer.start(contender.program, contender.settings(redis));
  await worker.request();
  const producer = contender.open(redis);
  const warm = BATCH * 4; // the first tasks compile the code and open connections
  const startMs = performance.now();
  for (let added = 0; added < warm + tasks; added += BATCH) {
    await sleep(startMs + (added / PER_SECOND) * 1e3 - performance.now());
    const delays = Array.from({ length: BATCH }, () =>
      Math.round(LEAST_AHEAD_MS + Math.random() * (added < warm ? 0 : MOST_AHEAD_MS - LEAST_AHEAD_MS)),
    );
    await producer.add(delays);
  }
  const started = await allStarted(redis, warm + tasks);
  await producer.close();
  await worker.stop();
  const late = started.slice(warm);
  const early = late.filter((ms) => ms < 0).length;
  return {
    p50Ms: quantile(late, 0.5),
    p99Ms: quantile(late, 0.99),
    maxMs: quantile(late, 1),
    problems: [
      ...(started.length === warm + tasks ? [] : [`${started.length} starts of ${warm + tasks} tasks`]),
      ...(early > 0 ? [`${early} tasks started before they were due`] : []),
    ],
  };
}

/** Returns how late each task started, once as many have as were added, or none has for a while. */
async function allStarted(redis: BenchRedis, expected: number): Promise<number[]> {
  let [seen, sinceMs] = [0, performance.now()];
  for (;;) {
    const length = await redis.admin.llen(LATENESS);
    if (length > seen) [seen, sinceMs] = [length, performance.now()];
    if (length >= expected || performance.now() - sinceMs > STUCK_MS) break;
    await sleep(20);
  }
  await sleep(200); // so that repetitions are counted, too
  return (await redis.admin.lrange(LATENESS, 0, -1)).map(Number);
}
