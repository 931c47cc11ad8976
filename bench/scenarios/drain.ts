/**
 * How fast does one worker process empty a backlog of no-op tasks?
 *
 * The clock is the same for everybody, and belongs to nobody: every few milliseconds the bench asks Redis how many tasks
 * are queued or running (two O(1) commands). It starts when a tenth is done, so that no process boot, compilation or
 * first connection counts, and stops when nothing is left: at the last *acknowledged* completion, not when the last
 * handler returned. Backlogs differ in length so that every contender runs for seconds; rates do not depend on it.
 *
 * Each contender has what its users would give it: BullMQ 100 jobs at a time in one process (no faster with more), or as
 * many sandbox threads as docket has; docket its defaults. Where docket keeps no record of a completed task BullMQ
 * removes completed jobs at once; where docket keeps state and result for 15 minutes, BullMQ keeps jobs as long.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { TALLY_BITS, TALLY_COUNT } from '../peers/tally.js';
import { type Drainer, drainOnce, POLLS_PER_SECOND, preload, waitUntil } from '../support/backlog.js';
import { bullmqLedger, docketLedger, rawLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, rates, summarize } from '../support/rounds.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
const CONCURRENCY = 100;

interface Contender extends Drainer {
  /** The backlog's length, as a share of `--tasks`. */
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
  /** How many tasks the untimed audit runs count one by one. */
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
          `audit: in further runs of ${audited} tasks each, every single execution was counted`,
          `deliveries that docket's worker gave back before they started, or lost, and that were delivered again: ${returned}`,
          `round trips: socket reads by Redis, an upper bound; ${POLLS_PER_SECOND} of them a second are the bench's own`,
        ],
      },
    ],
    verdicts: [
      ratio(FORGET, BULLMQ, 6),
      ratio(FORGET, BULLMQ_THREADS, 40),
      ratio(FORGET, RAW, 0.75),
      ratio(TRACKED, BULLMQ_KEPT, 3),
    ],
    problems: [...problemsOf(runs), ...problemsOf(counted)],
  };
}

/** Counts every single execution of a backlog: nothing may be lost, nothing may run twice. */
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
