/**
 * How many round trips and commands does a task cost, while there is plenty of work?
 *
 * A producer adds no-op tasks in batches of 500; then one worker process empties the backlog. The server counts. What the
 * bench itself sends is left out, so the figures hardly depend on how fast the machine is.
 */
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { type Drainer, type DrainRun, drainOnce } from '../support/backlog.js';
import type { CostPerTask } from '../support/cost.js';
import { bullmqLedger, docketLedger } from '../support/ledger.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { spread } from '../support/stats.js';
import { KEPT_MS } from './enqueue.js';

const docket = (name: string, keptMs: number): Drainer => ({
  name,
  system: 'docket',
  ledger: docketLedger,
  keptMs,
  worker: ({ url }): DocketWorkerSettings => ({ url, options: { threads: 2 } }),
});

const bullmq = (name: string, keptMs: number): Drainer => ({
  name,
  system: 'bullmq',
  ledger: bullmqLedger,
  keptMs,
  worker: ({ path }): BullmqWorkerSettings => {
    const keep = keptMs > 0 ? { age: keptMs / 1e3 } : { count: 0 };
    return { path, concurrency: 100, sandboxed: false, keep };
  },
});

const LEAN = docket('docket, fire-and-forget', 0);
const TRACKED = docket('docket, tracked 15 min', KEPT_MS);
const CONTENDERS = [LEAN, TRACKED, bullmq('BullMQ, removed', 0), bullmq('BullMQ, kept 15 min', KEPT_MS)];

export interface RoundTripsOptions {
  readonly rounds: number;
  readonly tasks: number;
}

export async function roundTrips(redis: BenchRedis, { rounds, tasks }: RoundTripsOptions): Promise<Report> {
  const runs = await interleave('round-trips', CONTENDERS, rounds, (contender) =>
    drainOnce(redis, contender, contender.system === 'docket' ? tasks : tasks / 4),
  );
  const tripsOf = ({ name }: Drainer) => runs.get(name)!.map(({ cost }) => cost.trips);
  const rows = (verb: string, cost: (run: DrainRun) => CostPerTask) =>
    CONTENDERS.map(({ name }) => costRow(`${name}: ${verb}`, runs.get(name)!.map(cost)));
  const table = [...rows('add 500', ({ addCost }) => addCost), ...rows('run', ({ cost }) => cost)];
  return {
    scenario: 'round-trips',
    tables: [
      {
        title: 'round trips: what a no-op task costs in calls of Redis, with plenty of work',
        rows: table,
        notes: [
          'commands: those of clients and those inside scripts',
          'round trips: socket reads by Redis, an upper bound, because a long request takes several',
        ],
        costs: {
          columns: ['commands/task', 'round trips/task'],
          rows: table.map(({ contender }) => contender).filter((name) => name.startsWith('docket')),
        },
      },
    ],
    verdicts: [
      atMost('round trips to run a fire-and-forget task', tripsOf(LEAN), 0.05),
      atMost('round trips to run a tracked task', tripsOf(TRACKED), 0.1),
    ],
    problems: problemsOf(runs),
  };
}

function costRow(name: string, costs: readonly CostPerTask[]) {
  const median = (of: 'commands' | 'trips' | 'redisCpuUs') => spread(costs.map((cost) => cost[of])).median;
  return {
    contender: name,
    'commands/task': median('commands'),
    'round trips/task': median('trips'),
    'Redis us/task': median('redisCpuUs'),
  };
}
