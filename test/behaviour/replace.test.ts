/** Replacing: the newest under a key is the one that counts, whatever the older ones do. */
import { call, type Docket, ExecutionSupersededError, InvalidOptionError, task } from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { CHAINS, endAll, left, pendingMs, ran, runsOf, scheduled } from '../support/chains.js';
import { type Fleet, openFleet, type Tasks } from '../support/fleet.js';
import { describeEachMode, describeOnAnyServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const KEY = { key: 'k' } as const;
/** As producers know it. */
const once = task('once', (_: object) => undefined);

const TTLS = [{ executionTtl: '15m' }, { executionTtl: 0 }] as const;

/** Values of what ran, in order. */
async function values(fleet: Fleet): Promise<string[]> {
  return (await runsOf(fleet)).map(({ value }) => value);
}

async function rest(fleet: Fleet): Promise<void> {
  await waitFor(async () => (await left(fleet)) === 0);
}

describeEachMode('replacing', (url, threads) => {
  const worker = (fleet: Fleet, concurrency = 8) => fleet.worker({ tasks: CHAINS, threads, concurrency });

  test.each(TTLS)(
    'adds when there is no execution, or one that has ended (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      const { docket, probe } = fleet;
      await worker(fleet);
      for (const value of ['first', 'second']) {
        const execution = await docket.replace('once', { probe, value }, KEY);
        expect(execution).toMatchObject({ key: 'k', task: 'once', state: 'queued', disposition: 'scheduled' });
        await rest(fleet);
        if (options.executionTtl !== 0) expect(await execution.result()).toBe(value);
      }
      expect(await values(fleet)).toEqual(['first', 'second']);
    },
  );

  test.each(TTLS)('a scheduled or queued execution removes it (executionTtl $executionTtl)', async (options) => {
    const fleet = await openFleet(url(), options);
    const { docket, probe } = fleet;
    const whens = [{ when: '1h' }, {}, { when: '2h' }, { when: '1h' }, {}, {}] as const;
    for (const [i, when] of whens.entries()) {
      const execution = await docket.replace(i % 2 ? 'hourly' : 'once', { probe, value: i }, { ...KEY, ...when });
      expect(execution.state).toBe('when' in when ? 'scheduled' : 'queued');
      expect(await left(fleet)).toBe(1);
    }
    await docket.replace('once', { probe, value: 'last' }, { ...KEY, when: '50ms' });
    await worker(fleet);
    await rest(fleet);
    expect(await values(fleet)).toEqual(['last']);
  });

  test.each(TTLS)(
    'a running execution lets it go on, but nothing of it counts (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      const { docket, probe } = fleet;
      await worker(fleet);
      const olds = [
        await docket.add('once', { probe, value: 'completes', how: 'hold' }, { key: 'completes' }),
        await docket.add('once', { probe, value: 'fails', how: 'hold', fails: 9 }, { key: 'fails' }),
        await docket.add('retrying', { probe, value: 'retries', how: 'hold', fails: 9 }, { key: 'retries' }),
        await docket.add('hourly', { probe, value: 'goesOn', how: 'hold' }, { key: 'goesOn' }),
      ];
      const ended = olds.map((old) => (options.executionTtl === 0 ? null : old.result().catch((error) => error.name)));
      for (const old of olds) await ran(fleet, old);
      const news = [];
      for (const { key } of olds) news.push(await docket.replace('once', { probe, value: 'new' }, { key, when: '1h' }));
      for (const { key } of news)
        expect((await docket.add('once', { probe }, { key })).disposition).toBe('already_scheduled');
      if (options.executionTtl !== 0) {
        expect(await Promise.all(ended)).toEqual(olds.map(() => ExecutionSupersededError.name));
      }
      await fleet.release();
      await waitFor(async () => (await left(fleet)) === 4); // the old ones are over
      for (const execution of news) {
        expect(await pendingMs(fleet, execution)).toBe(execution.when.getTime());
        await execution.sync();
        expect(execution).toMatchObject({ state: 'scheduled', task: 'once', error: null, startedAt: null });
      }
      expect(await fleet.redis.exists(fleet.key('superseded'))).toBe(0);
      for (const { key } of news) await docket.replace('once', { probe, value: 'newest' }, { key });
      await rest(fleet);
      expect((await values(fleet)).slice(4)).toEqual(['newest', 'newest', 'newest', 'newest']);
      for (const execution of [...olds, ...news]) {
        if (options.executionTtl !== 0) await expect(execution.result()).rejects.toThrow(ExecutionSupersededError);
      }
    },
  );

  test('a running execution starts the new one beside it', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await worker(fleet);
    const old = await docket.add('once', { probe, value: 'old', how: 'hold' }, KEY);
    await ran(fleet, old);
    const renewed = await docket.replace('once', { probe, value: 'new' }, KEY);
    expect(await renewed.result()).toBe('new');
    await fleet.release();
    await waitFor(async () => (await left(fleet)) === 0);
    expect(await renewed.result()).toBe('new');
    await expect(old.result()).rejects.toThrow(ExecutionSupersededError);
    expect((await docket.getExecution('k'))!.state).toBe('completed');
  });

  test('an execution that waits for its next attempt removes it', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await worker(fleet);
    const old = await docket.add('retryingLater', { probe, value: 'old', fails: 9 }, KEY);
    await scheduled(fleet, old);
    const renewed = await docket.replace('once', { probe, value: 'new' }, KEY);
    expect(await renewed.result()).toBe('new');
    expect(renewed.attempt).toBe(1);
    await rest(fleet);
    expect(await values(fleet)).toEqual(['old', 'new']);
  });

  test('leaves a replaced execution running when the new one is cancelled', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await worker(fleet);
    const old = await docket.add('once', { probe, value: 'old', how: 'listen' }, KEY);
    await ran(fleet, old);
    const renewed = await docket.replace('once', { probe, value: 'new', how: 'listen' }, KEY);
    await ran(fleet, renewed, 2);
    await docket.cancel('k');
    await expect(renewed.result()).rejects.toMatchObject({ name: 'ExecutionCancelledError' });
    expect(await left(fleet)).toBe(1);
    await fleet.release();
    await rest(fleet);
    expect((await docket.getExecution('k'))!.state).toBe('cancelled');
  });

  test('needs a key', async () => {
    const fleet = await openFleet(url());
    const replace = fleet.docket.replace.bind(fleet.docket) as (
      ...args: unknown[]
    ) => ReturnType<Docket<Tasks>['replace']>;
    for (const options of [undefined, {}, { key: '' }, { key: 'x'.repeat(513) }]) {
      await expect(replace('once', {}, options)).rejects.toThrow(InvalidOptionError);
    }
    expect(await fleet.redis.keys(fleet.key('*'))).toEqual([]);
  });

  test('while workers race lets none be claimed once a newer one is placed, and the last one counts', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    for (let i = 0; i < 2; i++) await worker(fleet);
    const events = await eventsOf(fleet, 'k');
    const handles = [];
    for (let value = 0; value < 200; value++) {
      const task = value % 3 ? 'once' : 'retrying';
      const args = { probe, value, ...(value % 5 === 0 && { fails: 9 }) };
      handles.push(await docket.replace(task, value === 199 ? { probe, value } : args, { ...KEY, when: value % 2 }));
    }
    expect(await handles.at(-1)!.result()).toBe(199);
    await rest(fleet);
    for (const handle of handles.slice(0, -1)) await expect(handle.result()).rejects.toThrow(ExecutionSupersededError);
    expect((await docket.getExecution('k'))!.state).toBe('completed');
    expect(await fleet.redis.exists(fleet.key('superseded'))).toBe(0);
    const once = (await runsOf(fleet)).map(({ value, attempt }) => `${value} ${attempt}`);
    expect(new Set(once).size).toBe(once.length);
    // Events are published by the scripts themselves, so their order is that of the server.
    let newest = 0;
    for (const [generation, state] of events()) {
      if (state !== 'running') newest = Math.max(newest, generation);
      else expect(generation).toBeGreaterThanOrEqual(newest);
    }
    expect(events().filter(([, state]) => state === 'running').length).toBeGreaterThan(0);
  });
});

describeOnAnyServer('a replaced execution', (url) => {
  // Replacing fences what was claimed, but does not take back what has not started.
  test('that waited behind another on its thread does not start', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await fleet.worker({ tasks: CHAINS, threads: 1, concurrency: 1 });
    // Known to be short, so that it is shipped ahead.
    await Promise.all(
      (await docket.addMany(Array.from({ length: 50 }, () => call(once, { probe })))).map((e) => e.result()),
    );
    for (let round = 0; round < 5; round++) {
      const key = `k${round}`;
      await docket.addMany([
        call(once, { probe, how: 'block', ms: 100 }),
        call(once, { probe, value: 'old' }, { key }),
      ]);
      await waitFor(async () => (await docket.getExecution(key))!.state === 'running'); // that is, claimed
      const renewed = await docket.replace('once', { probe, value: 'new' }, { key });
      expect(await renewed.result()).toBe('new');
      expect((await runsOf(fleet, key)).map(({ value }) => value)).toEqual(['new']);
    }
    await rest(fleet);
    expect(await fleet.redis.exists(fleet.key('superseded'))).toBe(0);
  });

  test('that ends its thread is gone', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const { lines } = await fleet.worker({ tasks: CHAINS, threads: 1 });
    const old = await docket.add('once', { probe, value: 'old', how: 'holdAndExit' }, KEY);
    await ran(fleet, old);
    const renewed = await docket.replace('once', { probe, value: 'new' }, KEY);
    await fleet.release();
    expect(await renewed.result()).toBe('new');
    await rest(fleet);
    expect(await values(fleet)).toEqual(['old', 'new']);
    expect(lines.some(({ message }) => message.includes('thread died'))).toBe(true);
  });
});

describeOnRedis('a replaced execution whose worker dies', (url) => {
  test('is not redelivered', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const first = fleet.command(['--tasks', CHAINS, '--threads', '1', '--redelivery-timeout', '500ms']);
    await ran(fleet, await docket.add('hourly', { probe, value: 'old', how: 'hold' }, KEY));
    await docket.replace('hourly', { probe, value: 'new' }, KEY);
    first.process.kill('SIGKILL');
    await first.ended;
    await fleet.release();
    await fleet.worker({ tasks: CHAINS, threads: 1, redeliveryTimeout: '500ms' });
    const runs = await ran(fleet, KEY, 2);
    expect(await scheduled(fleet, KEY)).toBe(runs[1]!.dueMs + 3_600_000);
    await waitFor(async () => (await left(fleet)) === 1);
    expect(await values(fleet)).toEqual(['old', 'new']);
    expect(await fleet.redis.exists(fleet.key('superseded'))).toBe(0);
    await endAll(fleet, [KEY]);
  });
});

/** Hears of the events of a key from now on: generation and state. */
async function eventsOf(fleet: Fleet, key: string): Promise<() => (readonly [number, string])[]> {
  const subscriber = await openConnection(fleet.url, 'subscriber', { name: 'test' });
  onTestFinished(() => closeConnection(subscriber));
  const heard: (readonly [number, string])[] = [];
  subscriber.on('message', (_channel: string, event: string) => {
    const [generation, state] = event.split(' ');
    heard.push([Number(generation), state!]);
  });
  await subscriber.subscribe(fleet.key(`events:${key}`));
  await fleet.redis.set(fleet.key('listeners'), '1', 'PX', 60_000);
  return () => heard;
}
