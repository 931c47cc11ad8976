/**
 * How much of the cores is left for CPU-bound tasks? Each task is a fixed number of hash rounds (about 100 ms). They run
 * through docket with one thread for each core, and through plain piscina called from memory, so the ratio shows what a
 * queue costs. On both sides the clock runs from the first task that is added to the last result that arrives.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { call, Docket } from 'docket';
import { hashRounds as hashTask } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import hashRounds from '../peers/hash-rounds.js';
import { DOCKET } from '../peers/names.js';
import type { Burst, PoolSettings } from '../peers/piscina-pool.js';
import { docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { spread } from '../support/stats.js';

const TASK_MS = 100;
const THREADS = availableParallelism();

interface CpuRun {
  readonly perSecond: number;
  readonly problems: readonly string[];
}

interface Contender {
  readonly name: string;
  run(redis: BenchRedis, burst: Burst): Promise<CpuRun>;
}

const DOCKET_RUN: Contender = { name: 'docket', run: runDocket };
const PISCINA_RUN: Contender = { name: 'plain piscina', run: runPiscina };
const CONTENDERS = [DOCKET_RUN, PISCINA_RUN];

export async function cpu(
  redis: BenchRedis,
  { rounds, tasksPerThread }: { rounds: number; tasksPerThread: number },
): Promise<Report> {
  const burst = { tasks: tasksPerThread * THREADS, rounds: calibrate() };
  const runs = await interleave('cpu', CONTENDERS, rounds, (contender) => contender.run(redis, burst));
  const perSecond = ({ name }: Contender) => runs.get(name)!.map((run) => run.perSecond);
  return {
    scenario: 'cpu',
    tables: [
      {
        title: `cpu: ${burst.tasks} tasks of ${burst.rounds} hash rounds (about ${TASK_MS} ms) on ${THREADS} threads`,
        rows: CONTENDERS.map((contender) => {
          const { median, min, max } = spread(perSecond(contender));
          return { contender: contender.name, 'tasks/s': median, min, max };
        }),
      },
    ],
    verdicts: [compare('docket / plain piscina', perSecond(DOCKET_RUN), perSecond(PISCINA_RUN), 0.95)],
    problems: problemsOf(runs),
  };
}

/** Finds how many rounds take about `TASK_MS` here. All contenders use this number, however busy the machine gets. */
function calibrate(): number {
  const trial = 20_000;
  hashRounds({ rounds: trial }); // compiles it
  const start = performance.now();
  hashRounds({ rounds: trial });
  return Math.round((trial * TASK_MS) / (performance.now() - start));
}

async function runDocket(redis: BenchRedis, { tasks, rounds }: Burst): Promise<CpuRun> {
  await redis.reset();
  const settings: DocketWorkerSettings = { url: redis.url, options: { threads: THREADS } };
  const worker = await Peer.start('docket-worker', settings);
  await worker.request();
  const docket = new Docket({ name: DOCKET, url: redis.url });
  const burst = async (count: number) => {
    const executions = await docket.addMany(Array.from({ length: count }, () => call(hashTask, { rounds })));
    await Promise.all(executions.map((execution) => execution.result()));
  };
  await burst(THREADS); // starts the threads and compiles the task
  const start = performance.now();
  await burst(tasks);
  const ms = performance.now() - start;
  await docket.close();
  await worker.stop();
  const added = tasks + THREADS;
  return { perSecond: (tasks / ms) * 1e3, problems: await docketLedger.audit(redis.admin, added, added) };
}

async function runPiscina(_redis: BenchRedis, { tasks, rounds }: Burst): Promise<CpuRun> {
  const settings: PoolSettings = { threads: THREADS };
  const pool = await Peer.start('piscina-pool', settings);
  await pool.request({ tasks: THREADS, rounds } satisfies Burst);
  const { ms } = await pool.request<{ ms: number }>({ tasks, rounds } satisfies Burst);
  await pool.stop();
  return { perSecond: (tasks / ms) * 1e3, problems: [] };
}
