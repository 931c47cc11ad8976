/**
 * What does a worker cost that has nothing to do? Each contender has a server of its own, and all of them idle side by side
 * in the same minute, once their processes have settled. V8 tidies up for half a minute or longer after the start: a worker
 * takes 1.2 % of a core between 20 and 30 s, and 0.2 % from then on (measured beside one other process). MONITOR counts the
 * commands, those sent apart from those inside scripts; the kernel counts the CPU time of all threads.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { readCost } from '../support/cost.js';
import { Peer } from '../support/peer.js';
import { status } from '../support/print.js';
import { type BenchRedis, startRedis } from '../support/redis-server.js';
import { atMost, type Report } from '../support/report.js';

/** Workers in one process: as many as a process can have while the cost of each can still be told. */
const MANY = 20;
const MOST_COMMANDS = 3;
const MOST_CPU_PERCENT = 0.5;
const MOST_COMMANDS_OF_100 = 300;

interface Contender {
  readonly name: string;
  readonly workers: number;
  readonly program: string;
  settings(redis: BenchRedis): object;
}

interface IdleRun {
  readonly sentPerSecond: number;
  readonly executedPerSecond: number;
  readonly cpuPercent: number | null;
  readonly redisCpuPercent: number;
}

const docket = (name: string, workers: number, threads: number): Contender => ({
  name,
  workers,
  program: 'docket-worker',
  settings: ({ url }): DocketWorkerSettings => ({ url, workers, options: { threads } }),
});

const bullmq = (name: string, workers: number): Contender => ({
  name,
  workers,
  program: 'bullmq-worker',
  settings: ({ path }): BullmqWorkerSettings => ({
    ...{ path, workers, concurrency: 1, sandboxed: false, keep: { count: 0 } },
  }),
});

const ONE = docket('docket, 2 threads', 1, 2);
const DOCKETS = docket(`docket, ${MANY} workers in one process`, MANY, 0);
const CONTENDERS = [ONE, DOCKETS, bullmq('BullMQ', 1), bullmq(`BullMQ, ${MANY} workers in one process`, MANY)];

export async function idle(
  _redis: BenchRedis,
  { settleMs, measureMs }: { settleMs: number; measureMs: number },
): Promise<Report> {
  status(`idle: ${CONTENDERS.length} contenders settle for ${settleMs / 1e3} s, then idle for ${measureMs / 1e3} s`);
  const runs = await Promise.all(CONTENDERS.map((contender) => idleOnce(contender, settleMs, measureMs)));
  status('');
  const of = (contender: Contender) => runs[CONTENDERS.indexOf(contender)]!;
  const { sentPerSecond, cpuPercent } = of(ONE);
  const fleetSent = (of(DOCKETS).sentPerSecond / MANY) * 100;
  return {
    scenario: 'idle',
    tables: [
      {
        title: `idle: what one worker costs that has nothing to do, over ${measureMs / 1e3} s`,
        rows: CONTENDERS.map((contender) => {
          const { workers } = contender;
          const run = of(contender);
          return {
            contender: contender.name,
            'commands sent/s': run.sentPerSecond / workers,
            'commands executed/s': run.executedPerSecond / workers,
            'CPU, % of a core': run.cpuPercent === null ? null : run.cpuPercent / workers,
            'CPU of Redis, %': run.redisCpuPercent / workers,
          };
        }),
        notes: [
          'executed: with the commands inside scripts; all figures are for each worker',
          `100 idle workers, from the ${MANY}: ${Math.round(fleetSent)} commands sent/s`,
        ],
        costs: { columns: ['commands sent/s'], rows: [ONE.name, DOCKETS.name] },
      },
    ],
    verdicts: [
      atMost('commands/s that one idle worker sends', [sentPerSecond], MOST_COMMANDS),
      atMost('commands/s that 100 idle workers send', [fleetSent], MOST_COMMANDS_OF_100),
      ...(cpuPercent === null
        ? []
        : [atMost('CPU of one idle worker, in % of a core', [cpuPercent], MOST_CPU_PERCENT)]),
    ],
    problems: [],
  };
}

async function idleOnce(contender: Contender, settleMs: number, measureMs: number): Promise<IdleRun> {
  await using redis = await startRedis();
  const worker = await Peer.start(contender.program, contender.settings(redis));
  await worker.request();
  await sleep(settleMs);
  const monitor = await redis.admin.monitor();
  const start = await readCost(redis.admin, worker.pid);
  const startMs = performance.now();
  let [sent, inScripts] = [0, 0];
  monitor.on('monitor', (_time: string, _command: string[], source: string) => {
    if (source === 'lua') inScripts += 1;
    else sent += 1;
  });
  await sleep(measureMs);
  const [counted, inside] = [sent, inScripts];
  const seconds = (performance.now() - startMs) / 1e3;
  const end = await readCost(redis.admin, worker.pid);
  monitor.disconnect();
  await worker.stop();
  const isKnown = start.processCpuUs !== null && end.processCpuUs !== null;
  return {
    sentPerSecond: counted / seconds,
    executedPerSecond: (counted + inside) / seconds,
    cpuPercent: isKnown ? (end.processCpuUs! - start.processCpuUs!) / seconds / 1e4 : null,
    redisCpuPercent: (end.redisCpuUs - start.redisCpuUs) / seconds / 1e4,
  };
}
