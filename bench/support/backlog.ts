/** Measures how one worker process empties one backlog. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProducerSettings } from '../peers/produce.js';
import { type CostPerTask, type CostReading, costPerTask, readCost } from './cost.js';
import { countReturned, type Ledger } from './ledger.js';
import { Peer } from './peer.js';
import { liveStatus } from './print.js';
import type { BenchRedis } from './redis-server.js';
import { type Run, WARM_UP } from './rounds.js';

const POLL_MS = 10;
/** A run without progress for this long fails. */
const STUCK_MS = 60_000;

/** A contender that empties a backlog. */
export interface Drainer {
  readonly name: string;
  readonly system: 'docket' | 'bullmq' | 'raw';
  readonly ledger: Ledger;
  /** How long the record of a completed task is kept, in milliseconds; 0 keeps none. */
  readonly keptMs: number;
  /** Prepares the empty server, before anything is added. */
  prepare?(redis: BenchRedis): Promise<void>;
  /** Returns the settings of the worker program. `concurrency` is given for the audit, whose tasks wait for Redis. */
  worker(redis: BenchRedis, concurrency?: number): object;
}

export interface DrainRun extends Run {
  /** What it cost to add a task, in batches of 500. */
  readonly addCost: CostPerTask;
  /** See `countReturned`; 0 for all contenders but docket. */
  readonly returned: number;
}

/**
 * Makes the timed run: from the first tenth of the tasks to the last acknowledged completion.
 *
 * @param warmUp - another share of the tasks that is not measured
 */
export async function drainOnce(
  redis: BenchRedis,
  contender: Drainer,
  tasks: number,
  task: ProducerSettings['task'] = 'noop',
  warmUp = WARM_UP,
): Promise<DrainRun> {
  const addCost = await preload(redis, contender, tasks, task);
  const worker = await Peer.start(`${contender.system}-worker`, contender.worker(redis));
  await worker.request();

  const read = async () => ({ at: performance.now(), ...(await readCost(redis.admin, worker.pid)) });
  const warm = Math.round(tasks * warmUp);
  const leftAtStart = await waitUntil(redis, contender, tasks - warm);
  const start: CostReading & { at: number } = await read();
  await waitUntil(redis, contender, 0);
  const end = await read();
  await worker.stop();

  return {
    perSecond: (leftAtStart / (end.at - start.at)) * 1e3,
    cost: costPerTask(start, end, leftAtStart),
    addCost,
    returned: await countReturned(redis.admin),
    problems: await contender.ledger.audit(redis.admin, tasks, contender.keptMs > 0 ? tasks : 0),
  };
}

/** Fills the backlog of an empty server, and returns the cost of a task. */
export async function preload(
  redis: BenchRedis,
  contender: Drainer,
  tasks: number,
  task: ProducerSettings['task'],
): Promise<CostPerTask> {
  await redis.reset();
  await contender.prepare?.(redis);
  const mode = { kind: 'batch', size: 500 } as const;
  const settings: ProducerSettings = { path: redis.path, url: redis.url, mode, task, executionTtl: contender.keptMs };
  const producer = await Peer.start(`${contender.system}-producer`, settings);
  const start = await readCost(redis.admin, producer.pid);
  await producer.request({ from: 0, to: tasks });
  const end = await readCost(redis.admin, producer.pid);
  await producer.stop();
  return costPerTask(start, end, tasks);
}

/** Waits until at most `target` tasks are left, and returns how many are. */
export async function waitUntil(redis: BenchRedis, { name, ledger }: Drainer, target: number): Promise<number> {
  let lowest = Number.POSITIVE_INFINITY;
  let progressAt = performance.now();
  for (;;) {
    const left = await ledger.left(redis.admin);
    if (left <= target) return left;
    if (left < lowest) [lowest, progressAt] = [left, performance.now()];
    if (performance.now() - progressAt > STUCK_MS)
      throw new Error(`${name}: ${left} tasks left, none completed for ${STUCK_MS} ms`);
    liveStatus(`${name}: ${left.toLocaleString('en-US')} left`);
    await sleep(POLL_MS);
  }
}
