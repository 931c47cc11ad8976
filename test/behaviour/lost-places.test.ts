/**
 * Somebody deletes a stream, the schedule or the line at a limit: sweeps find the executions that had their places there.
 * They run if their messages are known, and fail if not. All others are left alone.
 */
import { call, concurrencyLimit, ExecutionCancelledError, retry, task } from 'docket';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { Keys } from '../../src/redis/keys.js';
import { importBuilt } from '../support/built.js';
import { collect } from '../support/collect.js';
import { openFleet } from '../support/fleet.js';
import { runDocket } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { findLost, mendLost } =
  await importBuilt<typeof import('../../src/redis/sweep-store.js')>('redis/sweep-store.js');

const note = task('note', (_args: {}, { key }) => key);
const LOST = 'its message was lost';

/** Looks at all keys once. */
async function mendAll(redis: Redis, keys: Keys): Promise<{ known: number; unknown: number }> {
  const found = { known: 0, unknown: 0 };
  await redis.del(keys.scan);
  for (let isOver = false; !isOver; ) {
    const { next, known, unknown } = await mendLost(redis, keys);
    found.known += known;
    found.unknown += unknown;
    isOver = next === null;
  }
  return found;
}

/** Looks at all keys, and returns the first that is lost; `null` when there is none. */
async function firstLost(redis: Redis, keys: Keys): Promise<string | null> {
  for (let at: string | null = '0'; at !== null; ) {
    const { next, first }: Awaited<ReturnType<typeof findLost>> = await findLost(redis, keys, at);
    if (first !== null) return first;
    at = next;
  }
  return null;
}

describeOnRedis('a worker', (url) => {
  test('fails executions that were queued or running when the streams were deleted, and frees their keys', async () => {
    const fleet = await openFleet(url());
    const { docket, redis, probe, key } = fleet;
    const worker = fleet.command(['--threads', '1', '--concurrency', '1', '--redelivery-timeout', '1s']);
    await worker.ready();
    const running = await docket.add('hold', { probe }, { key: 'running' });
    await fleet.step('start running 1');
    const queued = await Promise.all(
      Array.from({ length: 300 }, (_, i) => docket.add('noop', {}, { key: `queued ${i}` })),
    );
    const results = [running, ...queued].map((execution) => expect(execution.result()).rejects.toThrow(LOST));
    await redis.del(key('work'), key('front'));
    await Promise.all(results);
    for (const name of ['running', 'queued 0', 'queued 299']) {
      expect(await redis.hget(key(`run:${name}`), 's')).toBe('failed');
      expect(await redis.pttl(key(`run:${name}`))).toBeGreaterThan(0);
    }
    await fleet.release();
    const again = await docket.add('echo', { value: 'again' }, { key: 'running' });
    expect([again.disposition, await again.result()]).toEqual(['scheduled', 'again']);
    expect(worker.lines.some(({ level, message }) => level === 'error' && message.includes('were deleted'))).toBe(true);
  });

  test('runs the executions of a schedule that was deleted', async () => {
    const fleet = await openFleet(url());
    const { docket, redis, probe, key } = fleet;
    const lean = fleet.with({ executionTtl: 0 });
    const executions = await Promise.all([
      docket.add('counted', { probe }, { key: 'kept', when: '2s' }),
      lean.add('counted', { probe }, { when: '2s' }),
    ]);
    await redis.del(key('schedule'));
    const worker = fleet.command(['--redelivery-timeout', '1s']);
    await worker.ready();
    await waitFor(async () => Object.keys(await fleet.counts()).length === 2);
    expect(await fleet.counts()).toEqual(Object.fromEntries(executions.map((execution) => [execution.key, 1])));
    await executions[0].result();
  });
});

describeEachServer('an execution', (url) => {
  const stage = setStage(url);

  test('that has its place is left alone, wherever it is', async () => {
    const ending = deferred();
    const limited = task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async () => await ending.promise);
    const docket = stage.docket();
    const lean = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    for (const one of [docket, lean]) {
      await one.add(limited);
      await one.add(limited);
      await one.add(note, {}, { when: '1h' });
    }
    stage.work({ limited }, { concurrency: 3 });
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 3);
    await docket.add('nobody has this', {}, { key: 'queued' });
    const ended = await docket.add(note, {}, { key: 'ended', when: '1h' });
    await ended.cancel();
    expect(await mendAll(redis, keys)).toEqual({ known: 0, unknown: 0 });
    expect(await firstLost(redis, keys)).toBeNull();
    ending.resolve();
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 0);
    await docket.clear();
  });

  test('that moves from place to place never counts as lost', async () => {
    const limits = [concurrencyLimit({ max: 3 })];
    const moving = task('moving', { limits, retry: retry({ attempts: 3, delay: 5 }) }, (_args: {}, { attempt }) => {
      if (attempt < 3) throw new Error('again');
    });
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    stage.work({ moving }, { concurrency: 8 });
    const calls = Array.from({ length: 200 }, (_, i) => call(moving, {}, i % 2 ? { when: i } : {}));
    const running = Promise.all((await docket.addMany(calls)).map((execution) => execution.result()));
    let isOver = false;
    void running.then(() => {
      isOver = true;
    });
    while (!isOver) expect(await mendAll(redis, keys)).toEqual({ known: 0, unknown: 0 });
    await running;
  });

  test('whose place at a limit is gone takes its permit when one is free', async () => {
    const ending = deferred();
    const limited = task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async (_args: {}, { key }) => {
      await ending.promise;
      return key;
    });
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    stage.work({ limited }, { concurrency: 3 });
    const [first, second] = [await docket.add(limited, {}, { key: '1' }), await docket.add(limited, {}, { key: '2' })];
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 1);
    await redis.del(keys.limit('limited'), keys.waiting);
    expect(await firstLost(redis, keys)).toBe('2');
    expect(await mendAll(redis, keys)).toEqual({ known: 1, unknown: 0 });
    ending.resolve();
    expect(await Promise.all([first.result(), second.result()])).toEqual(['1', '2']);
  });

  test.each([
    ['its message', 'message'],
    ['all that was parked of it', 'all'],
    ['its place to another program', 'taken'],
  ])(
    'that waits for a permit and has lost %s is kept as a failure, and the next one gets the permit',
    async (_, how) => {
      const ending = deferred();
      const limited = task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async (_args: {}, { key }) => {
        await ending.promise;
        return key;
      });
      const docket = stage.docket();
      const redis = await stage.redis();
      const keys = keysOf(stage.name);
      stage.work({ limited }, { concurrency: 4 });
      const first = await docket.add(limited, {}, { key: 'first' });
      await waitFor(async () => (await docket.snapshot()).totals.running === 1);
      const recorded = await docket.add(limited, {}, { key: 'lost' });
      const lean = await stage.docket({ executionTtl: 0 }).add(limited);
      await waitFor(async () => (await docket.snapshot()).totals.waiting === 2);
      const last = await docket.add(limited, {}, { key: 'last' });
      await waitFor(async () => (await docket.snapshot()).totals.waiting === 3);
      for (const parked of [keys.record(recorded.key), keys.parked(lean.key)]) {
        if (how === 'message') await redis.hdel(parked, 'm');
        else await redis.del(parked);
        if (how === 'taken') await redis.set(parked, 'of another program');
      }
      ending.resolve();
      expect(await Promise.all([first.result(), last.result()])).toEqual(['first', 'last']);
      await waitFor(async () => (await collect(docket.failures())).length === 2);
      const lost = await collect(docket.failures());
      expect(lost.map(({ key, kind }) => [key, kind]).toSorted()).toEqual(
        [
          ['lost', 'quarantined'],
          [lean.key, 'quarantined'],
        ].toSorted(),
      );
      if (how === 'message') expect((await stage.record('lost')).s).toBe('failed');
      await redis.del(keys.record(recorded.key), keys.parked(lean.key));
    },
  );

  test('that has lost its message and its place is kept as a failure, also without a record', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    const recorded = await docket.add(note, {}, { key: 'recorded', when: '1h' });
    const lean = await stage.docket({ executionTtl: 0 }).add(note, {}, { when: '1h' });
    await redis.hdel(keys.record(recorded.key), 'm');
    await redis.hdel(keys.parked(lean.key), 'm');
    await redis.del(keys.schedule);
    expect(await mendAll(redis, keys)).toEqual({ known: 0, unknown: 2 });
    const failures = await collect(docket.failures());
    expect(failures.map(({ key, task, reason }) => [key, task, reason]).toSorted()).toEqual(
      [
        ['recorded', 'note', LOST],
        [lean.key, null, LOST],
      ].toSorted(),
    );
    expect(await redis.exists(keys.parked(lean.key))).toBe(0);
  });

  test('that was cancelled and has lost its entry ends as cancelled', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    const running = async (key: string) => {
      const execution = await docket.add(note, {}, { key });
      await redis.hset(keys.record(key), 's', 'running');
      return execution;
    };
    const executions = [await running('before'), await running('after')];
    await docket.cancel('before');
    await redis.del(keys.work);
    await docket.cancel('after');
    expect(await mendAll(redis, keys)).toEqual({ known: 0, unknown: 1 });
    for (const execution of executions) await expect(execution.result()).rejects.toThrow(ExecutionCancelledError);
  });

  test('fails if its record names something that is no entry', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await docket.add(note, {}, { key: 'k' });
    await redis.del(keys.work);
    await redis.hset(keys.record('k'), 'e', 'nonsense');
    expect(await mendAll(redis, keys)).toEqual({ known: 0, unknown: 1 });
    expect(await stage.record('k')).toMatchObject({ s: 'failed', y: LOST });
  });

  test('that is found on a later page is repaired by the worker that looks at that page', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await Promise.all(Array.from({ length: 700 }, (_, i) => docket.add(note, {}, { key: `${i}` })));
    await redis.del(keys.work);
    const pages: number[] = [];
    for (let isOver = false; !isOver; ) {
      const { next, unknown } = await mendLost(redis, keys);
      pages.push(unknown);
      isOver = next === null;
    }
    expect(pages.reduce((sum, unknown) => sum + unknown)).toBe(700);
    expect(pages.length).toBeGreaterThan(1);
  });
});

describeOnRedis('a page of all keys', (url) => {
  test('ends early where the messages are long, for they are copied to see that they are there', async () => {
    const fleet = await openFleet(url());
    const { docket, redis } = fleet;
    const keys = keysOf(fleet.name);
    const text = 'x'.repeat(256 * 1024);
    const countPages = async () => {
      let pages = 1;
      for (let at = '0'; ; pages++) {
        const { next, known, unknown } = await findLost(redis, keys, at);
        expect([known, unknown]).toEqual([0, 0]);
        if (next === null) return pages;
        at = next;
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, i) => docket.add('nobody has this', {}, { key: `${i}` })));
    const short = await countPages();
    for (let i = 0; i < 64; i++) await docket.replace('nobody has this', { text }, { key: `${i}` });
    expect(await countPages()).toBeGreaterThan(short + 3);
    await docket.clear();
  });
});

describeOnRedis('docket doctor', (url) => {
  test('says that executions have lost their entries', async () => {
    const fleet = await openFleet(url());
    const examine = async () => {
      const { output } = await runDocket(['doctor', '--json', '--url', url(), '--docket', fleet.name]);
      const { checks } = JSON.parse(output) as { checks: { check: string }[] };
      return checks.find(({ check }) => check === 'lost executions');
    };
    const { key } = await fleet.docket.add('noop', {}, { key: 'k' });
    expect(await examine()).toMatchObject({ status: 'ok' });
    await fleet.redis.del(fleet.key('work'));
    expect(await examine()).toMatchObject({
      status: 'warn',
      detail: `executions whose entries were deleted: 1, such as ${key}`,
      advice: expect.stringContaining('start a worker'),
    });
    expect(await fleet.redis.hget(fleet.key('run:k'), 's')).toBe('queued'); // it only looks
    fleet.leavesWork();
  });
});
