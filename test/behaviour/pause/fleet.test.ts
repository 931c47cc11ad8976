/** Pauses while workers die, start, hear nothing or come late, and while much is going on. */
import { setInterval as every } from 'node:timers/promises';
import { task } from 'docket';
import { expect, test } from 'vitest';
import type { Settlement, Token } from '../../../src/redis/delivery-store.js';
import { importBuilt } from '../../support/built.js';
import { killClients } from '../../support/clients.js';
import { type Command, type Fleet, fixture, openFleet } from '../../support/fleet.js';
import { holdingProxy } from '../../support/proxy.js';
import { setStage } from '../../support/stage.js';
import { describeOnOwnRedis, describeOnRedis } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';
import { inHand, inLine, onStreams, placeOf, untilGivenBack, untilInLine, untilNothingIsLeft } from './pauses.js';

const { moveDue } = await importBuilt<typeof import('../../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { settle } = await importBuilt<typeof import('../../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { findLost, mendLost } =
  await importBuilt<typeof import('../../../src/redis/sweep-store.js')>('redis/sweep-store.js');
const { keysOf } = await importBuilt<typeof import('../../../src/redis/keys.js')>('redis/keys.js');

const LIMITED = fixture('limits.js');
const LEASE = ['--redelivery-timeout', '1s'];

describeOnRedis('while something is paused,', (url) => {
  /** Starts the execution `k` on a worker that dies after the pause, and then another worker. */
  async function losing(fleet: Fleet, paused: string | null) {
    const { docket, probe } = fleet;
    const first = fleet.command(['--threads', '1', '--concurrency', '4', ...LEASE]);
    const execution = await docket.add('hold', { probe, value: 7 }, { key: 'k' });
    await fleet.step('start k 1');
    await docket.pause(paused);
    await docket.add('hold', { probe }, { key: 'later' });
    if (paused === null) await waitFor(async () => (await onStreams(fleet)) === 2);
    else await untilInLine(fleet, paused, 1);
    first.process.kill('SIGKILL');
    await first.ended;
    await fleet.release();
    await fleet.worker({ redeliveryTimeout: '1s' });
    return { execution };
  }

  test.each([
    ['a paused task', 'hold'],
    ['a paused docket', null],
  ])('an execution of %s whose worker died waits for the resume, and then runs again', async (_, paused) => {
    const fleet = await openFleet(url());
    const { execution } = await losing(fleet, paused);
    if (paused === null) await untilGivenBack(fleet, 2);
    else await untilInLine(fleet, paused, 2);
    expect(await fleet.steps()).toEqual(['start k 1']);
    await execution.sync();
    expect(execution.state).toBe('queued');
    await fleet.docket.resume(paused);
    expect(await execution.result()).toBe(7);
    await waitFor(async () => (await fleet.steps()).length === 5);
    const starts = (await fleet.steps()).filter((step) => step.startsWith('start'));
    // In a line it is the first again. On the stream it is behind what was given back.
    expect(paused === null ? starts.toSorted() : starts).toEqual(['start k 1', 'start k 1', 'start later 1']);
    await untilNothingIsLeft(fleet);
  });

  test('a worker drains: it ends what runs, and leaves what waits', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const running = await fleet.worker({ concurrency: 4 });
    const first = await docket.add('hold', { probe }, { key: 'first' });
    await fleet.step('start first 1');
    await docket.pause('hold');
    const second = await docket.add('hold', { probe }, { key: 'second' });
    await untilInLine(fleet, 'hold', 1);
    const stopped = running.stop();
    await fleet.release();
    await Promise.all([stopped, first.result()]);
    expect([await inLine(fleet, 'hold'), await onStreams(fleet)]).toEqual([1, 0]);
    await docket.resume('hold');
    await fleet.worker();
    await second.result();
    await untilNothingIsLeft(fleet);
  });
});

describeOnOwnRedis('a pause', (redis) => {
  test('outlasts a restart of the server, and so does what waits', async () => {
    const fleet = await openFleet(redis().url);
    const { docket, probe } = fleet;
    await fleet.worker();
    await docket.pause('counted', { reason: 'deploy' });
    const execution = await docket.add('counted', { probe }, { key: 'k' });
    await untilInLine(fleet, 'counted', 1);
    await redis().kill();
    await redis().start();
    await waitFor(async () => (await docket.pauses().catch(() => [])).length === 1);
    const other = await docket.add('counted', { probe }, { key: 'k2' });
    await untilInLine(fleet, 'counted', 2);
    expect(await fleet.counts()).toEqual({});
    await docket.resume('counted');
    await Promise.all([execution.result(), other.result()]);
    expect(await fleet.counts()).toEqual({ k: 1, k2: 1 });
    await untilNothingIsLeft(fleet);
  });
});

describeOnRedis('a worker that hears nothing', (url) => {
  const stage = setStage(url);

  test('starts nothing that was paused after its link broke, and resumes when it hears again', async () => {
    const place = await placeOf(stage);
    const ran: number[] = [];
    const busy = deferred();
    const ending = deferred();
    const blocker = task('blocker', async () => {
      busy.resolve();
      await ending.promise;
    });
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    stage.work({ blocker, note }, { concurrency: 1 }, stage.docket({ url: proxy.url }));
    const docket = stage.docket();
    await docket.add(blocker);
    await busy.promise;
    proxy.hold();
    await killClients(await stage.redis(), 'pubsub');
    await proxy.held;
    await docket.pause(note);
    await docket.add(note, { n: 1 });
    ending.resolve();
    await untilInLine(place, 'note', 1);
    await docket.pause();
    await docket.add(note, { n: 2 });
    await untilGivenBack(place, 1);
    expect(ran).toEqual([]);
    proxy.release();
    await docket.resume(note);
    await docket.resume();
    await waitFor(() => ran.length === 2);
    expect(ran.toSorted()).toEqual([1, 2]);
    await untilNothingIsLeft(place);
  });
});

describeOnRedis('in Redis,', (url) => {
  const stage = setStage(url);
  const note = task('note', (_args: {}) => {});

  async function setUp() {
    const redis = await stage.redis();
    return { redis, keys: keysOf(stage.name), docket: stage.docket(), place: await placeOf(stage) };
  }

  /** Has a worker of its own read everything and settle it as paused, whether it is or not. */
  async function settleAllAsPaused(): Promise<void> {
    const { redis, keys } = await setUp();
    for (const name of ['work', 'front'] as const) {
      await redis.xgroup('CREATE', keys[name], 'workers', '0', 'MKSTREAM').catch(() => {});
    }
    const reply = (await redis.xreadgroup('GROUP', 'workers', 'stale:1', 'COUNT', 5_000, 'STREAMS', keys.work, '>')) as
      | [string, [string, string[]][]][]
      | null;
    const settlements = (reply?.[0]?.[1] ?? []).map(([id]): Settlement => {
      const token: Token = `w${id}`;
      return {
        ...{ kind: 'moved', token, to: { lineOf: 'note', ticket: 1_000 }, message: null, keepsDue: true, id: token },
        ...{ deliveries: 0, charges: 0, reroutes: 0, admissionStage: null, ttlMs: 0 },
      };
    });
    for (let i = 0; i < settlements.length; i += 128) await settle(redis, keys, settlements.slice(i, i + 128));
  }

  test('a worker that has not heard of a resume has nothing wait for it: the execution goes back to the streams', async () => {
    const { docket, place } = await setUp();
    await docket.add(note, {}, { key: 'k' });
    await stage.docket({ executionTtl: 0 }).add(note);
    await settleAllAsPaused();
    expect([await inLine(place, 'note'), await onStreams(place), await inHand(place)]).toEqual([0, 2, 0]);
    expect(await place.redis.xlen(stage.key('front'))).toBe(2);
    expect(await stage.record('k')).toMatchObject({ s: 'queued' });
    await stage.finish({ note });
    await untilNothingIsLeft(place);
  });

  test('what was resumed goes to the streams page by page, in order, whoever has it moved', async () => {
    const { docket, place, redis, keys } = await setUp();
    const numbers = Array.from({ length: 300 }, (_, i) => `k${String(i).padStart(3, '0')}`);
    for (const key of numbers) await docket.add(note, {}, { key });
    await docket.pause(note);
    await settleAllAsPaused();
    expect(await inLine(place, 'note')).toBe(300);
    await docket.resume(note);
    expect([await inLine(place, 'note'), await redis.zrange(keys.wakes, '0', '-1')]).toEqual([300, ['#note']]);
    const left: number[] = [];
    for (let nextInMs: number | null = 0; nextInMs === 0; ) {
      ({ nextInMs } = await moveDue(redis, keys));
      left.push(await inLine(place, 'note'));
    }
    expect(left).toEqual([172, 44, 0]);
    const moved = (await redis.xrange(keys.front, '-', '+')).map(([, fields]) => fields[fields.indexOf('k') + 1]);
    expect(moved).toEqual(numbers);
    await docket.clear();
    await untilNothingIsLeft(place);
  });

  test('a task that is paused again while its line is moved keeps the rest of it', async () => {
    const { docket, place, redis, keys } = await setUp();
    for (let i = 0; i < 200; i++) await docket.add(note, {}, { key: `k${i}` });
    await docket.pause(note);
    await settleAllAsPaused();
    await docket.resume(note);
    await moveDue(redis, keys);
    await docket.pause(note);
    const { nextInMs } = await moveDue(redis, keys);
    expect([await inLine(place, 'note'), await redis.exists(keys.wakes), nextInMs]).toEqual([72, 0, null]);
    await docket.resume(note);
    await stage.finish({ note });
    await untilNothingIsLeft(place);
  });

  test('a task that was just resumed can be cleared and cancelled without a worker', async () => {
    const { docket, place } = await setUp();
    for (let i = 0; i < 200; i++) await docket.add(note, {}, { key: `k${i}` });
    await docket.pause(note);
    await settleAllAsPaused();
    await docket.resume(note);
    await docket.cancel('k150');
    expect(await docket.clear()).toBe(199);
    await moveDue(place.redis, keysOf(stage.name));
    await untilNothingIsLeft(place);
  });

  test('what waits in a line has its place, and finds it again when the line is deleted', async () => {
    const { docket, place, redis, keys } = await setUp();
    await docket.pause(note);
    await docket.add(note, {}, { key: 'k' });
    await stage.docket({ executionTtl: 0 }).add(note);
    await settleAllAsPaused();
    const lost = async () => {
      let count = 0;
      for (let at: string | null = '0'; at !== null; ) {
        const { next, known, unknown }: Awaited<ReturnType<typeof findLost>> = await findLost(redis, keys, at);
        count += known + unknown;
        at = next;
      }
      return count;
    };
    expect(await lost()).toBe(0);
    await redis.del(keys.limit('#note'));
    expect(await lost()).toBe(2);
    for (let next: string | null | undefined; next !== null; ) ({ next } = await mendLost(redis, keys));
    expect(await redis.zcard(keys.schedule)).toBe(2);
    stage.work({ note });
    await untilInLine(place, 'note', 2);
    await docket.resume(note);
    await waitFor(async () => (await onStreams(place)) === 0);
    await untilNothingIsLeft(place);
  });

  test('a pause has the letters of its first version', async () => {
    const { redis } = await setUp();
    const place = await placeOf(stage);
    const ran: string[] = [];
    const first = task('first one', (_: {}, { key }) => void ran.push(key));
    await redis.hset(stage.key('paused'), { '#first%20one by hand': '1', 'of a later version': '1', version: '7' });
    await stage.docket().add(first, {}, { key: 'k' });
    stage.work({ first });
    await untilInLine(place, 'first%20one', 1);
    expect(await redis.hget(stage.key('waiting'), '#first%20one')).toBe('1');
    expect(await stage.record('k')).toMatchObject({ s: 'queued', e: '', l: '#first%20one', n: '' });
    expect(await stage.docket().pauses()).toEqual([{ task: 'first one', reason: 'by hand', since: new Date(1) }]);
    await stage.docket().resume('first one');
    await waitFor(() => ran.length === 1);
    await redis.del(stage.key('paused'));
    await untilNothingIsLeft(place);
  });
});

describeOnRedis('under load,', (url) => {
  const PER_SECOND = 500;
  const EVERY_MS = 20;
  /** Adds for so many seconds altogether, in three equal parts: before, during and after the loss of a worker. */
  const SECONDS = 3;
  const PAUSED = ['free', 'three', 'pair', 'fetchOne'];
  const TASKS = [...PAUSED, 'crawl'];

  interface Start {
    readonly task: string;
    readonly key: string;
    readonly n: number;
  }

  async function startsOf(fleet: Fleet): Promise<Start[]> {
    const starts = (await fleet.steps()).filter((step) => step.startsWith('start '));
    return starts.map((step) => {
      const key = step.split(' ')[2]!;
      const [name, n] = key.split('-') as [string, string];
      return { task: name, key, n: Number(n) };
    });
  }

  const pausedStarts = async (fleet: Fleet) =>
    (await startsOf(fleet)).filter(({ task: name }) => PAUSED.includes(name));

  /** Resolves when a worker has heard of the pause of all these tasks and has taken back what had not begun. */
  async function heard(command: Command): Promise<void> {
    await waitFor(() => {
      const line = command.lines.findLast(({ message }) => message.startsWith('paused, so nothing more of it starts'));
      return line !== undefined && PAUSED.every((name) => line.message.includes(`${name} (`));
    });
  }

  test('nothing is lost, nothing starts once workers have heard, and each goes on in order', {
    timeout: 180_000,
  }, async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const args = ['--tasks', LIMITED, '--threads', '1', '--concurrency', '20', ...LEASE];
    const [first, second] = [fleet.command(args), fleet.command(args)];
    await Promise.all([first.ready(), second.ready()]);

    let added = 0;
    const adding: Promise<unknown>[] = [];
    const add = () => {
      const name = TASKS[added % TASKS.length]!;
      const n = added++;
      const value = n % 7;
      const options = { key: `${name}-${n}` };
      adding.push(docket.add(name, { probe, value, host: value, site: value }, options));
    };
    const third = (PER_SECOND * SECONDS) / 3;
    /** Adds at the pace, until so many were added altogether. */
    const addUpTo = async (count: number) => {
      for await (const _ of every(EVERY_MS)) {
        for (let i = 0; i < (PER_SECOND * EVERY_MS) / 1_000 && added < count; i++) add();
        if (added >= count) return;
      }
    };

    await addUpTo(third);
    const going = addUpTo(2 * third);
    for (const name of PAUSED) await docket.pause(name, { reason: 'load' });
    await Promise.all([heard(first), heard(second)]);
    // What had begun by then has told so when it has ended.
    const running = async () => (await docket.snapshot({ limit: 1_000 })).running;
    await waitFor(
      async () => !(await running()).some(({ task: name, since }) => PAUSED.includes(name) && since !== null),
    );
    const before = await pausedStarts(fleet);
    await going;
    first.process.kill('SIGKILL');
    await first.ended;
    const late = fleet.command(args);
    await addUpTo(3 * third);
    await Promise.all(adding);
    await waitFor(() => late.lines.some(({ message }) => message.endsWith(' is ready')), { timeoutMs: 60_000 });
    const expected = PAUSED.length * (added / TASKS.length) - new Set(before.map(({ key }) => key)).size;
    const { totals } = await docket.snapshot({ limit: 0 });
    expect(totals.queued + totals.paused + totals.waiting + totals.running).toBeGreaterThanOrEqual(expected);
    await waitFor(
      async () => {
        const counts = await Promise.all(PAUSED.map((name) => inLine(fleet, name)));
        return counts.reduce((sum, count) => sum + count, 0) === expected;
      },
      { timeoutMs: 60_000 },
    );
    await waitFor(async () => (await onStreams(fleet)) === 0, { timeoutMs: 60_000 });
    expect(await fleet.redis.exists(fleet.key('slots'), fleet.key('held'))).toBe(0);
    expect(await pausedStarts(fleet)).toEqual(before);

    for (const name of PAUSED) await docket.resume(name);
    await waitFor(async () => new Set((await startsOf(fleet)).map(({ key }) => key)).size === added, {
      timeoutMs: 100_000,
    });
    await waitFor(async () => (await onStreams(fleet)) === 0, { timeoutMs: 60_000 });
    const resumed = (await pausedStarts(fleet)).slice(before.length);
    expect(resumed).toHaveLength(expected); // each once
    expect(new Set(resumed.map(({ key }) => key)).size).toBe(expected);

    // Each worker starts the executions of a task that has no limits in the old order.
    const free = resumed.filter(({ task: name }) => name === 'free');
    const workers = await Promise.all(free.map(async ({ key }) => (await docket.getExecution(key))!.worker));
    for (const worker of new Set(workers)) {
      const order = free.filter((_, i) => workers[i] === worker).map(({ n }) => n);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
    await untilNothingIsLeft(fleet);
  });
});
