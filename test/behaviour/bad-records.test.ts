/**
 * Records and limits that are not as docket writes them: keys of another type, missing fields, text in place of numbers.
 * Code that handles many executions at once handles the others as if the bad one were not there.
 */
import { concurrencyLimit, cooldown, debounce, perpetual, RedisUnavailableError, rateLimit, retry, task } from 'docket';
import type { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import type { Seed } from '../../src/redis/chain-store.js';
import type { Token } from '../../src/redis/delivery-store.js';
import { PRIORITY } from '../../src/redis/schema.js';
import { importBuilt } from '../support/built.js';
import { openFleet } from '../support/fleet.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { ensureGroups, redeliver } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { beginSweep } = await importBuilt<typeof import('../../src/redis/sweep-store.js')>('redis/sweep-store.js');
const { heartbeat, liveLeases } =
  await importBuilt<typeof import('../../src/redis/fleet-store.js')>('redis/fleet-store.js');
const { seedChains } = await importBuilt<typeof import('../../src/redis/chain-store.js')>('redis/chain-store.js');
const { reportProgress } =
  await importBuilt<typeof import('../../src/redis/progress-store.js')>('redis/progress-store.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

const note = task('note', (_args: {}, { key }) => key);
const KEYS = ['a', 'bad', 'c'] as const;
const GOOD = ['a', 'c'] as const;

describeOnRedis('a worker', (url) => {
  test('runs each due execution once although one of their records is not a hash', async () => {
    const fleet = await openFleet(url());
    const { docket, redis, probe, key } = fleet;
    const names = Array.from({ length: 40 }, (_, i) => `k${i}`);
    const executions = await Promise.all(
      names.map((name) => docket.add('counted', { probe }, { key: name, when: '1h' })),
    );
    await redis.set(key('run:k20'), 'no record', 'EX', 600);
    await redis.zadd(key('schedule'), ...names.flatMap((name, i) => [i + 1, `k${name}`])); // all due, the bad one midway
    const worker = fleet.command();
    await worker.ready();
    const good = executions.filter((execution) => execution.key !== 'k20');
    await Promise.all(good.map((execution) => execution.result()));
    expect(await fleet.counts()).toEqual(Object.fromEntries(good.map((execution) => [execution.key, 1])));
    expect(await redis.zcard(key('schedule'))).toBe(0);
    expect(await quarantined(redis, key('failures'))).toEqual([['k20', expect.stringContaining('WRONGTYPE')]]);
    const said = await waitFor(() => worker.lines.find(({ message }) => message.includes('are kept as failures')));
    expect(said).toMatchObject({ level: 'error', fields: { errors: [expect.stringMatching(/^k20: WRONGTYPE/)] } });
  });
});

describeEachServer('a record of another type', (url) => {
  const stage = setStage(url);

  /** Adds executions under all keys, and puts something else in the place of the record of one. */
  async function addWithBad(options: { when?: '1h' } = {}) {
    const docket = stage.docket();
    const redis = await stage.redis();
    const executions = await Promise.all(KEYS.map((key) => docket.add(note, {}, { key, ...options })));
    await redis.set(stage.key('run:bad'), 'no record', 'EX', 600);
    return { docket, redis, executions, keys: keysOf(stage.name) };
  }

  test('is quarantined when its entry is claimed', async () => {
    const { redis, executions } = await addWithBad();
    stage.work({ note });
    expect(await Promise.all(executions.filter(({ key }) => key !== 'bad').map((one) => one.result()))).toEqual(GOOD);
    expect(await quarantined(redis, stage.key('failures'))).toEqual([['bad', expect.stringContaining('WRONGTYPE')]]);
    await waitFor(async () => (await redis.xlen(stage.key('work'))) === 0);
  });

  test('is quarantined when it becomes due, and not in the place of what was due before it', async () => {
    const { redis, keys } = await addWithBad({ when: '1h' });
    await ensureGroups(redis, keys);
    const members = [...GOOD, 'bad'].map((key) => `k${key}`);
    await redis.zadd(keys.schedule, ...members.flatMap((member, i) => [i + 1, member]));
    await moveDue(redis, keys);
    expect(await quarantined(redis, keys.failures)).toEqual([['bad', expect.stringContaining('WRONGTYPE')]]);
    expect(await redis.xlen(keys.work)).toBe(2);
    await stage.finish({ note });
  });

  test('is quarantined when its entry is redelivered', async () => {
    const { redis, keys } = await addWithBad();
    await ensureGroups(redis, keys);
    await redis.xreadgroup('GROUP', 'workers', 'dead', 'STREAMS', keys.work, '>');
    const tokens = (await redis.xrange(keys.work, '-', '+')).map(([id]): Token => `w${id}`);
    await waitFor(async () => {
      await redeliver(redis, keys, 1, tokens);
      return (await redis.xlen(keys.work)) === 0;
    });
    expect(await redis.xlen(keys.front)).toBe(2);
    expect(await quarantined(redis, keys.failures)).toEqual([['bad', expect.stringContaining('WRONGTYPE')]]);
    await stage.finish({ note });
  });

  test('keeps the next run of a chain as a failure, with its key and priority', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    const chained = task('chained', { perpetual: perpetual({ every: '1h' }) }, async () => {
      await redis.del(keys.record('k'));
      await redis.set(keys.record('k'), 'not docket', 'EX', 600);
    });
    await docket.add(chained, {}, { key: 'k', priority: 'low' });
    stage.work({ chained });
    expect(await quarantined(redis, keys.failures)).toEqual([['k', expect.stringContaining('WRONGTYPE')]]);
    const [[, fields]] = (await redis.xrange(keys.failures, '-', '+')) as [[string, string[]]];
    expect(fields[fields.indexOf('priority') + 1]).toBe(PRIORITY.low);
    await redis.del(keys.chains);
  });

  test.each([{}, { when: '1h' } as const])('keeps nothing else from being cleared (%o)', async (options) => {
    const { docket, redis } = await addWithBad(options);
    expect(await docket.clear()).toBe(2);
    await redis.del(stage.key('work'), stage.key('schedule'));
  });

  test('keeps nothing else out of a snapshot', async () => {
    const { docket, redis } = await addWithBad({ when: '1h' });
    const { future, totals } = await docket.snapshot();
    expect([future.map(({ key }) => key), totals.scheduled]).toEqual([GOOD, 3]);
    await redis.del(stage.key('schedule'), ...GOOD.map((key) => stage.key(`run:${key}`)));
  });

  test('refuses all adds that travel with the add of its key, and writes none of them', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await redis.set(stage.key('run:bad'), 'no record', 'EX', 600);
    const adding = await Promise.allSettled(KEYS.map((key) => docket.add(note, {}, { key })));
    for (const one of adding) {
      expect(one).toMatchObject({ status: 'rejected', reason: expect.any(RedisUnavailableError) });
      expect((one as PromiseRejectedResult).reason.message).toContain(stage.key('run:bad'));
    }
    expect(await redis.exists(...GOOD.map((key) => stage.key(`run:${key}`)), stage.key('work'))).toBe(0);
  });

  test('keeps no other chain from being started', async () => {
    const redis = await stage.redis();
    await redis.set(stage.key('run:bad'), 'no record', 'EX', 600);
    const seeds = KEYS.map(
      (name): Seed => ({
        ...{ task: name, fingerprint: '1', dueMs: null, retimedInMs: null, message: Buffer.from(name), chain: '{}' },
      }),
    );
    const { tasks, errors } = (await seedChains(redis, keysOf(stage.name), seeds, {
      isStarting: true,
      strikes: null,
    }))!;
    expect([tasks, errors]).toEqual([GOOD, [expect.stringMatching(/^bad: .*WRONGTYPE/)]]);
  });

  test('keeps the progress of nothing else from being written', async () => {
    const { redis, keys } = await addWithBad();
    const reports = [];
    for (const name of KEYS) {
      const token = (name === 'bad' ? 'w1-1' : await redis.hget(keys.record(name), 'e')) as Token;
      reports.push({ record: name, token, current: 7, total: undefined, message: undefined });
    }
    await reportProgress(redis, keys, reports);
    expect(await Promise.all(GOOD.map((name) => redis.hget(keys.record(name), 'i')))).toEqual(['7', '7']);
  });

  test('keeps no other waiter from its permit', async () => {
    const ending = deferred();
    const limited = task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async (_args: {}, { key }) => {
      await ending.promise;
      return key;
    });
    const docket = stage.docket();
    const redis = await stage.redis();
    stage.work({ limited }, { concurrency: 10 });
    const executions = [];
    for (const key of ['first', ...KEYS]) executions.push(await docket.add(limited, {}, { key }));
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 3);
    await redis.set(stage.key('run:bad'), 'no record', 'EX', 600);
    ending.resolve();
    const good = executions.filter(({ key }) => key !== 'bad');
    expect(await Promise.all(good.map((one) => one.result()))).toEqual(['first', ...GOOD]);
  });
});

describeEachServer('an execution without a record', (url) => {
  const stage = setStage(url);
  const hour = '1h' as const;
  const tasks = {
    rated: task('rated', { limits: [rateLimit({ max: 1, per: hour })] }, () => {}),
    limited: task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async () => await ending.promise),
    settling: task('settling', { limits: [debounce({ settle: hour })] }, () => {}),
    failing: task('failing', { retry: retry({ attempts: 2, delay: hour }) }, () => {
      throw new Error('again');
    }),
    chained: task('chained', { perpetual: perpetual({ every: hour }) }, () => {}),
  };
  let ending = deferred();

  test.each([
    ['rated', 2],
    ['limited', 2],
    ['settling', 1],
    ['failing', 1],
    ['chained', 1],
  ] as const)('is quarantined when it cannot be parked (%s)', async (name, count) => {
    ending = deferred();
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    const executions = [];
    for (let i = 0; i < count; i++) executions.push(await docket.add(tasks[name]));
    for (const { key } of executions) await redis.set(keys.parked(key), 'not docket', 'EX', 600);
    stage.work(tasks, { concurrency: 4 });
    expect(await quarantined(redis, keys.failures)).toEqual([
      [executions.at(-1)!.key, expect.stringContaining('WRONGTYPE')],
    ]);
    const [[, fields]] = (await redis.xrange(keys.failures, '-', '+')) as [[string, string[]]];
    expect(fields[fields.indexOf('message') + 1]).toContain(executions.at(-1)!.key);
    expect(fields[fields.indexOf('lean') + 1]).toBe('1');
    ending.resolve();
  });

  test('is redelivered though its rate limit has a key of another type for its bookings', async () => {
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await ensureGroups(redis, keys);
    await redis.set(keys.booked('busy'), 'no bookings', 'EX', 600);
    const id = await redis.xadd(keys.work, '*', 'm', 'a message', 'u', '1 busy');
    await redis.xreadgroup('GROUP', 'workers', 'dead', 'STREAMS', keys.work, '>');
    await waitFor(async () => (await redeliver(redis, keys, 1, [`w${id}`])) === 1);
    const [[, fields]] = (await redis.xrange(keys.front, '-', '+')) as [[string, string[]]];
    expect(fields).toEqual(expect.arrayContaining(['m', 'a message', 'u', '1 busy']));
    await redis.del(keys.front);
  });

  test('is redelivered though its booking cannot be read', async () => {
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await ensureGroups(redis, keys);
    const id = await redis.xadd(keys.work, '*', 'm', 'a message', 'u', 'unreadable');
    await redis.xreadgroup('GROUP', 'workers', 'dead', 'STREAMS', keys.work, '>');
    await waitFor(async () => (await redeliver(redis, keys, 1, [`w${id}`])) === 1);
    const [[, fields]] = (await redis.xrange(keys.front, '-', '+')) as [[string, string[]]];
    expect(fields).toEqual(expect.arrayContaining(['m', 'a message', 'u', 'unreadable']));
    await redis.del(keys.front);
  });

  test('is quarantined when there is no stream on which it could be redelivered', async () => {
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await ensureGroups(redis, keys);
    const id = await redis.xadd(keys.work, '*', 'm', 'a message');
    await redis.xreadgroup('GROUP', 'workers', 'dead', 'STREAMS', keys.work, '>');
    await redis.set(keys.front, 'no stream');
    await waitFor(async () => {
      expect(await redeliver(redis, keys, 1, [`w${id}`])).toBe(0);
      return (await redis.xlen(keys.work)) === 0;
    });
    const [[, fields]] = (await redis.xrange(keys.failures, '-', '+')) as [[string, string[]]];
    expect(fields).toEqual(expect.arrayContaining(['a message', expect.stringContaining('WRONGTYPE')]));
    await redis.del(keys.front);
  });
});

describeEachServer('what a worker reports', (url) => {
  const stage = setStage(url);

  test('may be gone or of another type without stopping the sweeps of the others', async () => {
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await ensureGroups(redis, keys);
    const report = {
      name: 'slow',
      threads: 1,
      concurrency: 1,
      running: 0,
      tasks: [],
      leaseMs: 60_000,
      canClaim: true,
      hasFallback: false,
    };
    for (const consumer of ['bad', 'slow']) await heartbeat(redis, keys, { consumer, ttlMs: 60_000 }, report);
    await redis.set(keys.worker('bad'), 'no report', 'EX', 600);
    await redis.hset(keys.permits, 'not a token', 'limit none');
    expect(await liveLeases(redis, keys, Date.now())).toEqual(
      new Map([
        ['bad', 0],
        ['slow', 60_000],
      ]),
    );
    expect(await beginSweep(redis, keys, { pauseMs: 1, cursor: '0' })).toMatchObject({ cursor: '0' });
    expect(await redis.hlen(keys.permits)).toBe(0);
  });

  test('says when the schedule must be looked at next, and is written whatever has become of the schedule', async () => {
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await ensureGroups(redis, keys);
    const report = {
      ...{ name: 'w', threads: 1, concurrency: 1, running: 0, tasks: [], leaseMs: 60_000 },
      ...{ canClaim: true, hasFallback: false },
    };
    const beat = async () => (await heartbeat(redis, keys, { consumer: 'w', ttlMs: 60_000 }, report)).nextInMs;
    expect(await beat()).toBeNull();
    await redis.zadd(keys.schedule, Date.now() + 3_600_000, 'klater');
    expect(await beat()).toBeGreaterThan(3_000_000);
    await redis.zadd(keys.wakes, 0, 'a limit with waiters');
    expect(await beat()).toBe(0);
    await redis.del(keys.wakes);
    await redis.zadd(keys.schedule, 1, 'kdue');
    expect(await beat()).toBe(0);
    await redis.set(keys.schedule, 'no schedule');
    expect(await beat()).toBeNull();
    await redis.del(keys.schedule);
  });
});

describeEachServer('a record that has lost', (url) => {
  const stage = setStage(url);

  const limits = [
    cooldown({ window: '1s' }),
    debounce({ settle: 1 }),
    rateLimit({ max: 9, per: 9 }),
    concurrencyLimit({ max: 1 }),
  ];
  const limited = task('limited', { limits }, (_args: {}, { key }) => key);

  describe.each([
    ['without limits', { note }],
    ['with limits', { limited }],
  ] as const)('%s', (_, tasks) => {
    const [run] = Object.values(tasks);

    test.each([
      ['its generation', 'g', undefined],
      ['a number for its generation', 'g', 'many'],
      ['its task', 't', undefined],
    ])('%s is run, also while somebody listens', async (_lost, field, value) => {
      const docket = stage.docket();
      const redis = await stage.redis();
      await redis.set(stage.key('listeners'), '1', 'EX', 60);
      await docket.add(run.name, {}, { key: 'k' });
      if (value === undefined) await redis.hdel(stage.key('run:k'), field);
      else await redis.hset(stage.key('run:k'), field, value);
      await stage.finish(tasks);
      expect(await stage.record('k')).toMatchObject({ s: 'completed' });
    });
  });

  test('its message while it waits for a permit fails, and the waiters behind it run', async () => {
    const ending = deferred();
    const limited = task('limited', { limits: [concurrencyLimit({ max: 1 })] }, async (_args: {}, { key }) => {
      await ending.promise;
      return key;
    });
    const docket = stage.docket();
    const redis = await stage.redis();
    stage.work({ limited }, { concurrency: 10 });
    const executions = [];
    for (const key of ['first', ...KEYS]) executions.push(await docket.add(limited, {}, { key }));
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 3);
    await redis.hdel(stage.key('run:bad'), 'm');
    ending.resolve();
    const good = executions.filter(({ key }) => key !== 'bad');
    expect(await Promise.all(good.map((one) => one.result()))).toEqual(['first', ...GOOD]);
    expect(await stage.record('bad')).toMatchObject({ s: 'failed', y: 'its message was lost' });
  });
});

/** Key and reason of each failure. */
async function quarantined(redis: Redis, stream: string): Promise<string[][]> {
  const entries = (await waitFor(async () => {
    const found = await redis.xrange(stream, '-', '+');
    return found.length > 0 && found;
  })) as [string, string[]][];
  return entries.map(([, fields]) => ['key', 'line'].map((name) => fields[fields.indexOf(name) + 1]!));
}
