/**
 * How much of the cores is left for CPU-bound tasks? They run through docket with one thread for each core, and through
 * plain piscina called from memory, so the ratio shows what a queue costs. There are two kinds of work: arithmetic over a
 * typed array, which allocates nothing, and rounds of hashes, which keep the garbage collector busy.
 *
 * Both pools live through all rounds, and take turns in short bursts, so that whatever else the machine does affects the two
 * halves of a pair alike. On both sides the clock runs from the first task that is added to the last result that arrives.
 * The CPU times are those of all threads, read from the kernel.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { call, Docket } from 'docket';
import arithmetic from '../peers/arithmetic.js';
import { arithmetic as arithmeticTask, hashRounds as hashTask } from '../peers/cpu-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import hashRounds from '../peers/hash-rounds.js';
import { DOCKET } from '../peers/names.js';
import type { Burst, PoolSettings } from '../peers/piscina-pool.js';
import { roundsThatTake } from '../support/calibrate.js';
import { readProcess } from '../support/cost.js';
import { docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report, type Row, type Verdict } from '../support/report.js';
import { spread } from '../support/stats.js';

const THREADS = availableParallelism();
const AT_LEAST = 0.97;
/** Length of a burst. Both its ends count, where docket's threads wait for the first add and the last result is on its way. */
const BURST_MS = 600;
/** Lengths of the tasks. */
const LENGTHS_MS = [5, 50, 100];
/** Rounds that are not measured: the first ones compile the task and start the estimates. */
const WARM_UP_ROUNDS = 5;
const WORKS = {
  arithmetic: { body: arithmetic, task: arithmeticTask, trialRounds: 500 },
  'hash-rounds': { body: hashRounds, task: hashTask, trialRounds: 5_000 },
} as const;
type Work = keyof typeof WORKS;

/** The CPU times of one burst in milliseconds for each task; `null` where there is no /proc. */
interface BurstRun {
  readonly ms: number;
  /** The main threads: docket's coordinator with the producer, or that of the pool. */
  readonly mainMs: number | null;
  /** All other threads of the worker process. */
  readonly threadsMs: number | null;
}

interface Contender {
  readonly name: string;
  readonly pids: readonly number[];
  run(burst: Burst): Promise<{ ms: number }>;
}

export interface CpuOptions {
  readonly rounds: number;
}

export async function cpu(redis: BenchRedis, { rounds }: CpuOptions): Promise<Report> {
  await redis.reset();
  const settings: DocketWorkerSettings = { url: redis.url, options: { threads: THREADS }, tasks: 'cpu-tasks' };
  const worker = await Peer.start('docket-worker', settings);
  await worker.request();
  const pool = await Peer.start('piscina-pool', { threads: THREADS } satisfies PoolSettings);
  const docket = new Docket({ name: DOCKET, url: redis.url });
  let added = 0;
  const ours: Contender = {
    name: 'docket',
    pids: [worker.pid, process.pid],
    async run({ work, tasks, rounds }) {
      added += tasks;
      const start = performance.now();
      const executions = await docket.addMany(Array.from({ length: tasks }, () => call(WORKS[work].task, { rounds })));
      await Promise.all(executions.map((execution) => execution.result()));
      return { ms: performance.now() - start };
    },
  };
  const theirs: Contender = { name: 'plain piscina', pids: [pool.pid], run: (burst) => pool.request(burst) };
  const [rows, verdicts]: [Row[], Verdict[]] = [[], []];
  for (const work of Object.keys(WORKS) as Work[]) {
    for (const lengthMs of LENGTHS_MS) {
      const tasks = Math.max(2, Math.round(BURST_MS / lengthMs)) * THREADS;
      // Both contenders use this number, however busy the machine gets.
      const burst = { work, tasks, rounds: roundsThatTake(lengthMs, WORKS[work].body, WORKS[work].trialRounds) };
      const [own, plain] = await pairs(`cpu: ${work}, ${lengthMs} ms`, [ours, theirs], burst, rounds);
      rows.push(rowOf(work, lengthMs, ours, own), rowOf(work, lengthMs, theirs, plain));
      const rates = (runs: readonly BurstRun[]) => runs.map(({ ms }) => tasks / ms);
      verdicts.push(compare(`${work} of ${lengthMs} ms, docket / piscina`, rates(own), rates(plain), AT_LEAST));
    }
  }
  status('');
  await docket.close();
  await Promise.all([worker.stop(), pool.stop()]);
  return {
    scenario: 'cpu',
    tables: [
      {
        title: `cpu: tasks that need only CPU, on ${THREADS} threads; medians of ${rounds} pairs of bursts of ${BURST_MS} ms`,
        rows,
        notes: [
          'main threads: the coordinator with the producer, or the main thread of the pool',
          'ms are for each task',
          'a burst is measured from the first add to the last result, with the way of both through Redis',
        ],
      },
    ],
    verdicts,
    problems: await docketLedger.audit(redis.admin, added, added),
  };
}

/** Lets both contenders run the burst in each round. They take turns in being first. */
async function pairs(
  title: string,
  [ours, theirs]: readonly [Contender, Contender],
  burst: Burst,
  rounds: number,
): Promise<[BurstRun[], BurstRun[]]> {
  const runs: [BurstRun[], BurstRun[]] = [[], []];
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    status(`${title}, round ${Math.max(0, round + 1)} of ${rounds}`);
    const inOrder = round % 2 === 0 ? ([ours, theirs] as const) : ([theirs, ours] as const);
    for (const contender of inOrder) {
      const run = await measured(contender, burst);
      if (round >= 0) runs[contender === ours ? 0 : 1].push(run);
    }
  }
  return runs;
}

async function measured({ pids, run }: Contender, burst: Burst): Promise<BurstRun> {
  const before = pids.map(readProcess);
  const { ms } = await run(burst);
  const after = pids.map(readProcess);
  const perTask = (of: (reading: ReturnType<typeof readProcess>, isWorker: boolean) => number | null) => {
    let sumUs = 0;
    for (const [i, start] of before.entries()) {
      const [from, to] = [of(start, i === 0), of(after[i]!, i === 0)];
      if (from === null || to === null) return null;
      sumUs += to - from;
    }
    return sumUs / 1e3 / burst.tasks;
  };
  return {
    ms,
    // All of the producer's process counts: its helpers work for its main thread.
    mainMs: perTask(({ processCpuUs, mainThreadCpuUs }, isWorker) => (isWorker ? mainThreadCpuUs : processCpuUs)),
    threadsMs: perTask(({ processCpuUs, mainThreadCpuUs }, isWorker) =>
      isWorker && processCpuUs !== null ? processCpuUs - mainThreadCpuUs! : processCpuUs && 0,
    ),
  };
}

function rowOf(work: Work, lengthMs: number, { name }: Contender, runs: readonly BurstRun[]): Row {
  const median = (of: keyof BurstRun) => {
    const values = runs.map((run) => run[of]).filter((value) => value !== null);
    return values.length === 0 ? null : spread(values).median;
  };
  return {
    work,
    'task ms': lengthMs,
    contender: name,
    'burst ms': median('ms'),
    'main threads ms': median('mainMs'),
    'threads ms': median('threadsMs'),
  };
}
