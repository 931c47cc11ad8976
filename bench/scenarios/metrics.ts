/**
 * What do metrics cost? The same no-op tasks run without metrics, and with everything counted and scraped five times as often
 * as usual, in pairs. They are judged by the CPU time of the coordinator's thread for each task. Both kinds of execution are
 * measured: tracked ones, and those without a record, which cost the coordinator least, so that counting weighs most.
 */
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { type Drainer, drainOnce } from '../support/backlog.js';
import { docketLedger } from '../support/ledger.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, type Run, summarize } from '../support/rounds.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const SCRAPE_EVERY_MS = 3_000;
/** The target: counting and scraping add less than 3 %. */
const AT_LEAST = 1 / 1.03;

interface Contender extends Drainer {
  readonly keptMs: number;
}

const contender = (name: string, keptMs: number, hasMetrics: boolean): Contender => ({
  name,
  system: 'docket',
  ledger: docketLedger,
  keptMs,
  worker: ({ url }): DocketWorkerSettings => ({
    url,
    options: { threads: THREADS, ...(hasMetrics && { metricsPort: 0 }) },
    ...(hasMetrics && { scrapeEveryMs: SCRAPE_EVERY_MS }),
  }),
});

const PAIRS = [
  { kind: 'without a record', off: contender('lean', 0, false), on: contender('lean, with metrics', 0, true) },
  {
    kind: 'tracked',
    off: contender('tracked', KEPT_MS, false),
    on: contender('tracked, with metrics', KEPT_MS, true),
  },
];

export async function metrics(
  redis: BenchRedis,
  { rounds, tasks }: { rounds: number; tasks: number },
): Promise<Report> {
  const contenders = PAIRS.flatMap(({ off, on }) => [off, on]);
  const runs = await interleave('metrics', contenders, rounds, (contender) => drainOnce(redis, contender, tasks));
  const cpu = ({ name }: Contender) => runs.get(name)!.map(cpuOf);
  return {
    scenario: 'metrics',
    tables: [
      {
        title: `metrics: one worker process with ${THREADS} threads empties a backlog of no-op tasks`,
        rows: contenders.map(({ name }) => summarize(name, tasks, runs.get(name)!)),
        notes: [`with metrics: everything is counted, and scraped every ${SCRAPE_EVERY_MS} ms`],
      },
    ],
    verdicts: PAIRS.map(({ kind, off, on }) =>
      compare(`CPU of the coordinator per task, ${kind}: without / with metrics`, cpu(off), cpu(on), AT_LEAST),
    ),
    problems: problemsOf(runs),
  };
}

function cpuOf({ cost }: Run): number {
  return cost.mainThreadCpuUs ?? Number.NaN;
}
