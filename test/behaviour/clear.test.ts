/** What `clear()` removes, and what it must leave alone. */

import {
  call,
  concurrencyLimit,
  type Docket,
  debounce,
  type Execution,
  ExecutionCancelledError,
  type LimitPolicy,
  perpetual,
  rateLimit,
  retry,
  task,
} from 'docket';
import { describe, expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { runScript } = await importBuilt<typeof import('../../src/redis/script.js')>('redis/script.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');

const note = task('note', (_args: { n?: number; text?: string }) => {});

/** What a docket without work keeps. */
const AT_REST = ['front', 'generation', 'high', 'low', 'sweeper', 'work', 'workers'];

describeEachServer('clear', (url) => {
  const stage = setStage(url);

  /** A task whose executions tell that they started, and end when they are told to. */
  function holding(limits: LimitPolicy<never>[] = []) {
    const started: string[] = [];
    const ending = deferred();
    const hold = task('hold', { limits }, async (_args: { n?: number }, { key, signal }) => {
      started.push(key);
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        ending.promise.then(resolve);
      });
      return 'done';
    });
    return { hold, started, ending };
  }

  async function left(): Promise<string[]> {
    return (await stage.keys()).filter((key) => !AT_REST.includes(key) && !key.startsWith('worker:'));
  }

  test('removes all that is queued or scheduled, returns the number, and leaves nothing of lean executions', async () => {
    const [careful, lean] = [stage.docket(), stage.docket({ executionTtl: 0 })];
    for (const docket of [careful, lean]) {
      await docket.addMany([call(note), call(note, {}, { key: `k-${docket === lean}` })]);
      await docket.addMany([
        call(note, {}, { when: '1h' }),
        call(note, {}, { key: `later-${docket === lean}`, when: '1h' }),
      ]);
    }
    expect(await careful.clear()).toBe(8);
    expect(await careful.clear()).toBe(0);
    const redis = await stage.redis();
    expect([await redis.xlen(stage.key('work')), await redis.zcard(stage.key('schedule'))]).toEqual([0, 0]);
    const records = await left();
    expect(records).toHaveLength(4);
    for (const key of records) {
      expect(await redis.hgetall(stage.key(key))).toMatchObject({ s: 'cancelled', y: 'cleared', e: '' });
      expect(await redis.pttl(stage.key(key))).toBeGreaterThan(0);
      expect(await redis.hexists(stage.key(key), 'm')).toBe(0);
    }
  });

  test.each([1, 31, 32, 255, 256, 512])(
    'keeps the record for its executionTtl, also if the name of the task has %i bytes',
    async (bytes) => {
      const docket = stage.docket({ executionTtl: '1h' });
      await docket.add(
        task('n'.repeat(bytes), () => {}),
        {},
        { key: 'k' },
      );
      await docket.clear();
      const ttlMs = await (await stage.redis()).pttl(stage.key('run:k'));
      expect(ttlMs).toBeGreaterThan(1_800_000);
      expect(ttlMs).toBeLessThanOrEqual(3_600_000);
    },
  );

  test.each([100, 200, 60_000, 3_600_000, 5_000_000_000])(
    'keeps the record for its executionTtl, however many bytes that takes in the message: %i ms',
    async (executionTtl) => {
      const redis = await stage.redis();
      await stage.docket({ executionTtl }).add(note, {}, { key: 'k' });
      await stage.docket().clear();
      const ttlMs = await redis.pttl(stage.key('run:k'));
      expect(ttlMs).toBeLessThanOrEqual(executionTtl);
      if (executionTtl > 3_000_000) expect(ttlMs).toBeGreaterThan(executionTtl - 1_200_000);
    },
  );

  test('keeps the record for as long as usual when the message was cut off', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(note, {}, { key: 'k' });
    await redis.del(stage.key('work'));
    const id = await redis.xadd(stage.key('work'), '*', 'k', 'k', 'm', Buffer.from([0x97, 1, 0xa1, 0x6e]));
    await redis.hset(stage.key('run:k'), 'e', `w${id}`);
    expect(await docket.clear()).toBe(1);
    expect(await redis.hget(stage.key('run:k'), 's')).toBe('cancelled');
    expect(await redis.pttl(stage.key('run:k'))).toBeGreaterThan(0);
  });

  test('leaves what was placed without a record after the call began', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    await docket.add(note, { n: 1 });
    const [generation, ...lastIds] = (await runScript(redis, 'watermark', [keys.work], [keys.prefix])) as Buffer[];
    await docket.add(note, { n: 2 });
    const args = [keys.prefix, generation!, lastIds.join(' '), 'w', '-', '+', 128];
    const [removed] = (await runScript(redis, 'clear-queued', [keys.work, keys.front, keys.schedule], args)) as [
      number,
    ];
    expect(removed).toBe(1);
    expect(await redis.xlen(keys.work)).toBe(1);
    expect(await docket.clear()).toBe(1);
  });

  test('goes on behind the last member that stayed, though one before it has gone meanwhile', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const keys = keysOf(stage.name);
    for (const key of ['first', 'second']) await docket.add(note, {}, { key, when: '1h' });
    const [generation, ...lastIds] = (await runScript(redis, 'watermark', [keys.work], [keys.prefix])) as Buffer[];
    for (const key of ['last', 'later']) await docket.add(note, {}, { key, when: '2h' });
    let [last, stayed]: unknown[] = ['', '0'];
    const look = async (count: number) => {
      const args = [keys.prefix, generation!, lastIds.join(' '), '', count, String(last), String(stayed)];
      const names = [keys.work, keys.front, keys.schedule];
      const [removed, ...position] = (await runScript(redis, 'clear-parked', names, args)) as [number, Buffer, Buffer];
      [last, stayed] = position;
      return removed;
    };
    expect([await look(2), String(stayed)]).toEqual([0, '2']);
    await docket.cancel('later');
    expect(await look(1)).toBe(1);
    expect((await redis.zrange(keys.schedule, '0', '-1')).sort()).toEqual(['kfirst', 'klast']);
    expect(await look(2)).toBe(1);
    expect(await docket.clear()).toBe(1);
  });

  test('removes what another version has moved, which does not say when it was placed', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    await docket.add(note);
    const [[id, fields]] = (await redis.xrange(stage.key('work'), '-', '+')) as [[string, string[]]];
    await redis.xdel(stage.key('work'), id);
    await redis.xadd(stage.key('front'), '*', ...fields);
    expect(await docket.clear()).toBe(1);
    expect(await redis.xlen(stage.key('front'))).toBe(0);
  });

  test('removes nothing from an empty docket', async () => {
    expect(await stage.docket().clear()).toBe(0);
  });

  test('frees the keys at once, and executions that take them run', async () => {
    const docket = stage.docket();
    await docket.addMany([call(note, { n: 1 }, { key: 'a' }), call(note, { n: 1 }, { key: 'b', when: '1h' })]);
    await docket.clear();
    const ran: (number | undefined)[] = [];
    const again = task('note', ({ n }: { n?: number }) => void ran.push(n));
    const added = await docket.addMany([call(again, { n: 2 }, { key: 'a' }), call(again, { n: 2 }, { key: 'b' })]);
    expect(added.map(({ disposition }) => disposition)).toEqual(['scheduled', 'scheduled']);
    await stage.finish({ note: again });
    expect(ran).toEqual([2, 2]);
  });

  test('tells those who wait for a result that it was cancelled', async () => {
    const docket = stage.docket();
    const added = await docket.addMany([call(note), call(note, {}, { when: '1h' })]);
    const results = added.map((execution) => execution.result().catch((error: unknown) => error));
    await waitFor(async () => (await stage.redis()).exists(stage.key('listeners')));
    await docket.clear();
    for (const error of await Promise.all(results)) expect(error).toBeInstanceOf(ExecutionCancelledError);
    await added[0]!.sync();
    expect(added[0]).toMatchObject({ state: 'cancelled', error: 'cleared' });
    expect(added[0]!.completedAt).toBeInstanceOf(Date);
  });

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'lets running executions go on and end as they would have: %o',
    async (options) => {
      const docket = stage.docket(options);
      const { hold, started, ending } = holding();
      const running = await docket.add(hold);
      stage.work({ hold });
      await waitFor(() => started.length === 1);
      await docket.add(hold, {}, { when: '1h' });
      expect(await docket.clear()).toBe(1);
      ending.resolve();
      if (options.executionTtl !== 0) expect(await running.result()).toBe('done');
      await waitFor(async () => (await (await stage.redis()).xlen(stage.key('work'))) === 0);
      expect(started).toEqual([running.key]);
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'removes waiters, and the permit goes to the next execution: %o',
    async (options) => {
      const docket = stage.docket(options);
      const { hold, started, ending } = holding([concurrencyLimit({ max: 1 })]);
      await docket.add(hold);
      stage.work({ hold }, { concurrency: 4 });
      await waitFor(() => started.length === 1);
      await docket.addMany(Array.from({ length: 5 }, (_, n) => call(hold, { n })));
      const redis = await stage.redis();
      await waitFor(async () => (await redis.zcard(stage.key('limit:hold'))) === 5);
      expect(await docket.clear()).toBe(5);
      expect(await redis.exists(stage.key('limit:hold'), stage.key('waiting'))).toBe(0);
      const next = await docket.add(hold);
      await waitFor(async () => (await redis.zcard(stage.key('limit:hold'))) === 1);
      ending.resolve();
      await waitFor(() => started.includes(next.key));
      await waitFor(async () => (await redis.exists(stage.key('held'), stage.key('slots'))) === 0);
      expect(started).toHaveLength(2);
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'releases the permit of a woken waiter that has not started: %o',
    async (options) => {
      const docket = stage.docket(options);
      const { hold, started, ending } = holding([concurrencyLimit({ max: 1 })]);
      await docket.add(hold);
      // What runs is told to stop after 50 ms; it does, and the drain has the rest for its last commands.
      const worker = stage.work({ hold }, { concurrency: 4, drainTimeout: '10.05s', abortGrace: '10s' });
      await waitFor(() => started.length === 1);
      await docket.add(hold);
      const redis = await stage.redis();
      await waitFor(async () => (await redis.zcard(stage.key('limit:hold'))) === 1);
      await worker.close(); // requeues what runs, and its permit goes to the waiter
      ending.resolve();
      expect(await redis.hgetall(stage.key('held'))).toEqual({ hold: '1' });
      expect(await docket.clear()).toBe(2);
      expect(await redis.exists(stage.key('held'), stage.key('slots'))).toBe(0);
      expect(started).toHaveLength(1);
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'lets a debounce go on whose winner it removed: %o',
    async (options) => {
      const docket = stage.docket(options);
      const ran: (number | undefined)[] = [];
      const save = task(
        'save',
        { limits: [debounce({ settle: '1h' })] },
        async ({ n }: { n?: number }) => void ran.push(n),
      );
      const redis = await stage.redis();
      stage.work({ save }, { schedulingResolution: '20ms' });
      await docket.add(save, { n: 1 });
      await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === 1);
      expect(await docket.clear()).toBe(1);
      expect(await redis.exists(stage.key('debounce:save'))).toBe(0);
      await docket.add(save, { n: 2 });
      const winner = await waitFor(async () => (await redis.zrange(stage.key('schedule'), '0', '0'))[0]);
      await redis.zadd(stage.key('schedule'), 'XX', 1, winner!); // things have settled
      await waitFor(() => ran.length === 1);
      expect(ran).toEqual([2]);
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'lets a debounce go on whose winner was queued already: %o',
    async (options) => {
      const docket = stage.docket(options);
      const save = task('save', { limits: [debounce({ settle: '1h' })] }, async () => {});
      const redis = await stage.redis();
      const worker = stage.work({ save });
      await docket.add(save);
      await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === 1);
      await worker.close();
      const [member] = await redis.zrange(stage.key('schedule'), '0', '0');
      await redis.zadd(stage.key('schedule'), 1, member!); // its time has come
      const moving = stage.work({}); // knows no task: moves it, and puts back what it reads
      await waitFor(async () => (await redis.zscore(stage.key('schedule'), member!)) !== '1');
      await moving.close();
      expect(await docket.clear()).toBe(1);
      expect(await redis.exists(stage.key('debounce:save'))).toBe(0);
    },
  );

  describe.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)('of the bookings of a rate: %o', (options) => {
    const paced = task('paced', { limits: [rateLimit({ max: 1, per: '1h', onExceeded: 'delay' })] }, () => {});

    /** Adds executions of which one runs and the others are booked, an hour apart. */
    async function book(docket: Docket, count: number): Promise<string[]> {
      const redis = await stage.redis();
      const worker = stage.work({ paced });
      await docket.addMany(Array.from({ length: count }, () => call(paced)));
      await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === count - 1);
      await worker.close();
      return await redis.zrange(stage.key('schedule'), '0', '-1');
    }

    /** Lets the time of what was booked come. */
    async function startBooked(members: readonly string[]): Promise<void> {
      const redis = await stage.redis();
      for (const member of members) await redis.zadd(stage.key('schedule'), 1, member);
      await moveDue(redis, keysOf(stage.name));
    }

    test('removes those of removed executions, so that nothing queues behind them', async () => {
      const docket = stage.docket(options);
      const redis = await stage.redis();
      await book(docket, 300);
      expect(await docket.clear()).toBe(299);
      const [, started] = await redis.zrange(stage.key('rate:paced'), '0', '-1', 'WITHSCORES');
      expect(await redis.zcard(stage.key('rate:paced'))).toBe(1);
      expect(await redis.exists(stage.key('booked:paced'))).toBe(0);
      await docket.add(paced);
      stage.work({ paced });
      await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === 1);
      const [, due] = await redis.zrange(stage.key('schedule'), '0', '0', 'WITHSCORES');
      expect(Number(due)).toBe(Number(started) + 3_600_000 + 100); // with the margin for the time to the start
    });

    test('removes that of an execution that is queued already', async () => {
      const docket = stage.docket(options);
      const redis = await stage.redis();
      await startBooked(await book(docket, 2));
      expect(await redis.xlen(stage.key('work'))).toBe(1);
      expect(await docket.clear()).toBe(1);
      expect(await redis.zcard(stage.key('rate:paced'))).toBe(1);
      expect(await redis.exists(stage.key('booked:paced'))).toBe(0);
    });

    test('keeps those of attempts that have run', async () => {
      const docket = stage.docket(options);
      const redis = await stage.redis();
      await startBooked(await book(docket, 2));
      const limits = [rateLimit({ max: 2, per: '1h' })];
      const retried = task('paced', { limits, retry: retry({ attempts: 2, delay: '1h' }) }, () => {
        throw new Error('not yet');
      });
      stage.work({ paced: retried });
      await waitFor(async () => (await redis.zcard(stage.key('schedule'))) === 1);
      expect(await docket.clear()).toBe(1);
      expect(await redis.zcard(stage.key('rate:paced'))).toBe(2);
    });
  });

  test('removes an execution that was read but not claimed if it has a record: the claim is refused', async () => {
    const [careful, lean] = [stage.docket(), stage.docket({ executionTtl: 0 })];
    const redis = await stage.redis();
    await redis.xgroup('CREATE', stage.key('work'), 'workers', '0', 'MKSTREAM');
    const execution = await careful.add(note);
    await lean.add(note);
    await redis.xreadgroup('GROUP', 'workers', 'elsewhere', 'COUNT', 10, 'STREAMS', stage.key('work'), '>');
    expect(await careful.clear()).toBe(1);
    await execution.sync();
    expect(execution.state).toBe('cancelled');
    expect(await redis.xlen(stage.key('work'))).toBe(1); // in a worker's hands, as far as anybody can know
  });

  test('removes an automatic task, which the next worker starts again', async () => {
    const docket = stage.docket();
    const sweep = task('sweep', { perpetual: perpetual({ every: '1h', automatic: true }) }, async () => {});
    await stage.work({ sweep });
    const found = async () => (await docket.getExecution('sweep')) as Execution<unknown> | null;
    await waitFor(async () => (await found())?.state === 'scheduled');
    expect(await docket.clear()).toBe(1);
    expect((await found())?.state).toBe('cancelled');
    await stage.work({ sweep });
    await waitFor(async () => (await found())?.state === 'scheduled');
    await docket.clear();
    await (await stage.redis()).del(stage.key('automatic')); // which is kept for ever
  });

  test('removes long messages in bounded steps', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const text = 'x'.repeat(300_000);
    await docket.addMany(Array.from({ length: 30 }, (_, n) => call(note, { text, n }, n % 2 ? { when: '1h' } : {})));
    expect(await docket.clear()).toBe(30);
  });

  describe.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)('while others go on: %o', (options) => {
    /** More than a script removes; the embedded server takes a millisecond for each. */
    const many = () => (url().startsWith('memory:') ? 300 : 1_500);

    test('leaves what is added after the call, and returns the exact number', async () => {
      const [docket, producer] = [stage.docket(options), stage.docket(options)];
      const redis = await stage.redis();
      const count = many();
      await docket.addMany(Array.from({ length: count }, (_, n) => call(note, { n }, n % 3 ? {} : { when: '1h' })));
      const before = await redis.get(stage.key('generation'));
      let isCleared = false;
      const clearing = docket.clear().finally(() => {
        isCleared = true;
      });
      await waitFor(async () => (await redis.get(stage.key('generation'))) !== before);
      const kept: string[] = [];
      for (let n = 0; !isCleared || n < 30; n++) {
        kept.push((await producer.add(note, { n }, n % 3 ? {} : { when: '50ms' })).key);
      }
      expect(await clearing).toBe(count);
      const ran: string[] = [];
      const again = task('note', (_args: object, { key }) => void ran.push(key));
      await stage.finish({ note: again });
      expect(ran.sort()).toEqual(kept.sort());
    });

    test('neither loses an execution nor lets one run twice', async () => {
      const docket = stage.docket(options);
      const ran = new Set<number>();
      const busy = task('busy', { limits: [concurrencyLimit({ max: 2 })] }, async ({ n }: { n: number }) => {
        ran.add(n);
        await new Promise((resolve) => setTimeout(resolve, 1));
      });
      const free = task('free', ({ n }: { n: number }) => void ran.add(n));
      const count = many();
      const calls = Array.from({ length: count }, (_, n) =>
        call(n % 2 ? busy : free, { n }, n % 5 ? {} : { when: 20 + (n % 50) }),
      );
      stage.work({ busy, free }, { concurrency: 8 });
      await docket.addMany(calls);
      await waitFor(() => ran.size > 100);
      const removed = await docket.clear();
      await stage.finish({ busy, free });
      expect(removed).toBeGreaterThan(0);
      expect(ran.size + removed).toBe(count);
      expect(await (await stage.redis()).exists(stage.key('held'), stage.key('slots'))).toBe(0);
    });
  });
});
