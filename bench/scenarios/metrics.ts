/**
 * What do metrics cost? The same no-op tasks, in pairs: nobody asks, or all is counted and scraped, five times as often as
 * usual. Judged by the CPU of the coordinator's thread per task. Both kinds of execution: without a record, where a
 * task costs the coordinator least and so counting weighs most, and tracked.
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
/** Aimed at: counting and being scraped adds less than 3 %. */
const AT_LEAST = 1 / 1.03;

interface Contender extends Drainer {
  readonly keptMs: number;
}

const contender = (name: string, keptMs: number, isWatched: boolean): Contender => ({
  name,
  system: 'docket',
  ledger: docketLedger,
  keptMs,
  worker: ({ url }): DocketWorkerSettings => ({
    url,
    options: { threads: THREADS, ...(isWatched && { metricsPort: 0 }) },
    ...(isWatched && { scrapeEveryMs: SCRAPE_EVERY_MS }),
  }),
});

const PAIRS = [
  { what: 'without a record', off: contender('lean', 0, false), on: contender('lean, with metrics', 0, true) },
  {
    what: 'tracked',
    off: contender('tracked', KEPT_MS, false),
    on: contender('tracked, with metrics', KEPT_MS, true),
  },
];

export async function metrics(
  redis: BenchRedis,
  { rounds, tasks }: { rounds: number; tasks: number },
): Promise<Report> {
  const contenders = PAIRS.flatMap(({ off, on }) => [off, on]);
  const runs = await interleave('metrics', contenders, rounds, (one) => drainOnce(redis, one, tasks));
  const cpu = ({ name }: Contender) => runs.get(name)!.map(cpuOf);
  return {
    scenario: 'metrics',
    tables: [
      {
        title: `metrics: one worker process with ${THREADS} threads empties a backlog of no-op tasks`,
        rows: contenders.map((one) => summarize(one.name, tasks, runs.get(one.name)!)),
        notes: [`with metrics: everything is counted, and scraped every ${SCRAPE_EVERY_MS} ms`],
      },
    ],
    verdicts: PAIRS.map(({ what, off, on }) =>
      compare(`CPU of the coordinator a task, ${what}: without / with metrics`, cpu(off), cpu(on), AT_LEAST),
    ),
    problems: problemsOf(runs),
  };
}

function cpuOf({ cost }: Run): number {
  return cost.mainThreadCpuUs ?? Number.NaN;
}
