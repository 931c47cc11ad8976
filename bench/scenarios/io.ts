/**
 * How many tasks that mostly wait does one worker process run, and what does each cost it?
 *
 * The tasks sleep, as tasks do that call another service. The ceiling is what plain timers reach with as many sleeps at
 * once, in one process without a queue: a timer of 10 ms takes 10 to 11. Clock and audit are those of the drain. The warm-up is
 * longer: a worker that mostly waits has run too little in its first second for its code to be compiled. BullMQ runs beside
 * docket with the same concurrency, once removing its jobs, as docket does with fire-and-forget tasks, and once keeping them
 * as long as docket keeps tracked ones.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import type { SleeperSettings, Slept } from '../peers/sleeper.js';
import { type Drainer, drainOnce } from '../support/backlog.js';
import { costPerTask, readCost } from '../support/cost.js';
import { bullmqLedger, docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report, type Row, type Verdict } from '../support/report.js';
import { interleave, problemsOf, type Run, rates, summarize } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
/** The share of the tasks of a run that is not measured. */
const WARM_UP = 0.5;

/** Tasks of one length, run by workers of one concurrency. */
interface Load {
  readonly ms: 1 | 10 | 100;
  readonly concurrency: number;
  /** The number of tasks, as a share of `--tasks`. */
  readonly share: number;
}

const SHORT: Load = { ms: 1, concurrency: 100, share: 0.5 };
const MIDDLE: Load = { ms: 10, concurrency: 100, share: 1 };
const LONG: Load = { ms: 100, concurrency: 100, share: 0.05 };
const MANY: Load = { ms: 10, concurrency: 1_000, share: 1 };
const LOADS = [SHORT, MIDDLE, LONG, MANY];

const LEAN = 'docket, fire-and-forget';
const TRACKED = 'docket, tracked 15 min';
const BULLMQ = 'BullMQ in-process, removed';
const BULLMQ_KEPT = 'BullMQ in-process, kept 15 min';
const TIMERS = 'timers alone, no tasks';
const NOOP = 'docket, fire-and-forget no-op';

interface Contender {
  readonly name: string;
  run(redis: BenchRedis, tasks: number): Promise<Run>;
}

export interface IoOptions {
  /** The number of tasks of 10 ms at concurrency 100. */
  readonly tasks: number;
  readonly rounds: number;
}

export async function io(redis: BenchRedis, { tasks, rounds }: IoOptions): Promise<Report> {
  const loads: { load: Load; tasks: number; runs: Map<string, Run[]> }[] = [];
  for (const load of LOADS) {
    const count = Math.round(tasks * load.share);
    const name = `io, ${load.ms} ms at concurrency ${load.concurrency}`;
    const runs = await interleave(name, contendersOf(load), rounds, (contender) => contender.run(redis, count));
    loads.push({ load, tasks: count, runs });
  }
  const runsOf = (wanted: Load) => loads.find(({ load }) => load === wanted)!.runs;
  return {
    scenario: 'io',
    tables: [
      ...loads.map(({ load, tasks, runs }) => ({
        title: `io: tasks that sleep ${load.ms} ms, at concurrency ${load.concurrency} (docket: ${THREADS} threads)`,
        rows: [...runs].map(([name, list]) => summarize(name, tasks, list)),
      })),
      {
        title: 'io: CPU per task by task length, in us of the worker process, at concurrency 100',
        rows: [SHORT, MIDDLE, LONG].map((load) => cpuByContender(load, runsOf(load))),
        plot: { name: 'cpu-by-length', y: 'us of CPU per task', xScale: 'log', yScale: 'log' },
      },
    ],
    verdicts: verdictsOf(runsOf(MIDDLE), runsOf(MANY)),
    problems: loads.flatMap(({ runs }) => problemsOf(runs)),
  };
}

function contendersOf(load: Load): Contender[] {
  const sleeping = `sleep${load.ms}` as const;
  const drains = (drainer: Drainer): Contender => ({
    name: drainer.name,
    run: (redis, tasks) => drainOnce(redis, drainer, tasks, sleeping, WARM_UP),
  });
  const contenders = [
    drains(docket(LEAN, load, 0)),
    drains(docket(TRACKED, load, KEPT_MS)),
    drains(bullmq(BULLMQ, load, 0)),
    drains(bullmq(BULLMQ_KEPT, load, KEPT_MS)),
    { name: TIMERS, run: (redis: BenchRedis, tasks: number) => sleepAlone(redis, load, tasks) },
  ];
  // Shows how fast the machine is: the bounds on CPU time are multiples of what a no-op costs in the same round.
  const noop = docket(NOOP, { concurrency: THREADS }, 0);
  if (load === MIDDLE)
    contenders.push({ name: NOOP, run: (redis, tasks) => drainOnce(redis, noop, 5 * tasks, 'noop', WARM_UP) });
  return contenders;
}

function docket(name: string, { concurrency }: Pick<Load, 'concurrency'>, keptMs: number): Drainer {
  const worker = ({ url }: BenchRedis): DocketWorkerSettings => ({ url, options: { threads: THREADS, concurrency } });
  return { name, system: 'docket', ledger: docketLedger, keptMs, worker };
}

function bullmq(name: string, { concurrency }: Load, keptMs: number): Drainer {
  const keep = keptMs > 0 ? { age: keptMs / 1e3 } : { count: 0 };
  const worker = ({ path }: BenchRedis): BullmqWorkerSettings => ({ path, concurrency, sandboxed: false, keep });
  return { name, system: 'bullmq', ledger: bullmqLedger, keptMs, worker };
}

async function sleepAlone(redis: BenchRedis, { ms, concurrency }: Load, sleeps: number): Promise<Run> {
  const settings: SleeperSettings = { ms, concurrency };
  const peer = await Peer.start('sleeper', settings);
  await peer.request<Slept>(sleeps * WARM_UP);
  const start = await readCost(redis.admin, peer.pid);
  const { perSecond } = await peer.request<Slept>(sleeps);
  const end = await readCost(redis.admin, peer.pid);
  await peer.stop();
  return { perSecond, cost: costPerTask(start, end, sleeps), problems: [] };
}

function cpuByContender({ ms }: Load, runs: ReadonlyMap<string, readonly Run[]>): Row {
  const columns = [LEAN, TRACKED, BULLMQ, BULLMQ_KEPT, TIMERS].map((name) => {
    const cpu = cpuOf(runs, name);
    return [name, cpu.some(Number.isNaN) ? null : spread(cpu).median] as const;
  });
  return { 'task length ms': ms, ...Object.fromEntries(columns) };
}

function verdictsOf(middle: ReadonlyMap<string, Run[]>, many: ReadonlyMap<string, Run[]>): Verdict[] {
  const rate = (runs: ReadonlyMap<string, Run[]>, ours: string, theirs: string, load: string, atLeast: number) =>
    compare(`${load}: ${ours} / ${theirs}`, rates(runs, ours), rates(runs, theirs), atLeast);
  const perCpu = (ours: string, theirs: string, atLeast: number) =>
    compare(`10 ms at 100, per CPU second: ${ours} / ${theirs}`, cpuOf(middle, theirs), cpuOf(middle, ours), atLeast);
  const affordable = (ours: string, most: number) =>
    compare(`10 ms at 100, CPU per task: ${ours} / ${NOOP}`, cpuOf(middle, ours), cpuOf(middle, NOOP), {
      kind: 'at most',
      value: most,
    });
  return [
    rate(middle, LEAN, TIMERS, '10 ms at 100', 0.95),
    rate(middle, TRACKED, TIMERS, '10 ms at 100', 0.95),
    perCpu(LEAN, BULLMQ, 2),
    perCpu(TRACKED, BULLMQ_KEPT, 2),
    rate(many, LEAN, BULLMQ, '10 ms at 1,000', 3),
    rate(many, TRACKED, BULLMQ_KEPT, '10 ms at 1,000', 3),
    affordable(LEAN, 5),
    affordable(TRACKED, 7.5),
  ];
}

/** Returns the CPU time of the process for each task, in the order of the rounds; NaN where there is no /proc. */
function cpuOf(runs: ReadonlyMap<string, readonly Run[]>, name: string): number[] {
  return runs.get(name)!.map(({ cost }) => cost.processCpuUs ?? Number.NaN);
}
