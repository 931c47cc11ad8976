/**
 * What does a limit cost that never makes a task wait? The same no-op tasks, tracked for 15 minutes, run with and without
 * limits, in pairs. They are judged by the CPU time of Redis and of the coordinator's thread for each task, not by the rate:
 * on few cores that includes the cost of the threads.
 */
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import type { ProducerSettings } from '../peers/produce.js';
import { type Drainer, drainOnce } from '../support/backlog.js';
import { docketLedger } from '../support/ledger.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf, type Run, summarize } from '../support/rounds.js';
import { KEPT_MS } from './enqueue.js';

const THREADS = 2;
/** The target: a limit adds less than a quarter. */
const AT_LEAST = 1 / 1.25;

interface Contender extends Drainer {
  readonly task: ProducerSettings['task'];
}

const limited = (name: string, task: ProducerSettings['task']): Contender => ({
  name,
  task,
  system: 'docket',
  ledger: docketLedger,
  keptMs: KEPT_MS,
  worker: ({ url }): DocketWorkerSettings => ({ url, options: { threads: THREADS } }),
});

const UNLIMITED = limited('no limit', 'noop');
const LIMITED = [
  limited('concurrency of the task', 'limitedTask'),
  limited('concurrency by an argument, one value', 'limitedValue'),
  limited('concurrency by an argument, all values new', 'limitedValues'),
  limited('rate of the task', 'limitedRate'),
  limited('three concurrency limits', 'limitedStack'),
];
/** The usual limits are judged; the others are only shown. */
const JUDGED = LIMITED.slice(0, 3);

export async function limits(redis: BenchRedis, { rounds, tasks }: { rounds: number; tasks: number }): Promise<Report> {
  const contenders = [UNLIMITED, ...LIMITED];
  const runs = await interleave('limits', contenders, rounds, (contender) =>
    drainOnce(redis, contender, tasks, contender.task),
  );
  const cpu = ({ name }: Contender) => runs.get(name)!.map(cpuOf);
  return {
    scenario: 'limits',
    tables: [
      {
        title: `limits: one worker process with ${THREADS} threads empties a backlog of no-op tasks, tracked`,
        rows: contenders.map(({ name }) => summarize(name, tasks, runs.get(name)!)),
        costs: { columns: ['commands/task'] },
      },
    ],
    verdicts: JUDGED.map((contender) =>
      compare(
        `CPU of Redis and coordinator per task: no limit / ${contender.name}`,
        cpu(UNLIMITED),
        cpu(contender),
        AT_LEAST,
      ),
    ),
    problems: problemsOf(runs),
  };
}

function cpuOf({ cost }: Run): number {
  return cost.redisCpuUs + (cost.mainThreadCpuUs ?? Number.NaN);
}
