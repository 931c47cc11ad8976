/** What `history()` and `stats()` tell of the last minutes, and that no count is written twice. */
import {
  type AttemptCounts,
  call,
  collection,
  type Docket,
  InvalidOptionError,
  retry,
  type StatsOptions,
  type TaskStats,
  task,
} from 'docket';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { recordHistory } =
  await importBuilt<typeof import('../../src/redis/history-store.js')>('redis/history-store.js');
const { DurationCounts } =
  await importBuilt<typeof import('../../src/core/duration-counts.js')>('core/duration-counts.js');
const { TaskCounters } =
  await importBuilt<typeof import('../../src/observe/task-counters.js')>('observe/task-counters.js');
const { HistoryWriter } = await importBuilt<typeof import('../../src/worker/watch/history-writer.js')>(
  'worker/watch/history-writer.js',
);
const { ServerClock } =
  await importBuilt<typeof import('../../src/worker/fleet/server-clock.js')>('worker/fleet/server-clock.js');

const NOTHING = { started: 0, succeeded: 0, failed: 0, retried: 0, waiting: null, duration: null };
const MINUTE_MS = 60_000;
/** Longer than any test runs, whenever in a minute it begins. */
const ENOUGH: StatsOptions = { minutes: 10 };

/** The sums of all minutes. */
async function totals(docket: Docket, task?: string): Promise<AttemptCounts> {
  const minutes = await docket.history({ ...ENOUGH, ...(task !== undefined && { task }) });
  const sum = (count: keyof AttemptCounts) => minutes.reduce((total, minute) => total + minute[count], 0);
  return { started: sum('started'), succeeded: sum('succeeded'), failed: sum('failed'), retried: sum('retried') };
}

async function statsOf(docket: Docket, task: string): Promise<TaskStats | undefined> {
  return (await docket.stats(ENOUGH)).find((one) => one.task === task);
}

describeEachServer('the history', (url) => {
  const stage = setStage(url);

  test('tells how many attempts there were and how they ended, of each task and of all together', async () => {
    const docket = stage.docket({ heartbeatInterval: '50ms' });
    let tries = 0;
    const tasks = collection(
      task('fine', () => {}),
      task('broken', () => {
        throw new Error('on purpose');
      }),
      task('flaky', { retry: retry({ attempts: 3 }) }, () => {
        tries += 1;
        if (tries < 3) throw new Error('not yet');
      }),
    );
    stage.work(tasks, { concurrency: 4 }, docket);
    await docket.addMany([call(tasks.fine), call(tasks.fine), call(tasks.broken), call(tasks.flaky)]);
    const all = { started: 6, succeeded: 3, failed: 1, retried: 2 };
    await waitFor(async () => JSON.stringify(await totals(docket)) === JSON.stringify(all));
    expect(await totals(docket, 'fine')).toEqual({ started: 2, succeeded: 2, failed: 0, retried: 0 });
    expect(await totals(docket, 'flaky')).toEqual({ started: 3, succeeded: 1, failed: 0, retried: 2 });
    const stats = await docket.stats(ENOUGH);
    expect(stats.map(({ task, started, failed }) => [task, started, failed])).toEqual([
      ['broken', 1, 1],
      ['fine', 2, 0],
      ['flaky', 3, 0],
    ]);
    const flaky = stats[2]!;
    expect(flaky.startedByMinute).toHaveLength(10);
    expect(flaky.startedByMinute.reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(flaky.duration!.p50Ms).toBeGreaterThan(0);
    expect(flaky.duration!.p99Ms).toBeGreaterThanOrEqual(flaky.duration!.p50Ms);
  });

  test('tells how long attempts waited after they were due, and how long they took', async () => {
    const docket = stage.docket({ heartbeatInterval: '50ms' });
    const nap = task('nap', () => new Promise<void>((resolve) => setTimeout(resolve, 100)));
    const redis = await stage.redis();
    await stage.docket({ executionTtl: 0 }).add(nap);
    const [[id, fields]] = (await redis.xrangeBuffer(stage.key('work'), '-', '+')) as [[Buffer, Buffer[]]];
    await redis.xdel(stage.key('work'), id);
    await redis.xadd(stage.key('front'), '*', ...fields, 'w', Date.now() - 3_600_000); // as one that was put back
    stage.work({ nap }, {}, docket);
    await waitFor(async () => (await statsOf(docket, 'nap'))?.duration != null);
    const { waiting, duration } = (await statsOf(docket, 'nap'))!;
    expect(waiting!.p50Ms).toBeGreaterThan(3_600_000 * 0.9);
    expect(waiting!.p50Ms).toBeLessThan(3_600_000 * 1.2);
    expect(duration!.p99Ms).toBeGreaterThan(90);
    const minutes = await docket.history({ task: nap, ...ENOUGH });
    expect(minutes.find((minute) => minute.waiting !== null)).toMatchObject({ waiting, duration });
  });

  test('has every minute that was asked for, the oldest first, with zeros where nothing was counted', async () => {
    const docket = stage.docket();
    const minutes = await docket.history({ minutes: 3 });
    expect(minutes).toEqual(minutes.map(({ at }) => ({ at, ...NOTHING })));
    const [first, second, last] = minutes.map(({ at }) => at.getTime()) as [number, number, number];
    expect([first % MINUTE_MS, second - first, last - second]).toEqual([0, MINUTE_MS, MINUTE_MS]);
    expect(Math.abs(Date.now() - last)).toBeLessThan(2 * MINUTE_MS);
    expect(await docket.history()).toHaveLength(60);
    expect(await docket.history({ minutes: 2_880 })).toHaveLength(2_880);
    expect(await docket.stats()).toEqual([]);
  });

  test('reads what the first version wrote, and passes over what it does not know', async () => {
    const [docket, redis] = [stage.docket(), await stage.redis()];
    const minute = Math.floor(Date.now() / MINUTE_MS);
    const key = stage.key(`history:${minute}`);
    await redis.hset(key, { '': '{"b":3,"s":2,"f":1,"r":1,"w0":2,"d40":3}', t: '{"b":3,"q":5,"s":"x"}', broken: '[' });
    await redis.pexpire(key, 60_000);
    const about = (ms: number) => ({ p50Ms: ms, p95Ms: ms, p99Ms: ms });
    expect((await docket.history(ENOUGH)).filter(({ started }) => started > 0)).toEqual([
      {
        ...{ at: new Date(minute * MINUTE_MS), started: 3, succeeded: 2, failed: 1, retried: 1 },
        ...{ waiting: about(0.917), duration: about(939) },
      },
    ]);
    const stats = await docket.stats(ENOUGH);
    expect(stats.map(({ task, started, succeeded }) => [task, started, succeeded])).toEqual([
      ['broken', 0, 0],
      ['t', 3, 0],
    ]);
  });

  test('gets what a worker counted last from its drain', async () => {
    const docket = stage.docket({ heartbeatInterval: '1h' });
    const quick = task('quick', () => {});
    const worker = stage.work({ quick }, {}, docket);
    const execution = await docket.add(quick);
    await execution.result();
    expect(await totals(docket)).toMatchObject({ started: 0 });
    await worker.close();
    expect(await totals(docket)).toEqual({ started: 1, succeeded: 1, failed: 0, retried: 0 });
  });

  test('is not written by a worker that is told not to', async () => {
    const docket = stage.docket();
    const quick = task('quick', () => {});
    const worker = stage.work({ quick }, { history: false }, docket);
    await (await docket.add(quick)).result();
    await worker.close();
    expect((await stage.keys()).filter((key) => key.startsWith('history'))).toEqual([]);
  });

  test.each([0, -1, 1.5, 2_881, '60'])('refuses %s minutes', async (minutes) => {
    const docket = stage.docket();
    const options = { minutes: minutes as number };
    for (const asked of [docket.history(options), docket.stats(options)]) {
      await expect(asked).rejects.toThrow(InvalidOptionError);
    }
  });

  test.each(['', null, 7])('refuses %o as a task', async (name) => {
    await expect(stage.docket().history({ task: name as string })).rejects.toThrow(InvalidOptionError);
  });
});

/** A writer with counters of its own, which writes when it is told to stop. */
function writerOn(redis: Redis, { name }: Fleet) {
  const counters = new TaskCounters();
  counters.addTasks(['t']);
  const { logger, lines } = recordingLogger();
  const options = { redis, keys: keysOf(name), consumer: 'w:1', clock: new ServerClock(), logger, counters };
  const writer = new HistoryWriter({ ...options, intervalMs: 60_000, attempts: { onThreads: () => new Map() } });
  const write = async () => {
    writer.start();
    await writer.stop();
  };
  const ran = (times = 1) => {
    for (let i = 0; i < times; i++) {
      counters.of('t').started += 1;
      counters.of('t').duration.add(10);
    }
  };
  return { write, ran, counters, lines };
}

/** A connection whose next answers to scripts can be lost. */
function losingAnswers(redis: Redis): { readonly redis: Redis; readonly scripts: () => number; loseNext(): void } {
  let isLosing = false;
  let scripts = 0;
  const callBuffer = async (...args: unknown[]) => {
    const answer = await (redis.callBuffer as (...all: unknown[]) => Promise<unknown>)(...args);
    scripts += 1;
    if (!isLosing) return answer;
    isLosing = false;
    throw new Error('the connection broke');
  };
  const proxy = new Proxy(redis, { get: (of, name) => (name === 'callBuffer' ? callBuffer : Reflect.get(of, name)) });
  return {
    redis: proxy,
    scripts: () => scripts,
    loseNext: () => {
      isLosing = true;
    },
  };
}

describeOnRedis('what a worker has counted', (url) => {
  test('is added once when the answer of the server is lost, and what follows is added, too', async () => {
    const fleet = await openFleet(url());
    const { redis, loseNext } = losingAnswers(fleet.redis);
    const { write, ran, lines } = writerOn(redis, fleet);
    ran(2);
    await write();
    loseNext();
    ran(3);
    await write();
    expect(lines.map(({ message }) => message)).toEqual([
      'the last counts of this worker could not be written: they are missing from the history',
    ]);
    ran(4);
    await write();
    await write();
    expect(await totals(fleet.docket)).toMatchObject({ started: 9 });
    expect(await totals(fleet.docket, 't')).toMatchObject({ started: 9 });
  });

  test('is not lost when it never reached the server', async () => {
    const fleet = await openFleet(url());
    const { write, ran } = writerOn(fleet.redis, fleet);
    const mark = fleet.key('history-page:w:1');
    await fleet.redis.lpush(mark, 'in the way');
    ran(2);
    await write();
    expect(await totals(fleet.docket)).toMatchObject({ started: 0 });
    await fleet.redis.del(mark);
    ran(3);
    await write();
    expect(await totals(fleet.docket)).toMatchObject({ started: 5 });
  });

  test('is added page by page when there are many tasks, each page once', async () => {
    const fleet = await openFleet(url());
    const { redis, loseNext, scripts } = losingAnswers(fleet.redis);
    const { write, counters } = writerOn(redis, fleet);
    const names = Array.from({ length: 150 }, (_, i) => `task-${String(i).padStart(3, '0')}`);
    counters.addTasks(names);
    for (const name of names) counters.of(name).started += 2;
    loseNext();
    await write();
    expect(scripts()).toBe(1);
    for (const name of names) counters.of(name).started += 1;
    await write();
    expect(scripts()).toBe(1 + 3 + 3);
    const stats = await fleet.docket.stats(ENOUGH);
    expect(stats.map(({ task, started }) => `${task} ${started}`)).toEqual(names.map((name) => `${name} 3`));
    expect(await totals(fleet.docket)).toMatchObject({ started: 450 });
  });

  test('takes one script, however much it was, and none when it was nothing', async () => {
    const fleet = await openFleet(url());
    const { redis, scripts } = losingAnswers(fleet.redis);
    const { write, ran, counters } = writerOn(redis, fleet);
    for (const times of [1, 10_000]) {
      const before = scripts();
      ran(times);
      await write();
      expect(scripts() - before).toBe(1);
      await write();
      expect(scripts() - before).toBe(1);
    }
    counters.of('t').failed += 1;
    await write();
    expect(await totals(fleet.docket, 't')).toEqual({ started: 10_001, succeeded: 0, failed: 1, retried: 0 });
  });

  test('is counted apart for 300 tasks, and for all others together', async () => {
    const fleet = await openFleet(url());
    const [keys, minute] = [keysOf(fleet.name), Math.floor(Date.now() / MINUTE_MS)];
    const none = { succeeded: 0, failed: 0, retried: 0, waiting: new DurationCounts(), duration: new DurationCounts() };
    for (let number = 1; number <= 4; number++) {
      const names = Array.from({ length: 100 }, (_, i) => `task-${number}-${i}`);
      const tallies = names.map((name) => [name, { ...none, started: 2 }] as const);
      await recordHistory(fleet.redis, keys, 'w:1', { number, minute, tallies });
    }
    const stats = await fleet.docket.stats(ENOUGH);
    expect(stats).toHaveLength(301);
    expect(stats.find(({ task }) => task === 'other')!.started).toBe(200);
    expect(stats.reduce((sum, { started }) => sum + started, 0)).toBe(800);
    const again = { ...none, started: 1 };
    const tallies = [['task-1-0', again] as const, ['task-4-0', again] as const];
    await recordHistory(fleet.redis, keys, 'w:1', { number: 5, minute, tallies });
    expect([await statsOf(fleet.docket, 'task-1-0'), await statsOf(fleet.docket, 'other')]).toMatchObject([
      { started: 3 },
      { started: 201 },
    ]);
  });

  test('is not added by a page that comes after a later one', async () => {
    const fleet = await openFleet(url());
    const minute = Math.floor(Date.now() / MINUTE_MS);
    const none = { succeeded: 0, failed: 0, retried: 0, waiting: new DurationCounts(), duration: new DurationCounts() };
    for (const number of [1, 2, 1]) {
      const tallies = [['', { ...none, started: 1 }] as const];
      await recordHistory(fleet.redis, keysOf(fleet.name), 'w:1', { number, minute, tallies });
    }
    expect(await totals(fleet.docket)).toMatchObject({ started: 2 });
  });
});
