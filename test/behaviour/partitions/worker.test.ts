/** What a worker does with a docket of four partitions: it reads all of them, and each execution ends where it belongs. */
import { call, concurrencyLimit, ExecutionCancelledError, perpetual, task } from 'docket';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { Keys } from '../../../src/redis/keys.js';
import { importBuilt } from '../../support/built.js';
import { recordingLogger } from '../../support/logger.js';
import { anyTime, divide, entriesOfAll, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeOnRedis } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const { ARRIVAL_FORGOTTEN_MS } = await importBuilt<typeof import('../../../src/redis/schema.js')>('redis/schema.js');
const { lastArrivalMs, place, readDeparting, removeDeparted } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');

const COUNT = 4;
const ALL = [0, 1, 2, 3];
const keysIn = (prefix: string) => ALL.map((partition) => keyIn(partition, COUNT, prefix));

describeOnRedis('in a docket with four partitions, a worker', (url) => {
  const stage = setStage(url);

  async function divided(count = COUNT) {
    const docket = stage.docket();
    await divide(docket, count);
    return { docket: stage.docket(), redis: await stage.redis(), name: stage.name };
  }

  test('runs what is in any of them, until nothing is left in all of them', async () => {
    const { docket, redis, name } = await divided();
    const echo = task('echo', ({ n }: { n: number }) => n);
    const handles = await docket.addMany([
      ...keysIn('k').map((key, n) => call(echo, { n }, { key })),
      ...Array.from({ length: 600 }, (_, n) => call(echo, { n: n + 4 })),
      call(echo, { n: 604 }, { key: keyIn(3, COUNT, 'later'), when: '200ms' }),
    ]);
    expect(Math.min(...(await entriesOfAll(redis, name, COUNT)))).toBeGreaterThan(0);
    await stage.finish({ echo });
    const results = await Promise.all(handles.map((handle) => handle.result()));
    expect(results).toEqual(Array.from({ length: 605 }, (_, n) => n));
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([0, 0, 0, 0]);
  });

  test('keeps a limit in the whole docket, also for executions of a producer that knows only the name of their task', async () => {
    const { redis, name } = await divided();
    const atOnce = new Map<string, number>();
    let most = 0;
    let runs = 0;
    const charge = task('charge', { limits: [concurrencyLimit('customer')] }, async (args: { customer: string }) => {
      const running = (atOnce.get(args.customer) ?? 0) + 1;
      atOnce.set(args.customer, running);
      most = Math.max(most, running);
      runs += 1;
      await new Promise((resolve) => setTimeout(resolve, 2));
      atOnce.set(args.customer, running - 1);
    });
    const args = (n: number) => ({ customer: `c-${n % 3}` });
    const knowing = stage.docket({ tasks: { charge } });
    const unknowing = stage.docket();
    await knowing.addMany(Array.from({ length: 30 }, (_, n) => call(charge, args(n))));
    for (const partition of ALL) {
      const keys = Array.from({ length: 5 }, (_, n) => keyIn(partition, COUNT, `p${n}-`));
      await unknowing.addMany(keys.map((key, n) => call('charge', args(n), { key })));
    }
    await Promise.all([stage.finish({ charge }, { concurrency: 8 }), stage.finish({ charge }, { concurrency: 8 })]);
    expect([runs, most]).toEqual([50, 1]);
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([0, 0, 0, 0]);
  });

  test('moves an execution once, although whoever moved it before died in between', async () => {
    const { redis, name } = await divided();
    const limit = { limits: [concurrencyLimit('customer')] };
    let runs = 0;
    const charge = task('charge', limit, (_args: { customer: string }) => {
      runs += 1;
    });
    await stage.docket().add(charge, { customer: 'c' }, { key: 'probe' });
    const [right] = await placesOf(redis, name, COUNT, 'probe');
    const wrong = (right! + 1) % COUNT;
    const key = keyIn(wrong, COUNT, 'k');
    await stage.docket().add('charge', { customer: 'c' }, { key });
    expect(await placesOf(redis, name, COUNT, key)).toEqual([wrong]);
    const [from, to] = [wrong, right!].map((number) => keysOfAll(name, COUNT)[number]!);
    const token = await redis.hget(from!.record(key), 'e');
    const [tag, tagThere] = [wrong, right!].map((number) => (number === 0 ? '' : String(number))) as [string, string];
    const delivery = { token: token as `w${string}`, key, from: tag, to: tagThere };
    const departing = await readDeparting(redis, from!, delivery);
    expect(await place(redis, to!, departing!, await anyTime(redis, to!))).toBe('placed');
    expect(await place(redis, to!, departing!, await anyTime(redis, to!))).toBe('before');
    expect(await placesOf(redis, name, COUNT, key)).toEqual([wrong, right!].sort());
    await stage.finish({ charge });
    expect(runs).toBe(2); // the probe, and the one that was moved
    expect(await placesOf(redis, name, COUNT, key)).toEqual([right]);
    const record = await stage.docket().getExecution(key);
    expect(record?.state).toBe('completed');
  });

  test('moves an execution as often as workers disagree about its place, and loses it on none of the ways', async () => {
    const { redis, name } = await divided();
    const key = keyIn(0, COUNT);
    await stage.docket().add('note', {}, { key });
    const keys = keysOfAll(name, COUNT);
    for (const [from, to] of [
      [0, 1],
      [1, 0],
      [0, 1],
      [1, 0],
    ] as const) {
      const token = (await redis.hget(keys[from]!.record(key), 'e')) as `w${string}`;
      const [tag, tagThere] = [from, to].map((number) => (number === 0 ? '' : String(number))) as [string, string];
      const departing = await readDeparting(redis, keys[from]!, { token, key, from: tag, to: tagThere });
      expect(await place(redis, keys[to]!, departing!, await anyTime(redis, keys[to]!))).toBe('placed');
      expect(await removeDeparted(redis, keys[from]!, token)).toBe('removed');
      expect(await placesOf(redis, name, COUNT, key)).toEqual([to]);
    }
    await stage.finish({ note: task('note', () => null) });
    expect((await stage.docket().getExecution(key))?.state).toBe('completed');
  });

  test('places nothing that arrives so late that it may have been there, and run', async () => {
    const { redis, name } = await divided();
    const key = keyIn(0, COUNT);
    const [here, there] = keysOfAll(name, COUNT);
    await stage.docket().add('note', {}, { key });
    const departing = await readDeparting(redis, here!, {
      token: await tokenOf(redis, here!, key),
      key,
      from: '',
      to: '1',
    });
    const untilMs = await lastArrivalMs(redis);
    const terms = await anyTime(redis, there!);
    expect(untilMs).toBeLessThan(Date.now() + ARRIVAL_FORGOTTEN_MS);
    expect(await place(redis, there!, departing!, { ...terms, untilMs: untilMs - ARRIVAL_FORGOTTEN_MS })).toBe('late');
    expect(await placesOf(redis, name, COUNT, key)).toEqual([0]);
    expect(await place(redis, there!, departing!, { ...terms, untilMs })).toBe('placed');
  });

  test('loses nothing that comes back before it was removed from where it came', async () => {
    const { redis, name } = await divided();
    let runs = 0;
    const charge = task('charge', { limits: [concurrencyLimit('customer')] }, (_args: { customer: string }) => {
      runs += 1;
    });
    const { key } = await stage.docket().add(charge, { customer: 'c' });
    const [right] = await placesOf(redis, name, COUNT, key);
    const wrong = (right! + 1) % COUNT;
    const [here, there] = [right!, wrong].map((number) => keysOfAll(name, COUNT)[number]!);
    const [tag, tagThere] = [right!, wrong].map((number) => (number === 0 ? '' : String(number))) as [string, string];
    const token = await tokenOf(redis, here!, key);
    // A worker with an old view moves it away, and stands still before it has removed it.
    const departing = await readDeparting(redis, here!, { token, key, from: tag, to: tagThere });
    expect(await place(redis, there!, departing!, await anyTime(redis, there!))).toBe('placed');
    const tokenThere = await tokenOf(redis, there!, key);
    const back = await readDeparting(redis, there!, { token: tokenThere, key, from: tagThere, to: tag });
    expect(await place(redis, here!, back!, await anyTime(redis, here!))).toBe('leaving');
    expect(await removeDeparted(redis, here!, token)).toBe('removed');
    await stage.finish({ charge });
    expect(runs).toBe(1);
    expect((await stage.docket().getExecution(key))?.state).toBe('completed');
  });

  test('does not run again what comes back to where it has ended', async () => {
    const { redis, name } = await divided();
    const key = keyIn(0, COUNT);
    const keys = keysOfAll(name, COUNT);
    await stage.docket().add('note', {}, { key });
    const token = await tokenOf(redis, keys[0]!, key);
    const departing = await readDeparting(redis, keys[0]!, { token, key, from: '', to: '1' });
    expect(await place(redis, keys[1]!, departing!, await anyTime(redis, keys[1]!))).toBe('placed');
    const tokenThere = await tokenOf(redis, keys[1]!, key);
    const back = await readDeparting(redis, keys[1]!, { token: tokenThere, key, from: '1', to: '' });
    await stage.finish({ note: task('note', () => null) }, { partitions: [0] });
    expect(await place(redis, keys[0]!, back!, await anyTime(redis, keys[0]!))).toBe('before');
    expect((await redis.hgetall(keys[0]!.record(key))).s).toBe('completed');
  });

  test('cancels what comes to its partition when the key is taken there', async () => {
    const { redis, name } = await divided();
    const ran: number[] = [];
    const cancelled = deferred();
    const charge = task(
      'charge',
      { limits: [concurrencyLimit('customer')] },
      async ({ n }: { customer: string; n: number }) => {
        ran.push(n);
        // Holds the permit, and so the key with number 1 stays taken, until number 2 has come and is cancelled.
        await cancelled.promise;
      },
    );
    const probe = await stage.docket().add(charge, { customer: 'c', n: 0 }, { key: 'probe' });
    const [right] = await placesOf(redis, name, COUNT, probe.key);
    const key = keyIn((right! + 1) % COUNT, COUNT, 'k');
    const second = await stage.docket().add('charge', { customer: 'c', n: 2 }, { key });
    await stage.docket().add(charge, { customer: 'c', n: 1 }, { key });
    const refused = expect(second.result()).rejects.toThrow(ExecutionCancelledError);
    const finished = stage.finish({ charge }, { concurrency: 3 });
    await refused;
    cancelled.resolve();
    await finished;
    expect(ran).toEqual([0, 1]);
  });

  test('stops what is cancelled in its partition, and nothing that has the same token in another one', async () => {
    const { docket } = await divided();
    const started = new Set<string>();
    const release = deferred();
    const hold = task('hold', async (_args: {}, ctx) => {
      started.add(ctx.key);
      await Promise.race([
        release.promise,
        new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
      ]);
      return 'held';
    });
    const handles = await docket.addMany(keysIn('k').map((key) => call(hold, {}, { key })));
    stage.work({ hold }, { concurrency: COUNT });
    await waitFor(() => started.size === COUNT);
    await handles[2]!.cancel();
    await expect(handles[2]!.result()).rejects.toThrow(/cancel/i);
    release.resolve();
    expect(await Promise.all([0, 1, 3].map((i) => handles[i]!.result()))).toEqual(['held', 'held', 'held']);
  });

  test('hears of strikes and pauses in all of them', async () => {
    const { docket, redis, name } = await divided();
    const ran: string[] = [];
    const note = task('note', (_args: {}, ctx) => void ran.push(ctx.key));
    const other = task('other', () => {});
    const worker = stage.work({ note, other }, { concurrency: COUNT });
    await (await docket.add(other)).result();
    await docket.pause('note');
    const handles = await docket.addMany(keysIn('k').map((key) => call('note', {}, { key })));
    await waitFor(async () => (await docket.snapshot()).totals.paused === COUNT);
    expect(ran).toEqual([]);
    await docket.resume('note');
    await Promise.all(handles.map((handle) => handle.result()));
    expect(ran.length).toBe(COUNT);
    await docket.strike('note');
    await worker.close();
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([0, 0, 0, 0]);
  });

  test('starts the chain of an automatic task in one of them', async () => {
    const { redis, name } = await divided();
    const ran = deferred();
    const sweep = task('sweep', { perpetual: perpetual({ every: '1h', automatic: true }) }, () => ran.resolve());
    stage.work({ sweep });
    await ran.promise;
    await waitFor(async () => (await placesOf(redis, name, COUNT, 'sweep')).length > 0);
    expect(await placesOf(redis, name, COUNT, 'sweep')).toHaveLength(1);
  });

  test('lets a chain go on in the partition where it belongs once there are more of them', async () => {
    const docket = stage.docket();
    const runs: number[] = [];
    const sweep = task('sweep', { perpetual: perpetual({ every: '100ms' }) }, () => void runs.push(1));
    const key = keyIn(2, COUNT, 'chain');
    await docket.add(sweep, {}, { key });
    stage.work({ sweep });
    await waitFor(() => runs.length > 0);
    await divide(docket, COUNT, { force: true });
    const redis = await stage.redis();
    await waitFor(async () => String(await placesOf(redis, stage.name, COUNT, key)) === '2');
    const before = runs.length;
    await waitFor(() => runs.length > before + 1);
    expect(await placesOf(redis, stage.name, COUNT, key)).toEqual([2]);
    await docket.cancel(key);
  });

  test('changes the progress of its own execution through ctx.execution, wherever that is', async () => {
    const { docket } = await divided();
    const load = task('load', async (_args: {}, ctx) => {
      await ctx.execution.progress.setTotal(7);
      await ctx.execution.progress.increment(3);
    });
    const handles = await docket.addMany(keysIn('k').map((key) => call(load, {}, { key })));
    await stage.finish({ load });
    for (const handle of handles) {
      await handle.sync();
      expect([handle.state, handle.progress.current, handle.progress.total]).toEqual(['completed', 3, 7]);
    }
  });

  test('with `partitions` reads those alone', async () => {
    const { docket, redis, name } = await divided();
    const echo = task('echo', () => null);
    const handles = await docket.addMany(keysIn('k').map((key) => call(echo, {}, { key })));
    stage.work({ echo }, { partitions: [1, 3] });
    await Promise.all([1, 3].map((i) => handles[i]!.result()));
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([1, 0, 1, 0]);
    await stage.finish({ echo }, { partitions: [0, 2] });
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([0, 0, 0, 0]);
  });

  test('with `partitions` waits for those that are not there yet, says so, and reads them once they are', async () => {
    const { docket } = await divided(2);
    const { logger, lines } = recordingLogger();
    stage.work({ echo: task('echo', () => 'echo') }, { partitions: [3], healthcheckPort: 0, logger });
    const warned = await waitFor(() => lines.find(({ message }) => message.startsWith('--partitions names 3')));
    expect(warned!.message).toMatch(
      /^--partitions names 3, but the docket has partitions 0 to 1: .* reads nothing until/,
    );
    const pages = lines.flatMap(({ fields }) => (fields.pages as string[] | undefined) ?? []);
    const ready = await fetch(pages.find((page) => page.endsWith('/readyz'))!);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('none of the partitions')]);
    await divide(stage.docket(), COUNT);
    const execution = await docket.add('echo' as never, {}, { key: keyIn(3, COUNT) });
    expect(await execution.result()).toBe('echo');
  });

  test('reads partitions that are added while it runs, and those that are removed until they are empty', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    const ran = new Set<string>();
    const note = task('note', (_args: {}, ctx) => void ran.add(ctx.key));
    const fast = stage.docket({ heartbeatInterval: '100ms', executionTtl: 0 });
    stage.work({ note }, {}, fast);
    await divide(docket, 3);
    const first = Array.from({ length: 3 }, (_, i) => keyIn(i, 3, 'a'));
    await docket.addMany(first.map((key) => call(note, {}, { key })));
    await waitFor(() => first.every((key) => ran.has(key)));
    await docket.addMany([1, 2].map((i) => call(note, {}, { key: keyIn(i, 3, 'later'), when: '500ms' })));
    await divide(docket, 1, { force: true });
    const later = [1, 2].map((i) => keyIn(i, 3, 'later'));
    await waitFor(() => later.every((key) => ran.has(key)));
    await waitFor(async () => (await redis.hget(`{${stage.name}}:layout`, 'draining')) === '');
    expect([...ran].sort()).toEqual([...first, ...later].sort());
  });

  test('redelivers what the workers of any partition have left behind', async () => {
    const { docket, redis, name } = await divided();
    const started = new Set<string>();
    let isReleased = false;
    const hold = task('hold', async (_args: {}, ctx) => {
      started.add(`${ctx.key} ${ctx.redelivered}`);
      while (!isReleased) await new Promise((resolve) => setTimeout(resolve, 5));
      return ctx.redelivered;
    });
    const keys = keysIn('k');
    const handles = await docket.addMany(keys.map((key) => call(hold, {}, { key })));
    // Read by a worker that is gone: nobody renews these leases.
    for (const one of keysOfAll(name, COUNT)) {
      await redis.xgroup('CREATE', one.work, 'workers', '0', 'MKSTREAM').catch(() => undefined);
      await redis.xreadgroup('GROUP', 'workers', 'gone:1', 'COUNT', 10, 'STREAMS', one.work, '>');
    }
    stage.work({ hold }, { concurrency: COUNT, redeliveryTimeout: '300ms', reconnectionDelay: '1ms' });
    await waitFor(() => keys.every((key) => started.has(`${key} true`)));
    isReleased = true;
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([true, true, true, true]);
  });

  test('requeues what has not begun where it was, as it drains', async () => {
    const { docket, redis, name } = await divided();
    const begun = deferred();
    let isReleased = false;
    const hold = task('hold', async () => {
      begun.resolve();
      while (!isReleased) await new Promise((resolve) => setTimeout(resolve, 5));
    });
    const keys = ALL.flatMap((partition) => ['a', 'b', 'c'].map((prefix) => keyIn(partition, COUNT, prefix)));
    const worker = stage.work({ hold }, { concurrency: 2 });
    await docket.addMany(keys.map((key) => call(hold, {}, { key })));
    await begun.promise;
    const closed = worker.close();
    isReleased = true;
    await closed;
    const left = (await entriesOfAll(redis, name, COUNT)).reduce((sum, count) => sum + count, 0);
    expect(left).toBeGreaterThan(0);
    for (const key of keys) expect(await placesOf(redis, name, COUNT, key)).toHaveLength(1);
    await stage.finish({ hold });
    for (const key of keys) expect((await docket.getExecution(key))?.state).toBe('completed');
  });

  test('gives each partition with work its turn, although another one has a long backlog', async () => {
    const { docket, redis, name } = await divided();
    const order: string[] = [];
    const release = deferred();
    const hold = task('hold', () => release.promise);
    const note = task('note', async (_args: {}, ctx) => {
      order.push(ctx.key);
      await new Promise((resolve) => setImmediate(resolve));
    });
    stage.work({ hold, note }, { concurrency: 1 });
    const readers = async () =>
      Promise.all(keysOfAll(name, COUNT).map(async (keys) => await redis.zcard(keys.workers)));
    await waitFor(async () => (await readers()).join() === '1,1,1,1');
    const held = await docket.add(hold, {}, { key: keyIn(0, COUNT, 'hold') });
    await waitFor(async () => (await docket.snapshot()).totals.running === 1);
    const busy: string[] = [];
    for (let i = 0; busy.length < 100; i++) busy.push(keyIn(0, COUNT, `busy${i}-`));
    const others = [1, 2, 3].map((partition) => keyIn(partition, COUNT, 'other'));
    const added = await docket.addMany([...busy, ...others].map((key) => call(note, {}, { key })));
    release.resolve();
    await Promise.all([held, ...added].map((handle) => handle.result({ timeout: '20s' })));
    expect(order).toHaveLength(103);
    for (const key of others) expect(order.indexOf(key)).toBeLessThan(90);
  });
});

/** Returns the token of the entry that stands for the execution under a key. */
async function tokenOf(redis: Redis, keys: Keys, key: string): Promise<`w${string}`> {
  return (await redis.hget(keys.record(key), 'e')) as `w${string}`;
}
