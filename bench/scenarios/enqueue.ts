/**
 * How fast are tasks added? The clock runs in the producer, from the first `add` after the warm-up to the last one that
 * Redis confirms. Both sides add the same payloads in windows or batches of the same size. Each batch follows the one before,
 * as with a producer that awaits them.
 */
import type { AddMode, Produced, ProducerSettings } from '../peers/produce.js';
import { costPerTask, readCost } from '../support/cost.js';
import { bullmqLedger, docketLedger, type Ledger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, type Run, rates, summarize, WARM_UP } from '../support/rounds.js';

interface Contender {
  readonly name: string;
  readonly program: 'docket-producer' | 'bullmq-producer';
  readonly mode: AddMode;
  readonly executionTtl: number;
  readonly ledger: Ledger;
}

export const KEPT_MS = 15 * 60_000;
const WINDOW: AddMode = { kind: 'each', size: 5_000 };
const BATCH: AddMode = { kind: 'batch', size: 500 };
const WHOLE: AddMode = { kind: 'batch', size: 1_000_000 };

const docket = (name: string, mode: AddMode, executionTtl: number): Contender => ({
  name: `docket ${name}`,
  program: 'docket-producer',
  mode,
  executionTtl,
  ledger: docketLedger,
});
const bullmq = (name: string, mode: AddMode): Contender => ({
  name: `BullMQ ${name}`,
  program: 'bullmq-producer',
  mode,
  executionTtl: 0,
  ledger: bullmqLedger,
});

const CONTENDERS = [
  docket('add, tracked', WINDOW, KEPT_MS),
  docket('addMany(500), tracked', BATCH, KEPT_MS),
  docket('addMany(all), tracked', WHOLE, KEPT_MS),
  docket('add, fire-and-forget', WINDOW, 0),
  docket('addMany(500), fire-and-forget', BATCH, 0),
  docket('addMany(all), fire-and-forget', WHOLE, 0),
  bullmq('add', WINDOW),
  bullmq('addBulk(500)', BATCH),
];

export async function enqueue(
  redis: BenchRedis,
  { tasks, rounds }: { tasks: number; rounds: number },
): Promise<Report> {
  const runs = await interleave('enqueue', CONTENDERS, rounds, (contender) => runOnce(redis, contender, tasks));
  const ratio = (ours: string, theirs: string, atLeast: number) =>
    compare(`${ours} / ${theirs}`, rates(runs, ours), rates(runs, theirs), atLeast);
  return {
    scenario: 'enqueue',
    tables: [
      {
        title: 'enqueue: from the first add to the last confirmation',
        rows: CONTENDERS.map(({ name }) => summarize(name, tasks, runs.get(name)!)),
        notes: ['add: 5,000 calls awaited together; addMany and addBulk: one call after the other'],
        costs: {
          columns: ['commands/task'],
          rows: CONTENDERS.map(({ name }) => name).filter((name) => name.startsWith('docket')),
        },
      },
    ],
    verdicts: [
      ratio('docket add, tracked', 'BullMQ add', 5),
      ratio('docket addMany(500), tracked', 'BullMQ addBulk(500)', 5),
      ratio('docket addMany(500), fire-and-forget', 'BullMQ addBulk(500)', 10),
    ],
    problems: problemsOf(runs),
  };
}

async function runOnce(redis: BenchRedis, contender: Contender, tasks: number): Promise<Run> {
  const { program, mode, executionTtl, ledger } = contender;
  await redis.reset();
  const settings: ProducerSettings = { path: redis.path, url: redis.url, mode, executionTtl, task: 'noop' };
  const producer = await Peer.start(program, settings);
  const warm = Math.round(tasks * WARM_UP);
  await producer.request<Produced>({ from: 0, to: warm });

  const before = await readCost(redis.admin, producer.pid);
  const { ms } = await producer.request<Produced>({ from: warm, to: tasks });
  const after = await readCost(redis.admin, producer.pid);
  await producer.stop();

  const queued = await ledger.left(redis.admin);
  return {
    perSecond: ((tasks - warm) / ms) * 1e3,
    cost: costPerTask(before, after, tasks - warm),
    problems: queued === tasks ? [] : [`${queued} tasks queued instead of ${tasks}`],
  };
}
