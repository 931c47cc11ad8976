/**
 * Does each master of a cluster do its share only? Clusters of 1, 2 and 3 masters, in turn: a producer adds no-op tasks in
 * batches of 500 to a docket that is divided, and one worker process empties it. Each master counts.
 *
 * A master of M is to need 1/M of what the only one needs for a task, from the add to the end. So M times its share is
 * compared with that. Heartbeats, and a server by itself, cost CPU time however few tasks there are, and the more of it the longer
 * a run takes. So that is measured behind each run, and taken off.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import type { ProducerSettings } from '../peers/produce.js';
import { TALLY_BITS, TALLY_COUNT } from '../peers/tally.js';
import { type BenchCluster, startCluster } from '../support/cluster.js';
import { type CostPerTask, type CostReading, costPerTask, readCost } from '../support/cost.js';
import { divide } from '../support/divide.js';
import { auditDocket, leftIn, type Place } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { liveStatus } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report, type Verdict } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const CONCURRENCY = 100;
const MASTERS = [1, 2, 3] as const;
/** A number of partitions that all these masters can share evenly. */
const MANY = 6;
/** The target: M times the share of a master is what the only one needs, with a tenth for smaller batches. */
const AT_MOST = { kind: 'at most', value: 1.1 } as const;
/** To ask costs a master CPU time, so this is rare. */
const POLL_MS = 50;
const STUCK_MS = 60_000;
/** How long the last work of a run may take to end, and how long an idle master is measured. */
const SETTLE_MS = 500;
const IDLE_MS = 1_500;

interface Contender {
  readonly name: string;
  readonly kind: 'lean' | 'tracked';
  readonly masters: number;
  readonly partitions: number;
  readonly keptMs: number;
}

interface MasterRun {
  /** What a task costs each master: of all tasks, not of its own. CPU time without what it costs when nothing happens. */
  readonly shares: readonly CostPerTask[];
  /** What each master costs in a second in which nothing happens. */
  readonly idle: readonly CostPerTask[];
  readonly problems: readonly string[];
}

export interface MastersOptions {
  readonly rounds: number;
  readonly tasks: number;
  /** How many tasks each untimed audit run counts one by one. */
  readonly audited: number;
}

const contender = (kind: Contender['kind'], masters: number, partitions: number): Contender => ({
  name: `${kind}, ${counted(masters, 'master')}, ${counted(partitions, 'partition')}`,
  kind,
  masters,
  partitions,
  keptMs: kind === 'lean' ? 0 : KEPT_MS,
});

const KINDS = ['lean', 'tracked'] as const;
const CONTENDERS = KINDS.flatMap((kind) =>
  MASTERS.flatMap((masters) => [contender(kind, masters, masters), contender(kind, masters, MANY)]),
);

export async function masters(redis: BenchRedis, { rounds, tasks, audited }: MastersOptions): Promise<Report> {
  const clusters = new Map<number, BenchCluster>();
  try {
    for (const size of MASTERS) clusters.set(size, await startCluster(size));
    const clusterOf = (contender: Contender) => clusters.get(contender.masters)!;
    // First, so that every master has the scripts before anything is measured.
    const counts = await interleave('audit', CONTENDERS, 1, async (contender) => ({
      problems: await countEach(redis, clusterOf(contender), contender, audited),
    }));
    const runs = await interleave('masters', CONTENDERS, rounds, (contender) =>
      measure(clusterOf(contender), contender, tasks),
    );
    return reportOf(runs, { tasks, audited, problems: [...problemsOf(runs), ...problemsOf(counts)] });
  } finally {
    for (const cluster of clusters.values()) await cluster[Symbol.asyncDispose]();
  }
}

function reportOf(
  runs: ReadonlyMap<string, readonly MasterRun[]>,
  { tasks, audited, problems }: { tasks: number; audited: number; problems: readonly string[] },
): Report {
  return {
    scenario: 'masters',
    tables: [
      {
        title: `masters: what a no-op task costs each master of a cluster, from the add to its end (${tasks} tasks)`,
        rows: CONTENDERS.flatMap((contender) => rowsOf(contender, runs.get(contender.name)!)),
        notes: [
          'each figure is for one task of the docket, so that the masters of a cluster add up',
          'idle: what the master costs in a second in which nothing happens, with one worker; it is not in the CPU time of a task',
          `audit: every single execution was counted in further runs of ${audited} tasks each`,
        ],
      },
    ],
    verdicts: KINDS.flatMap((kind) => verdictsOf(kind, runs)),
    problems,
  };
}

/** Compares M times the share of the busiest master of M with the share of the only one. */
function verdictsOf(kind: Contender['kind'], runs: ReadonlyMap<string, readonly MasterRun[]>): Verdict[] {
  const most = (masters: number, partitions: number, of: keyof CostPerTask) =>
    runs
      .get(contender(kind, masters, partitions).name)!
      .map(({ shares }) => masters * Math.max(...shares.map((share) => share[of]!)));
  return MASTERS.slice(1).flatMap((masters) =>
    [MANY, masters].flatMap((partitions) =>
      (['commands', 'redisCpuUs'] as const).map((of) =>
        compare(
          `${of === 'commands' ? 'commands' : 'CPU of Redis'} per task, ${kind}, ${partitions} partitions: ${masters} x the busiest of ${masters} masters / one master`,
          most(masters, partitions, of),
          most(1, partitions === MANY ? MANY : 1, of),
          AT_MOST,
        ),
      ),
    ),
  );
}

function rowsOf({ name, masters }: Contender, runs: readonly MasterRun[]) {
  const median = (values: readonly (number | null)[]) => spread(values.map(Number)).median;
  return Array.from({ length: masters }, (_, i) => {
    const share = (of: keyof CostPerTask) => median(runs.map(({ shares }) => shares[i]![of]));
    const idle = (of: keyof CostPerTask) => median(runs.map(({ idle }) => idle[i]![of]));
    return {
      contender: `${name}: master ${i + 1}`,
      'commands/task': share('commands'),
      'round trips/task': share('trips'),
      'bytes/task': share('bytes'),
      'CPU us/task': share('redisCpuUs'),
      'idle commands/s': idle('commands'),
      'idle CPU us/s': idle('redisCpuUs'),
    };
  });
}

/** Adds the tasks, lets them run, and returns what each master needed for one of them. */
async function measure(cluster: BenchCluster, contender: Contender, tasks: number): Promise<MasterRun> {
  const places = await prepare(cluster, contender);
  const [startMs, start] = [performance.now(), await readAll(cluster)];
  await produce(cluster, contender, 'noop', tasks);
  const worker = await startWorker(cluster);
  await drained(contender, places);
  const [endMs, end] = [performance.now(), await readAll(cluster)];
  const idle = await measureIdle(cluster, places);
  await worker.stop();
  const seconds = (endMs - startMs) / 1e3;
  return {
    shares: end.map((reading, i) => {
      const cost = costPerTask(start[i]!, reading, tasks);
      return { ...cost, redisCpuUs: cost.redisCpuUs - (idle[i]!.redisCpuUs * seconds) / tasks };
    }),
    idle,
    problems: await auditDocket(places, tasks, contender.keptMs > 0 ? tasks : 0),
  };
}

/** Returns what each master costs in a second in which nothing happens. The bench asks as often as while it waits. */
async function measureIdle(cluster: BenchCluster, places: readonly Place[]): Promise<CostPerTask[]> {
  await sleep(SETTLE_MS);
  const [startMs, start] = [performance.now(), await readAll(cluster)];
  while (performance.now() < startMs + IDLE_MS) {
    await leftIn(places);
    await sleep(POLL_MS);
  }
  const [endMs, end] = [performance.now(), await readAll(cluster)];
  return end.map((reading, i) => costPerTask(start[i]!, reading, (endMs - startMs) / 1e3));
}

/** Counts every single execution: none may be lost, and none may run twice. They are counted on another server. */
async function countEach(
  redis: BenchRedis,
  cluster: BenchCluster,
  contender: Contender,
  tasks: number,
): Promise<string[]> {
  await redis.reset();
  const places = await prepare(cluster, contender);
  await produce(cluster, contender, 'tally', tasks);
  const worker = await startWorker(cluster, CONCURRENCY);
  await drained(contender, places);
  await worker.stop();
  const [distinct, executed] = [await redis.admin.bitcount(TALLY_BITS), Number(await redis.admin.get(TALLY_COUNT))];
  const problems = await auditDocket(places, tasks, contender.keptMs > 0 ? tasks : 0);
  if (distinct !== tasks) problems.push(`${tasks - distinct} of ${tasks} tasks never ran`);
  if (executed !== distinct) problems.push(`${executed - distinct} executions were repetitions`);
  return problems;
}

/** Empties the cluster and divides the docket. Returns where its partitions are. */
async function prepare(cluster: BenchCluster, { partitions }: Contender): Promise<Place[]> {
  await cluster.reset();
  const hashTags = await divide(cluster.url, partitions);
  return await Promise.all(
    hashTags.map(async (hashTag) => ({ hashTag, admin: cluster.masters[await cluster.masterOf(hashTag)]! })),
  );
}

async function produce(
  { url }: BenchCluster,
  { keptMs }: Contender,
  task: ProducerSettings['task'],
  tasks: number,
): Promise<void> {
  const mode = { kind: 'batch', size: 500 } as const;
  const settings: ProducerSettings = { path: '', url, mode, task, executionTtl: keptMs };
  const producer = await Peer.start('docket-producer', settings);
  await producer.request({ from: 0, to: tasks });
  await producer.stop();
}

async function startWorker({ url }: BenchCluster, concurrency?: number): Promise<Peer> {
  const options = { threads: THREADS, ...(concurrency !== undefined && { concurrency }) };
  const worker = await Peer.start('docket-worker', { url, options } satisfies DocketWorkerSettings);
  await worker.request();
  return worker;
}

async function drained({ name }: Contender, places: readonly Place[]): Promise<void> {
  let lowest = Number.POSITIVE_INFINITY;
  let progressAt = performance.now();
  for (;;) {
    const left = await leftIn(places);
    if (left === 0) return;
    if (left < lowest) [lowest, progressAt] = [left, performance.now()];
    if (performance.now() - progressAt > STUCK_MS)
      throw new Error(`${name}: ${left} tasks left, none completed for ${STUCK_MS} ms`);
    liveStatus(`${name}: ${left.toLocaleString('en-US')} left`);
    await sleep(POLL_MS);
  }
}

function readAll({ masters }: BenchCluster): Promise<CostReading[]> {
  return Promise.all(masters.map((admin) => readCost(admin, process.pid)));
}

function counted(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
