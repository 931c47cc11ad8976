/**
 * How fast does one worker process empty a backlog of no-op tasks?
 *
 * All contenders share one clock, and none of them runs it: every few milliseconds the bench asks Redis how many tasks are
 * queued or running (two O(1) commands). The clock starts when a tenth is done, so that no process boot, compilation or
 * first connection counts. It stops when nothing is left: at the last *acknowledged* completion, not when the last handler
 * returned. The lengths of the backlogs differ, so that every contender runs for seconds; rates do not depend on them.
 *
 * Each contender gets the settings that its users would choose: BullMQ 100 jobs at a time in one process (more is no
 * faster), or the same number of sandbox threads as docket; docket its defaults. Where docket keeps no record of a completed
 * task, BullMQ removes completed jobs at once; where docket keeps state and result for 15 minutes, BullMQ keeps its jobs
 * for the same time.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { TALLY_BITS, TALLY_COUNT } from '../peers/tally.js';
import { type Drainer, drainOnce, preload, waitUntil } from '../support/backlog.js';
import { bullmqLedger, docketLedger, rawLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, rates, summarize } from '../support/rounds.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const CONCURRENCY = 100;

interface Contender extends Drainer {
  /** Length of the backlog, as a share of `--tasks`. */
  readonly share: number;
}

const docket = (name: string, share: number, keptMs: number): Contender => ({
  name,
  share,
  system: 'docket',
  ledger: docketLedger,
  keptMs,
  worker: ({ url }, concurrency): DocketWorkerSettings => ({
    url,
    options: { threads: THREADS, ...(concurrency ? { concurrency } : {}) },
  }),
});

const bullmq = (name: string, share: number, keptMs: number, sandboxed = false): Contender => ({
  name,
  share,
  system: 'bullmq',
  ledger: bullmqLedger,
  keptMs,
  worker: ({ path }): BullmqWorkerSettings => ({
    path,
    concurrency: sandboxed ? THREADS : CONCURRENCY,
    sandboxed,
    keep: keptMs > 0 ? { age: keptMs / 1e3 } : { count: 0 },
  }),
});

const FORGET = docket('docket, fire-and-forget', 1, 0);
const TRACKED = docket('docket, tracked 15 min', 0.5, KEPT_MS);
const BULLMQ = bullmq('BullMQ in-process, removed', 0.25, 0);
const BULLMQ_KEPT = bullmq('BullMQ in-process, kept 15 min', 0.25, KEPT_MS);
const BULLMQ_THREADS = bullmq('BullMQ worker threads, removed', 0.03, 0, true);
const RAW: Contender = {
  name: 'raw loop, no tasks',
  share: 1,
  system: 'raw',
  ledger: rawLedger,
  keptMs: 0,
  worker: ({ path }) => ({ path }),
};
const CONTENDERS = [FORGET, TRACKED, BULLMQ, BULLMQ_KEPT, BULLMQ_THREADS, RAW];

export interface DrainOptions {
  readonly tasks: number;
  readonly rounds: number;
  /** How many tasks each untimed audit run counts one by one. */
  readonly audited: number;
}

export async function drain(redis: BenchRedis, { tasks, rounds, audited }: DrainOptions): Promise<Report> {
  const backlog = ({ share }: Contender) => Math.round(tasks * share);
  const runs = await interleave('drain', CONTENDERS, rounds, (contender) =>
    drainOnce(redis, contender, backlog(contender)),
  );
  const counted = await interleave(
    'audit',
    CONTENDERS.filter(({ system }) => system !== 'raw'),
    1,
    async (contender) => ({ problems: await countEach(redis, contender, audited) }),
  );
  const returned = [...runs.values()].flat().reduce((sum, run) => sum + run.returned, 0);
  const ratio = (ours: Contender, theirs: Contender, atLeast: number) =>
    compare(`${ours.name} / ${theirs.name}`, rates(runs, ours.name), rates(runs, theirs.name), atLeast);
  return {
    scenario: 'drain',
    tables: [
      {
        title: `drain: one worker process empties a backlog of no-op tasks (docket and BullMQ's sandbox: ${THREADS} threads)`,
        rows: CONTENDERS.map((contender) => summarize(contender.name, backlog(contender), runs.get(contender.name)!)),
        notes: [
          `audit: every single execution was counted in further runs of ${audited} tasks each`,
          `deliveries that docket's worker requeued before they started, or that were redelivered: ${returned}`,
          'round trips: socket reads by Redis, an upper bound, because a long request takes several',
        ],
      },
    ],
    verdicts: [
      ratio(FORGET, BULLMQ, 8),
      ratio(FORGET, BULLMQ_THREADS, 40),
      ratio(FORGET, RAW, 0.9),
      ratio(TRACKED, BULLMQ_KEPT, 4),
    ],
    problems: [...problemsOf(runs), ...problemsOf(counted)],
  };
}

/** Counts every single execution of a backlog: none may be lost, and none may run twice. */
async function countEach(redis: BenchRedis, contender: Contender, tasks: number): Promise<string[]> {
  await preload(redis, contender, tasks, 'tally');
  const worker = await Peer.start(`${contender.system}-worker`, contender.worker(redis, CONCURRENCY));
  await worker.request();
  await waitUntil(redis, contender, 0);
  await worker.stop();

  const [distinct, executed] = [await redis.admin.bitcount(TALLY_BITS), Number(await redis.admin.get(TALLY_COUNT))];
  const problems = await contender.ledger.audit(redis.admin, tasks, contender.keptMs > 0 ? tasks : 0);
  if (distinct !== tasks) problems.push(`${tasks - distinct} of ${tasks} tasks never ran`);
  if (executed !== distinct) problems.push(`${executed - distinct} executions were repetitions`);
  return problems;
}
