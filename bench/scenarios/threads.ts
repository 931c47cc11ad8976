/**
 * How does throughput grow with the threads of a worker? One worker process empties a backlog, with 1, 2, 4 ... threads, up
 * to twice the cores: once of no-op tasks, where the coordinator and Redis are the bound, and once of tasks that compute for
 * about a millisecond, where the cores are. Clock, warm-up and audit are those of the drain.
 */
import { availableParallelism } from 'node:os';
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import hashRounds from '../peers/hash-rounds.js';
import { type Drainer, type DrainRun, drainOnce } from '../support/backlog.js';
import { roundsThatTake } from '../support/calibrate.js';
import { bullmqLedger, docketLedger } from '../support/ledger.js';
import type { BenchRedis } from '../support/redis-server.js';
import type { Report, Table, TablePlot } from '../support/report.js';
import { interleave, problemsOf, rates } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = threadCounts(availableParallelism() * 2);
/** The share of the tasks that BullMQ gets, so that its runs take no longer. */
const SANDBOX_SHARE = { noop: 0.03, burn: 0.5 } as const;
const LINES = ['docket, fire-and-forget', 'docket, tracked 15 min', 'BullMQ worker threads, removed'] as const;

type Line = (typeof LINES)[number];

const CONTENDERS: readonly Drainer[] = THREADS.flatMap((threads) => [
  docket(LINES[0], threads, 0),
  docket(LINES[1], threads, KEPT_MS),
  sandbox(LINES[2], threads),
]);

export interface ThreadsOptions {
  readonly rounds: number;
  /** No-op tasks in a run. */
  readonly tasks: number;
  /** Tasks of a millisecond in a run. */
  readonly burns: number;
}

export async function threads(redis: BenchRedis, { rounds, tasks, burns }: ThreadsOptions): Promise<Report> {
  process.env.BENCH_HASH_ROUNDS = String(roundsThatTake(1, hashRounds, 5_000));
  const run = (task: 'noop' | 'burn', count: number) =>
    interleave(`threads, ${task}`, CONTENDERS, rounds, (contender) => {
      const share = contender.system === 'bullmq' ? SANDBOX_SHARE[task] : 1;
      return drainOnce(redis, contender, Math.round(count * share), task);
    });
  const noops = await run('noop', tasks);
  const burnt = await run('burn', burns);
  return {
    scenario: 'threads',
    tables: [
      tableOf('threads: no-op tasks per second', noops, { name: 'threads-noop', y: 'tasks/s', yScale: 'log' }),
      tableOf('threads: tasks of about 1 ms of CPU per second', burnt, { name: 'threads-1ms', y: 'tasks/s' }),
    ],
    verdicts: [],
    problems: [...problemsOf(noops), ...problemsOf(burnt)],
  };
}

function tableOf(title: string, runs: ReadonlyMap<string, DrainRun[]>, plot: TablePlot): Table {
  const rows = THREADS.map((threads) => {
    const medians = LINES.map((line) => [line, spread(rates(runs, nameOf(line, threads))).median]);
    return { threads, ...Object.fromEntries(medians) };
  });
  return { title, rows, plot, notes: [`the machine has ${availableParallelism()} cores`] };
}

function docket(line: Line, threads: number, keptMs: number): Drainer {
  return {
    name: nameOf(line, threads),
    system: 'docket',
    ledger: docketLedger,
    keptMs,
    worker: ({ url }): DocketWorkerSettings => ({ url, options: { threads } }),
  };
}

function sandbox(line: Line, threads: number): Drainer {
  return {
    name: nameOf(line, threads),
    system: 'bullmq',
    ledger: bullmqLedger,
    keptMs: 0,
    worker: ({ path }): BullmqWorkerSettings => ({ path, concurrency: threads, sandboxed: true, keep: { count: 0 } }),
  };
}

function nameOf(line: Line, threads: number): string {
  return `${line}, threads: ${threads}`;
}

function threadCounts(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, i) => 2 ** i);
}
