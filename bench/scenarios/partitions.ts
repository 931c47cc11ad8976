/**
 * What do partitions cost a worker and a producer? One worker process empties a backlog of no-op tasks that lies in 1, 4 and
 * 8 partitions of one server, in turn. Judged by the CPU time of the coordinator for each task: with each partition come a
 * reader and batches of its own, so batches are smaller.
 */
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { type Drainer, type DrainRun, drainOnce } from '../support/backlog.js';
import { divide, hashTagOf } from '../support/divide.js';
import { docketLedgerOf } from '../support/ledger.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const PARTITIONS = [1, 4, 8] as const;
/** The target: 8 partitions add less than a tenth. */
const AT_MOST = { kind: 'at most', value: 1.1 } as const;

const docket = (kind: string, keptMs: number, partitions: number): Drainer => ({
  name: `${kind}, ${partitions === 1 ? '1 partition' : `${partitions} partitions`}`,
  system: 'docket',
  ledger: docketLedgerOf(Array.from({ length: partitions }, (_, i) => hashTagOf(String(i)))),
  keptMs,
  prepare: async ({ url }) => {
    if (partitions > 1) await divide(url, partitions);
  },
  worker: ({ url }): DocketWorkerSettings => ({ url, options: { threads: THREADS } }),
});

const KINDS = [
  { kind: 'lean', contenders: PARTITIONS.map((partitions) => docket('lean', 0, partitions)) },
  { kind: 'tracked', contenders: PARTITIONS.map((partitions) => docket('tracked', KEPT_MS, partitions)) },
];

export async function partitions(
  redis: BenchRedis,
  { rounds, tasks }: { rounds: number; tasks: number },
): Promise<Report> {
  const contenders = KINDS.flatMap(({ contenders }) => contenders);
  const runs = await interleave('partitions', contenders, rounds, (contender) => drainOnce(redis, contender, tasks));
  const rows = contenders.map(({ name }) => rowOf(name, runs.get(name)!));
  const coordinatorOf = ({ name }: Drainer) => runs.get(name)!.map(({ cost }) => cost.mainThreadCpuUs ?? Number.NaN);
  return {
    scenario: 'partitions',
    tables: [
      {
        title: `partitions: one worker process with ${THREADS} threads empties a backlog of ${tasks} no-op tasks on one server`,
        rows,
        notes: [
          'to add, in batches of 500; to run, the rest',
          'round trips: socket reads by Redis, an upper bound, because a long request takes several',
        ],
        costs: { columns: ['add commands', 'run commands'] },
      },
    ],
    verdicts: KINDS.map(({ kind, contenders }) =>
      compare(
        `CPU of the coordinator per task, ${kind}: 8 partitions / 1`,
        coordinatorOf(contenders.at(-1)!),
        coordinatorOf(contenders[0]!),
        AT_MOST,
      ),
    ),
    problems: problemsOf(runs),
  };
}

function rowOf(contender: string, runs: readonly DrainRun[]) {
  const median = (of: (run: DrainRun) => number | null) => {
    const values = runs.map(of).filter((value) => value !== null);
    return values.length === 0 ? null : spread(values).median;
  };
  return {
    contender,
    'coordinator us': median(({ cost }) => cost.mainThreadCpuUs),
    'producer us': median(({ addCost }) => addCost.processCpuUs),
    'add Redis us': median(({ addCost }) => addCost.redisCpuUs),
    'run Redis us': median(({ cost }) => cost.redisCpuUs),
    'add commands': median(({ addCost }) => addCost.commands),
    'run commands': median(({ cost }) => cost.commands),
    'add round trips': median(({ addCost }) => addCost.trips),
    'run round trips': median(({ cost }) => cost.trips),
    'add bytes': median(({ addCost }) => addCost.bytes),
    'run bytes': median(({ cost }) => cost.bytes),
  };
}
