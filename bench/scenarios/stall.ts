/**
 * Does a long synchronous task lose its lease? Worker A blocks every thread in a loop that never yields, for six leases (four
 * with --quick), while an idle worker B waits to take whatever A loses. Each key must start exactly once, and nothing may be
 * redelivered.
 */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, Docket } from 'docket';
import { spin } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings, LoopDelay } from '../peers/docket-worker.js';
import { DOCKET } from '../peers/names.js';
import { STARTS } from '../peers/starts.js';
import { countReturned, docketLedger } from '../support/ledger.js';
import { Peer } from '../support/peer.js';
import { status } from '../support/print.js';
import type { BenchRedis } from '../support/redis-server.js';
import { atMost, type Report } from '../support/report.js';

const THREADS = availableParallelism();
const START_TIMEOUT_MS = 20_000;

export async function stall(
  redis: BenchRedis,
  { leaseMs, spinMs }: { leaseMs: number; spinMs: number },
): Promise<Report> {
  const startWorker = async (name: string) => {
    const settings: DocketWorkerSettings = {
      url: redis.url,
      options: { name, threads: THREADS, redeliveryTimeout: leaseMs },
    };
    const worker = await Peer.start('docket-worker', settings);
    await worker.request();
    return worker;
  };
  await redis.reset();
  const busy = await startWorker('busy');
  const docket = new Docket({ name: DOCKET, url: redis.url });
  const calls = Array.from({ length: THREADS }, (_, thread) => call(spin, { ms: spinMs }, { key: `spin-${thread}` }));
  const executions = await docket.addMany(calls);
  await allStarted(redis, executions.length);
  const start = performance.now();

  status(`stall: ${THREADS} threads spin for ${spinMs / 1e3} s, the lease is ${leaseMs / 1e3} s`);
  const idle = await startWorker('idle');
  await busy.request<LoopDelay>(); // starts the measurement
  await Promise.all(executions.map((execution) => execution.result()));
  const delay = await busy.request<LoopDelay>();
  const seconds = (performance.now() - start) / 1e3;
  status('');
  await docket.close();
  await Promise.all([busy.stop(), idle.stop()]);

  const starts = await redis.admin.hgetall(STARTS);
  const redeliveries = await countReturned(redis.admin);
  const repeated = Object.entries(starts).filter(([, count]) => count !== '1');
  return {
    scenario: 'stall',
    tables: [
      {
        title: `stall: every thread spins for ${spinMs / 1e3} s with a lease of ${leaseMs / 1e3} s`,
        rows: [
          {
            executions: executions.length,
            starts: Object.values(starts).reduce((sum, count) => sum + Number(count), 0),
            redeliveries,
            seconds,
            'loop delay p99 ms': delay.p99Ms,
            'loop delay max ms': delay.maxMs,
          },
        ],
        notes: ['loop delay of the coordinator, while its threads spin; it includes the 1 ms of the measuring timer'],
      },
    ],
    verdicts: [atMost('p99 of the loop delay of the coordinator, in ms', [delay.p99Ms], 50)],
    problems: [
      ...repeated.map(([key, count]) => `${key} started ${count} times`),
      ...(redeliveries > 0 ? [`${redeliveries} deliveries were taken from the busy worker`] : []),
      ...(await docketLedger.audit(redis.admin, executions.length, executions.length)),
    ],
  };
}

/** Waits until all executions have started. */
async function allStarted(redis: BenchRedis, expected: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while ((await redis.admin.hlen(STARTS)) < expected) {
    if (performance.now() > deadline)
      throw new Error(`not all of ${expected} tasks started within ${START_TIMEOUT_MS} ms`);
    await sleep(20);
  }
}
