/**
 * How long do short tasks wait that arrive among long ones? Both kinds keep the CPU busy. They arrive at random times,
 * whether or not anything is free (an open loop), the same times for each contender. The long ones alone would keep four
 * fifths of one thread busy, and each contender has two: so both are often busy with long ones.
 *
 * docket's answer for users whose short tasks must not wait is a docket of their own, with a thread that never runs
 * anything else. It is measured here in the same process count: two workers with one thread each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Docket, type Task } from 'docket';
import type { BullmqWorkerSettings } from '../peers/bullmq-worker.js';
import { long, mixed, short } from '../peers/docket-tasks.js';
import type { DocketWorkerSettings } from '../peers/docket-worker.js';
import { BULLMQ_QUEUE, DOCKET } from '../peers/names.js';
import { nowMs, type TimedWork, waitsOf } from '../peers/waits.js';
import { Peer } from '../support/peer.js';
import type { BenchRedis } from '../support/redis-server.js';
import { compare, type Report } from '../support/report.js';
import { interleave, problemsOf } from '../support/rounds.js';
import { quantile, spread } from '../support/stats.js';

const THREADS = 2;
const CONCURRENCY = 100;
const SHORT_MS = 1;
/** One task in ten is long. */
const LONG_EVERY = 10;
/** How much of one thread the long tasks use. */
const LONG_SHARE = 0.8;
/** Short tasks that run first: they compile the code and open connections. */
const WARM_UP_SHORT = 20;
const DRAIN_TIMEOUT_MS = 120_000;

export interface ShortBehindLongOptions {
  readonly rounds: number;
  /** How long tasks are added in a run. */
  readonly seconds: number;
  /** How long a long task takes. The rate follows from it. */
  readonly longMs: number;
}

/** A contender that is ready for tasks. */
interface Running {
  add(kind: 'short' | 'long', work: TimedWork): Promise<unknown>;
  stop(): Promise<void>;
}

interface Contender {
  readonly name: string;
  start(redis: BenchRedis): Promise<Running>;
}

interface WaitsRun {
  readonly short: Waits;
  readonly long: Waits;
  readonly problems: readonly string[];
}

interface Waits {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

const NAMED: Contender = {
  name: 'docket',
  start: (redis) => startDockets(redis, [[DOCKET, THREADS]], { short: [DOCKET, short], long: [DOCKET, long] }),
};
const MIXED: Contender = {
  name: 'docket, both under one name',
  start: (redis) => startDockets(redis, [[DOCKET, THREADS]], { short: [DOCKET, mixed], long: [DOCKET, mixed] }),
};
const APART: Contender = {
  name: 'docket, short ones in a docket of their own',
  start: (redis) =>
    startDockets(
      redis,
      [
        [DOCKET, 1],
        ['quick', 1],
      ],
      { short: ['quick', short], long: [DOCKET, long] },
    ),
};
const BULLMQ: Contender = { name: 'BullMQ in-process', start: (redis) => startBullmq(redis, false) };
const BULLMQ_THREADS: Contender = { name: 'BullMQ worker threads', start: (redis) => startBullmq(redis, true) };
const CONTENDERS = [NAMED, MIXED, APART, BULLMQ, BULLMQ_THREADS];

export async function shortBehindLong(redis: BenchRedis, options: ShortBehindLongOptions): Promise<Report> {
  const { rounds, seconds, longMs } = options;
  const runs = await interleave('short-behind-long', CONTENDERS, rounds, (contender) =>
    runOnce(redis, contender, options),
  );
  const waits = ({ name }: Contender, kind: 'short' | 'long', of: keyof Waits) =>
    runs.get(name)!.map((run) => run[kind][of]);
  const median = (...args: Parameters<typeof waits>) => spread(waits(...args)).median;
  return {
    scenario: 'short-behind-long',
    tables: [
      {
        title: `short-behind-long: tasks of ${SHORT_MS} ms, every tenth of ${longMs} ms, added for ${seconds} s`,
        rows: CONTENDERS.map((contender) => ({
          contender: contender.name,
          'short tasks': median(contender, 'short', 'count'),
          'short p50 ms': median(contender, 'short', 'p50'),
          'short p99 ms': median(contender, 'short', 'p99'),
          'long p50 ms': median(contender, 'long', 'p50'),
          'long p99 ms': median(contender, 'long', 'p99'),
        })),
        notes: ['waits from the add to the start of the body, as medians of the rounds'],
      },
    ],
    verdicts: [
      compare(
        'p99 wait of short tasks: docket / BullMQ worker threads',
        waits(NAMED, 'short', 'p99'),
        waits(BULLMQ_THREADS, 'short', 'p99'),
        { kind: 'at most', value: 1 },
      ),
      compare(
        'p99 wait of short tasks: docket / in a docket of their own',
        waits(NAMED, 'short', 'p99'),
        waits(APART, 'short', 'p99'),
        3,
      ),
    ],
    problems: problemsOf(runs),
  };
}

async function runOnce(redis: BenchRedis, contender: Contender, options: ShortBehindLongOptions): Promise<WaitsRun> {
  const { longMs } = options;
  await redis.reset();
  const running = await contender.start(redis);
  for (let i = 0; i < WARM_UP_SHORT; i++) await running.add('short', { addedMs: nowMs(), workMs: SHORT_MS });
  for (let i = 0; i < THREADS; i++) await running.add('long', { addedMs: nowMs(), workMs: longMs });
  await allReported(redis, longMs, { short: WARM_UP_SHORT, long: THREADS });
  await redis.admin.del(waitsOf(SHORT_MS), waitsOf(longMs));

  const added = await addAll(running, options);
  await allReported(redis, longMs, added);
  const [shortWaits, longWaits] = [await readWaits(redis, SHORT_MS), await readWaits(redis, longMs)];
  await running.stop();
  return {
    short: shortWaits,
    long: longWaits,
    problems: [
      ...(shortWaits.count === added.short ? [] : [`${shortWaits.count} short tasks ran instead of ${added.short}`]),
      ...(longWaits.count === added.long ? [] : [`${longWaits.count} long tasks ran instead of ${added.long}`]),
    ],
  };
}

/** Adds tasks at random times, which are the same in each run, and returns how many of each kind. */
async function addAll(running: Running, { seconds, longMs }: ShortBehindLongOptions) {
  const pauseMs = longMs / LONG_SHARE / LONG_EVERY;
  const random = seeded();
  const added = { short: 0, long: 0 };
  const adds: Promise<unknown>[] = [];
  const end = nowMs() + seconds * 1e3;
  for (let at = nowMs(); at < end; at += -Math.log(1 - random()) * pauseMs) {
    if (at > nowMs()) await sleep(at - nowMs());
    const kind = random() < 1 / LONG_EVERY ? 'long' : 'short';
    added[kind] += 1;
    adds.push(running.add(kind, { addedMs: nowMs(), workMs: kind === 'long' ? longMs : SHORT_MS }));
  }
  await Promise.all(adds);
  return added;
}

async function allReported(redis: BenchRedis, longMs: number, expected: Record<'short' | 'long', number>) {
  const deadline = nowMs() + DRAIN_TIMEOUT_MS;
  for (;;) {
    const [shorts, longs] = await Promise.all([SHORT_MS, longMs].map((workMs) => redis.admin.llen(waitsOf(workMs))));
    if (shorts! >= expected.short && longs! >= expected.long) return;
    if (nowMs() > deadline) throw new Error(`tasks did not run within ${DRAIN_TIMEOUT_MS} ms`);
    await sleep(20);
  }
}

async function readWaits(redis: BenchRedis, workMs: number): Promise<Waits> {
  const waits = (await redis.admin.lrange(waitsOf(workMs), 0, -1)).map(Number);
  return { count: waits.length, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) };
}

type DocketTask = Task<string, TimedWork, void>;

async function startDockets(
  redis: BenchRedis,
  workers: readonly (readonly [docket: string, threads: number])[],
  routes: Record<'short' | 'long', readonly [docket: string, task: DocketTask]>,
): Promise<Running> {
  const peers: Peer[] = [];
  const dockets = new Map<string, Docket>();
  for (const [docket, threads] of workers) {
    const settings: DocketWorkerSettings = { url: redis.url, docket, options: { threads } };
    const peer = await Peer.start('docket-worker', settings);
    await peer.request();
    peers.push(peer);
    dockets.set(docket, new Docket({ name: docket, url: redis.url, executionTtl: 0 }));
  }
  return {
    add(kind, work) {
      const [docket, task] = routes[kind];
      return dockets.get(docket)!.add(task, work);
    },
    async stop() {
      for (const docket of dockets.values()) await docket.close();
      await Promise.all(peers.map((peer) => peer.stop()));
    },
  };
}

async function startBullmq(redis: BenchRedis, sandboxed: boolean): Promise<Running> {
  const concurrency = sandboxed ? THREADS : CONCURRENCY;
  const settings: BullmqWorkerSettings = { path: redis.path, concurrency, sandboxed, keep: { count: 0 } };
  const peer = await Peer.start('bullmq-worker', settings);
  await peer.request();
  const queue = new Queue(BULLMQ_QUEUE, { connection: { path: redis.path } });
  return {
    add: (kind, work) => queue.add(kind, work),
    async stop() {
      await queue.close();
      await peer.stop();
    },
  };
}

/** A small generator of the same numbers from 0 to 1 in each run (mulberry32). */
function seeded(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
