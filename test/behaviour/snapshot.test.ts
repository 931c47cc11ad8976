/** What `snapshot()`, `workers()`, `redis` and `key()` show of a docket. */
import {
  type AnyTask,
  call,
  concurrencyLimit,
  DocketClosedError,
  debounce,
  InvalidOptionError,
  rateLimit,
  task,
} from 'docket';
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number; text?: string }) => {});
type Raw = [id: Buffer, fields: Buffer[]];
const EMPTY = { queued: 0, scheduled: 0, waiting: 0, paused: 0, running: 0, failures: 0 };

describeEachServer('a snapshot', (url) => {
  const stage = setStage(url);

  test('of an unused docket is empty', async () => {
    const snapshot = await stage.docket().snapshot();
    expect(snapshot).toMatchObject({
      totals: EMPTY,
      queued: [],
      future: [],
      running: [],
      waiting: [],
      pauses: [],
      workers: [],
    });
    expect(Math.abs(snapshot.taken.getTime() - Date.now())).toBeLessThan(20_000);
  });

  test('counts what is queued and scheduled, and lists the future, earliest first', async () => {
    const [careful, lean] = [stage.docket(), stage.docket({ executionTtl: 0 })];
    await careful.addMany([call(note), call(note), call(note, {}, { key: 'second', when: '2h' })]);
    const first = await lean.add(note, { text: 'x'.repeat(100_000) }, { when: '1h' });
    await lean.add(note);
    const { totals, future } = await careful.snapshot();
    expect(totals).toEqual({ ...EMPTY, queued: 3, scheduled: 2 });
    expect(future).toEqual([
      {
        key: first.key,
        task: 'note',
        attempt: 1,
        priority: 'normal',
        when: first.when,
        hasWorker: false,
        waitingFor: null,
      },
      {
        key: 'second',
        task: 'note',
        attempt: 1,
        priority: 'normal',
        when: future[1]!.when,
        hasWorker: false,
        waitingFor: null,
      },
    ]);
    await careful.clear();
    expect((await careful.snapshot()).totals).toEqual(EMPTY);
  });

  test('lists queued executions in the order in which they are read, without those that a worker has', async () => {
    const [careful, lean] = [stage.docket(), stage.docket({ executionTtl: 0 })];
    const redis = await stage.redis();
    await careful.add(note, {}, { key: 'read' });
    await careful.add(note, {}, { key: 'next' });
    const nameless = await lean.add(note, { n: 1 });
    const [, , [id, fields]] = (await redis.xrangeBuffer(stage.key('work'), '-', '+')) as [unknown, unknown, Raw];
    await redis.xdel(stage.key('work'), id);
    await redis.xadd(stage.key('front'), '*', ...fields, 'w', '86400000'); // as one that was handed back
    const keysOf = async (limit?: number) => {
      const { queued } = await careful.snapshot(limit === undefined ? {} : { limit });
      return queued.map(({ key }) => key);
    };
    expect(await keysOf()).toEqual([nameless.key, 'read', 'next']);

    await redis.xgroup('CREATE', stage.key('work'), 'workers', '0');
    await redis.xreadgroup('GROUP', 'workers', 'erna:1', 'COUNT', 1, 'STREAMS', stage.key('work'), '>');
    const { totals, queued, running } = await careful.snapshot();
    expect(totals).toEqual({ ...EMPTY, queued: 2, running: 1 });
    expect(running).toMatchObject([{ key: 'read', worker: 'erna' }]);
    expect(queued).toEqual([
      { key: nameless.key, task: 'note', attempt: 1, priority: 'normal', when: new Date(86_400_000), hasWorker: false },
      { key: 'next', task: 'note', attempt: 1, priority: 'normal', when: expect.any(Date), hasWorker: false },
    ]);
    expect(Math.abs(queued[1]!.when.getTime() - Date.now())).toBeLessThan(20_000);
    expect([await keysOf(1), await keysOf(0)]).toEqual([[nameless.key], []]);
    await careful.clear();
  });

  test('lists fewer queued executions when messages are long', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 40 }, () => call(note, { text: 'x'.repeat(100_000) })));
    const { totals, queued } = await docket.snapshot();
    expect([totals.queued, queued.length]).toEqual([40, 16]);
    await docket.clear();
  });

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'shows what runs where, since when, and which limit a waiter waits for: %o',
    async (options) => {
      const docket = stage.docket(options);
      const [started, ending] = [deferred(), deferred()];
      const hold = task('hold', { limits: [concurrencyLimit('who', { max: 1 })] }, async (_: { who: string }) => {
        started.resolve();
        await ending.promise;
      });
      const running = await docket.add(hold, { who: 'ada' }, { key: 'runs' });
      const worker = stage.work({ hold }, { concurrency: 4 });
      await started.promise;
      const second = await docket.add(hold, { who: 'ada' });
      await waitFor(async () => (await docket.snapshot()).totals.waiting === 1);
      const snapshot = await docket.snapshot();
      expect(snapshot.totals).toEqual({ ...EMPTY, running: 1, waiting: 1 });
      expect(snapshot.running).toEqual([
        { key: 'runs', task: 'hold', attempt: 1, priority: 'normal', worker: worker.name, since: expect.any(Date) },
      ]);
      const waitingFor = 'hold:who:s=ada';
      expect(snapshot.waiting).toEqual([
        { key: second.key, task: 'hold', attempt: 1, priority: 'normal', waitingFor, isPaused: false },
      ]);
      await running.sync();
      expect(running.waitingFor).toBeNull();
      expect(snapshot.running[0]!.since).toEqual(running.startedAt);
      if (options.executionTtl !== 0) {
        const found = await docket.getExecution(second.key);
        expect(found).toMatchObject({ state: 'queued', waitingFor });
      }
      ending.resolve();
      await waitFor(async () => {
        const { totals } = await docket.snapshot();
        return totals.running + totals.waiting + totals.queued === 0;
      });
      if (options.executionTtl !== 0) {
        await second.sync();
        expect(second).toMatchObject({ state: 'completed', waitingFor: null });
      }
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'names the rate limit or the debounce for which an execution waits: %o',
    async (options) => {
      const docket = stage.docket(options);
      const tasks = {
        paced: task('paced', { limits: [rateLimit('who', { max: 1, per: '1h' })] }, (_: { who: string }) => {}),
        settling: task('settling', { limits: [debounce({ settle: '1h' })] }, () => {}),
      };
      await docket.add(tasks.paced, { who: 'ada' });
      stage.work(tasks, { concurrency: 4 });
      await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.queued === 0);
      const settling = await docket.add(tasks.settling);
      const paced = await docket.add(tasks.paced, { who: 'ada' });
      await waitFor(async () => (await docket.snapshot()).future.length === 2);
      const { future } = await docket.snapshot();
      const waits = Object.fromEntries(future.map(({ key, waitingFor }) => [key, waitingFor]));
      expect(waits).toEqual({ [settling.key]: 'settling', [paced.key]: 'paced:who:s=ada' });
      if (options.executionTtl !== 0) {
        for (const [key, waitingFor] of Object.entries(waits)) {
          expect(await docket.getExecution(key)).toMatchObject({ state: 'scheduled', waitingFor });
        }
      }
      await docket.clear();
    },
  );

  test('names the worker of a lean execution, but not since when', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async () => {
      started.resolve();
      await ending.promise;
    });
    const { key } = await docket.add(hold);
    const worker = stage.work({ hold }, { name: 'host:with:colons#1' });
    await started.promise;
    const { running } = await docket.snapshot();
    expect(running).toEqual([{ key, task: 'hold', attempt: 1, priority: 'normal', worker: worker.name, since: null }]);
    ending.resolve();
    await waitFor(async () => (await docket.snapshot()).totals.running === 0);
  });

  test('has as many entries as asked for, and exact totals', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(note, { n }, n % 2 ? { when: '1h' } : {})));
    for (const limit of [0, 7, 150]) {
      const { totals, queued, future } = await docket.snapshot({ limit });
      expect([totals.queued, totals.scheduled]).toEqual([150, 150]);
      expect([queued.length, future.length]).toEqual([limit, limit]);
    }
    expect((await docket.snapshot()).future).toHaveLength(100);
    await docket.clear();
  });

  test.each([-1, 1.5, 1_001, Number.NaN])('refuses a limit of %s', async (limit) => {
    await expect(stage.docket().snapshot({ limit })).rejects.toThrow(InvalidOptionError);
  });

  test('counts the failures that are kept', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    for (const m of ['nonsense', 'gibberish']) await redis.xadd(stage.key('work'), '*', 'm', m);
    stage.work({ note });
    await expect.poll(async () => (await docket.snapshot()).totals.failures).toBe(2);
  });

  test('lists the workers with what they can run, and those of a task', async () => {
    const docket = stage.docket({ heartbeatInterval: '100ms' });
    const other = task('other', () => {});
    const one = stage.work({ note }, { concurrency: 3 }, docket);
    const both = stage.work({ note, other }, { name: 'both' }, docket);
    await waitFor(async () => (await docket.workers()).length === 2);
    const workers = (await docket.workers()).sort((a, b) => a.concurrency - b.concurrency);
    expect(workers.map(({ name }) => name)).toEqual(['both', one.name]);
    expect(workers[1]).toMatchObject({ threads: 0, concurrency: 3, running: 0 });
    expect(workers[1]!.tasks).toContain('note');
    expect(workers[1]).toMatchObject({ version: expect.stringMatching(/^\d+\./), nodeVersion: process.version });
    expect(workers[1]!.id).toContain(`${one.name}:`);
    expect(workers[1]!.expiresAt.getTime() - workers[1]!.lastSeen.getTime()).toBe(500);
    expect((await docket.snapshot()).workers).toHaveLength(2);
    expect((await docket.taskWorkers('note')).length).toBe(2);
    expect((await docket.taskWorkers(other)).map(({ name }) => name)).toEqual(['both']);
    expect(await docket.taskWorkers({ name: 'note' } as AnyTask)).toHaveLength(2); // whatever has a name
    expect(await docket.taskWorkers('nobody')).toEqual([]);
    await both.close();
    expect((await docket.workers()).map(({ name }) => name)).toEqual([one.name]);
  });

  test('says which executions no live worker can run', async () => {
    const docket = stage.docket({ heartbeatInterval: '100ms' });
    const other = task('other', () => {});
    await docket.addMany([call(note, {}, { when: '1h' }), call(other, {}, { when: '2h' })]);
    const able = async () => (await docket.snapshot()).future.map(({ hasWorker }) => hasWorker);
    expect(await able()).toEqual([false, false]);
    const worker = stage.work({ note }, {}, docket);
    await waitFor(async () => (await docket.workers()).length === 1);
    expect(await able()).toEqual([true, false]);
    await worker.close();
    stage.work({ note }, { fallback: note }, docket);
    await waitFor(async () => (await docket.workers()).length === 1);
    expect(await able()).toEqual([true, true]);
    expect((await docket.workers())[0]!.hasFallback).toBe(true);
    expect(await docket.taskWorkers(other)).toHaveLength(1);
    await docket.clear();
  });

  test('leaves out a worker whose heartbeat has expired, without removing it', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await redis.zadd(stage.key('workers'), Date.now() - 60_000, 'gone:1', Date.now() + 60_000, 'unknown:1');
    await redis.hset(stage.key('worker:gone:1'), { name: 'gone', tasks: '[]' });
    expect(await docket.workers()).toEqual([]);
    expect(await redis.zcard(stage.key('workers'))).toBe(2);
    await redis.del(stage.key('workers'), stage.key('worker:gone:1'));
  });
});

describeEachServer("a docket's own connection", (url) => {
  const stage = setStage(url);

  test('can be used for what users keep beside the docket', async () => {
    const docket = stage.docket();
    expect(docket.key('visits')).toBe(`{${stage.name}}:user:visits`);
    const redis = await docket.redis;
    expect(await redis.incr(docket.key('visits'))).toBe(1);
    expect(await docket.redis).toBe(redis);
    await redis.del(docket.key('visits'));
    await docket.add(note);
    expect((await stage.keys()).filter((key) => key.startsWith('user:'))).toEqual([]);
    await docket.clear();
  });

  test('is closed with the docket', async () => {
    const docket = stage.docket();
    const redis = await docket.redis;
    await docket.close();
    expect(redis.status).toBe('end');
    await expect(docket.redis).rejects.toThrow(DocketClosedError);
    for (const look of [docket.snapshot(), docket.workers(), docket.taskWorkers('x'), docket.clear()]) {
      await expect(look).rejects.toThrow(DocketClosedError);
    }
  });

  test.each(['', undefined])('makes no key of %o', async (suffix) => {
    expect(() => stage.docket().key(suffix as string)).toThrow(InvalidOptionError);
  });
});

describeEachServer('a worker', (url) => {
  test('is not listed while its reads are not answered', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: '50ms', missedHeartbeats: 200 });
    const { worker } = await fleet.worker({ threads: 0 });
    await waitFor(async () => (await fleet.docket.workers()).length === 1);
    const intake = await fleet.redis.zrange(fleet.key('workers'), '0', '-1');
    expect(intake).toHaveLength(1);
    // Its streams are of the wrong type: each read fails, while everything else is answered.
    for (const stream of ['work', 'front']) {
      await fleet.redis.del(fleet.key(stream));
      await fleet.redis.set(fleet.key(stream), 'in the way', 'PX', 60_000);
    }
    await waitFor(async () => (await fleet.docket.workers()).length === 0);
    expect(await fleet.redis.zcard(fleet.key('workers'))).toBe(1); // its leases count as before
    for (const stream of ['work', 'front']) await fleet.redis.del(fleet.key(stream));
    await waitFor(async () => (await fleet.docket.workers()).length === 1);
    expect((await fleet.docket.workers())[0]!.name).toBe(worker.name);
  });

  test('is listed while all its threads are busy for long', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: '50ms', missedHeartbeats: 200 });
    await fleet.worker({ threads: 1, minimumCheckInterval: '50ms' });
    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'h' });
    await fleet.step('start h 1');
    const until = Date.now() + 1_500; // longer than reads may take
    await waitFor(async () => {
      expect((await fleet.docket.workers()).length).toBe(1);
      return Date.now() > until;
    });
    expect((await fleet.docket.workers())[0]!.running).toBe(1);
    await fleet.release();
    await waitFor(async () => (await fleet.pending()) === 0);
  });

  test('is not listed while it drains', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: '50ms' });
    const running = await fleet.worker({ threads: 1 });
    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'h' });
    await fleet.step('start h 1');
    const stopping = running.stop();
    await waitFor(async () => (await fleet.docket.workers()).length === 0);
    expect((await fleet.docket.snapshot()).running).toMatchObject([{ key: 'h', worker: running.worker.name }]);
    await fleet.release();
    await stopping;
  });
});
