/**
 * What do the four scenarios of BullMQ's own public benchmark (taskforcesh/bullmq-bench) say?
 *
 * They are run here with the job counts, payloads, bulk size and concurrency of that benchmark, times `scale`. Its formula
 * divides all jobs, warm-up included, by the time of the counted ones, which doubles the figures of the scenarios with as
 * many warm-up jobs as counted ones. It also stops the clock before the last job is added or acknowledged. The column
 * `tasks/s` counts what was done in the time it took, to the last confirmation; `by its formula` is for comparing with
 * figures that others have published.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import type { AddMode, Produced, ProducerSettings } from '../peers/produce.js';
import { type Drainer, drainOnce } from '../support/backlog.js';
import { bullmqLedger, docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

type System = 'docket' | 'bullmq';
const SYSTEMS: readonly System[] = ['docket', 'bullmq'];
const NAMES = { docket: 'docket, tracked 15 min', bullmq: 'BullMQ, kept 15 min' } as const;
const LEDGERS = { docket: docketLedger, bullmq: bullmqLedger } as const;

interface PublicScenario {
  readonly name: string;
  readonly warmUp: number;
  readonly counted: number;
  run(redis: BenchRedis, system: System, jobs: Jobs): Promise<PublicRun>;
}

interface Jobs {
  readonly warmUp: number;
  readonly counted: number;
}

interface PublicRun {
  readonly perSecond: number;
  readonly problems: readonly string[];
}

const SCENARIOS: readonly PublicScenario[] = [
  { name: 'queue-add', warmUp: 1_000, counted: 1_000, run: adding({ kind: 'each', size: 1 }, 'nested') },
  { name: 'queue-add-bulk', warmUp: 1_000, counted: 10_000, run: adding({ kind: 'batch', size: 50 }, 'small') },
  { name: 'worker-generic', warmUp: 1_000, counted: 1_000, run: working(1) },
  { name: 'worker-concurrent', warmUp: 1_000, counted: 10_000, run: working(100) },
];

interface Contender {
  readonly name: string;
  readonly scenario: PublicScenario;
  readonly system: System;
}

const CONTENDERS: readonly Contender[] = SCENARIOS.flatMap((scenario) =>
  SYSTEMS.map((system) => ({ name: contenderName(scenario, system), scenario, system })),
);

export interface PublicBullmqOptions {
  readonly rounds: number;
  readonly scale: number;
}

export async function publicBullmq(redis: BenchRedis, { rounds, scale }: PublicBullmqOptions): Promise<Report> {
  const runs = await interleave('public-bullmq', CONTENDERS, rounds, ({ scenario, system }) =>
    scenario.run(redis, system, { warmUp: scenario.warmUp * scale, counted: scenario.counted * scale }),
  );
  const rates = (scenario: PublicScenario, system: System) =>
    runs.get(contenderName(scenario, system))!.map(({ perSecond }) => perSecond);
  return {
    scenario: 'public-bullmq',
    tables: [
      {
        title: `public-bullmq: the scenarios of BullMQ's public benchmark, its numbers of jobs times ${scale}`,
        rows: CONTENDERS.map(({ name, scenario, system }) => {
          const { median, min, max } = spread(rates(scenario, system));
          const { warmUp, counted } = scenario;
          return {
            contender: name,
            'tasks/s': median,
            min,
            max,
            'by its formula': (median * (warmUp + counted)) / counted,
          };
        }),
        notes: ['by its formula: warm-up and counted jobs, divided by the time of the counted ones'],
      },
    ],
    verdicts: SCENARIOS.map((scenario) =>
      compare(`${scenario.name}: docket / BullMQ`, rates(scenario, 'docket'), rates(scenario, 'bullmq'), 1),
    ),
    problems: problemsOf(runs),
  };
}

function contenderName({ name }: PublicScenario, system: System): string {
  return `${name}: ${NAMES[system]}`;
}

function adding(mode: AddMode, payload: 'small' | 'nested'): PublicScenario['run'] {
  return async (redis, system, { warmUp, counted }) => {
    await redis.reset();
    const { path, url } = redis;
    const settings: ProducerSettings = { path, url, mode, task: 'noop', executionTtl: KEPT_MS, payload };
    const producer = await Peer.start(`${system}-producer`, settings);
    await producer.request<Produced>({ from: 0, to: warmUp });
    const { ms } = await producer.request<Produced>({ from: warmUp, to: warmUp + counted });
    await producer.stop();
    const [queued, added] = [await LEDGERS[system].left(redis.admin), warmUp + counted];
    return {
      perSecond: (counted / ms) * 1e3,
      problems: queued === added ? [] : [`${queued} tasks queued instead of ${added}`],
    };
  };
}

function working(concurrency: number): PublicScenario['run'] {
  return (redis, system, { warmUp, counted }) => {
    const worker = ({ path, url }: BenchRedis): DocketWorkerSettings | BullmqWorkerSettings =>
      system === 'docket'
        ? { url, options: { threads: Math.min(concurrency, 2), concurrency } }
        : { path, concurrency, sandboxed: false, keep: { age: KEPT_MS / 1e3 } };
    const drainer: Drainer = { name: NAMES[system], system, ledger: LEDGERS[system], keptMs: KEPT_MS, worker };
    return drainOnce(redis, drainer, warmUp + counted);
  };
}
