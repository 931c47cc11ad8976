import {
  DocketClosedError,
  type Execution,
  type ExecutionEvent,
  ExecutionNotFoundError,
  perpetual,
  ResultsDisabledError,
  retry,
  task,
} from 'docket';
import { describe, expect, test } from 'vitest';
import type { Token } from '../../src/redis/delivery-store.js';
import { builtUrl, importBuilt } from '../support/built.js';
import { runModule } from '../support/child.js';
import { clientList, killClients, subscriptions } from '../support/clients.js';
import { holdingProxy } from '../support/proxy.js';
import { stopRenewals } from '../support/renewals.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { redeliver } = await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

const note = task('note', () => {});

/** Subscribes at once, and collects what comes to the end. */
function watch(execution: Execution<unknown>) {
  const events: ExecutionEvent[] = [];
  const ended = (async () => {
    for await (const event of execution.subscribe()) events.push(event);
    return events;
  })();
  ended.catch(() => {}); // told where it is awaited
  return { events, ended };
}

function statesOf(events: readonly ExecutionEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'state' ? event.state : []));
}

/** States, and progress as its count and message. */
function shownOf(events: readonly ExecutionEvent[]): string[] {
  return events.map((event) =>
    event.type === 'state' ? event.state : `${event.current} ${event.message ?? ''}`.trim(),
  );
}

/** A task that ends when it is told to. */
function holding() {
  const started = deferred();
  const ending = deferred<unknown>();
  const hold = task('hold', async (_args: {}, { progress }) => {
    progress.increment(2);
    started.resolve();
    return await ending.promise;
  });
  return { hold, started: started.promise, ending };
}

describeEachServer('a subscription', (url) => {
  const stage = setStage(url);
  const isListening = async () => (await stage.keys()).includes('listeners');

  test('ends without an error when its signal aborts, and takes no option it does not have', async () => {
    const execution = await stage.docket().add(note, {}, { key: 'k', when: '1h' });
    const leaving = new AbortController();
    const states: string[] = [];
    for await (const event of execution.subscribe({ signal: leaving.signal })) {
      if (event.type === 'state') states.push(event.state);
      else setImmediate(() => leaving.abort()); // while the loop waits for the next event, which would come in an hour
    }
    expect(states).toEqual(['scheduled']);
    expect(() => execution.subscribe({ until: leaving.signal } as object)).toThrow('subscribe.until');
    await execution.cancel();
  });

  test('gives state and progress, then every change, and ends with the execution', async () => {
    const { hold, started, ending } = holding();
    const execution = await stage.docket().add(hold, {}, { key: 'k' });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ hold }, { name: 'the worker' });
    await started;
    ending.resolve('done');
    const nothing = { worker: null, startedAt: null, completedAt: null, error: null, attempt: 1 };
    const began = { worker: 'the worker', startedAt: expect.any(Date), error: null, attempt: 1 };
    const common = { key: 'k', when: execution.when };
    expect(await ended).toEqual([
      { type: 'state', state: 'queued', ...common, ...nothing },
      { type: 'progress', key: 'k', current: 0, total: 100, message: null, updatedAt: null },
      { type: 'state', state: 'running', ...common, ...began, completedAt: null },
      { type: 'progress', key: 'k', current: 2, total: 100, message: null, updatedAt: expect.any(Date) },
      { type: 'state', state: 'completed', ...common, ...began, completedAt: expect.any(Date) },
    ]);
  });

  test('agrees with the record', async () => {
    const execution = await stage.docket().add(note, {}, { when: 30 });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ note });
    const last = (await ended).findLast((event) => event.type === 'state');
    await execution.sync();
    const { state, when, worker, startedAt, completedAt, error, attempt } = execution;
    expect(last).toMatchObject({ state, when, worker, startedAt, completedAt, error, attempt });
    expect(statesOf(events)).toEqual(['scheduled', 'queued', 'running', 'completed']);
  });

  test('gives an ended execution once', async () => {
    const bad = task('bad', () => {
      throw new Error('no luck\nat all');
    });
    const execution = await stage.docket().add(bad);
    await stage.finish({ bad });
    const events = await watch(execution).ended;
    expect(events.map(({ type }) => type)).toEqual(['state', 'progress']);
    expect(events[0]).toMatchObject({ state: 'failed', error: 'Error: no luck', completedAt: expect.any(Date) });
  });

  test('goes through the attempts', async () => {
    const flaky = task(
      'flaky',
      { retry: retry({ attempts: 2, delay: 20 }) },
      async (_args: {}, { attempt, progress }) => {
        progress.increment(attempt);
        if (attempt === 1) throw new Error('not yet');
      },
    );
    const execution = await stage.docket().add(flaky);
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ flaky });
    await ended;
    expect(statesOf(events)).toEqual(['queued', 'running', 'scheduled', 'queued', 'running', 'completed']);
    expect(events.at(-1)).toMatchObject({ attempt: 2 });
    expect(events.at(-2)).toMatchObject({ current: 2 });
  });

  test('shows the attempt to come while a retry waits: its number, and no worker or start', async () => {
    const flaky = task('flaky', { retry: retry({ attempts: 3, delay: '1h' }) }, async () => {
      throw new Error('not yet');
    });
    const docket = stage.docket();
    const execution = await docket.add(flaky, {}, { key: 'k' });
    stage.work({ flaky });
    const expected = { state: 'scheduled', attempt: 2, worker: null, startedAt: null };
    for await (const event of execution.subscribe()) {
      if (event.type !== 'state' || event.state !== 'scheduled') continue;
      expect(event).toMatchObject(expected);
      break;
    }
    await execution.sync();
    expect(execution).toMatchObject(expected);
    expect(await docket.getExecution('k')).toMatchObject(expected);
    expect((await docket.snapshot()).future).toMatchObject([{ key: 'k', attempt: 2 }]);
  });

  test('shows that the next attempt starts anew, even when it reports nothing', async () => {
    const failing = deferred();
    const flaky = task('flaky', { retry: retry({ attempts: 2 }) }, async (_args: {}, { attempt, progress }) => {
      if (attempt === 2) return;
      progress.increment(50);
      progress.setMessage('first');
      await failing.promise;
      throw new Error('not yet');
    });
    const execution = await stage.docket().add(flaky);
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ flaky });
    await waitFor(() => shownOf(events).at(-1) === '50 first');
    failing.resolve();
    await ended;
    expect(shownOf(events).slice(-4)).toEqual(['queued', '0', 'running', 'completed']);
    await execution.sync();
    expect(execution.progress).toMatchObject({ current: 0, total: 100, message: null });
  });

  test('shows that a lost run starts anew, and keeps what others add meanwhile', async () => {
    const ending = deferred();
    let ran = 0;
    const lost = task('lost', async (_args: {}, { progress }) => {
      ran += 1;
      if (ran === 1) progress.increment(50);
      await ending.promise;
    });
    const docket = stage.docket();
    const execution = await docket.add(lost, {}, { key: 'k' });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ lost }, { concurrency: 1 });
    await waitFor(() => shownOf(events).at(-1) === '50');
    const token = (await stage.record('k')).e as Token;
    const redis = await stage.redis();
    await waitFor(async () => (await redeliver(redis, keysOf(stage.name), 1, [token])) === 1);
    await waitFor(() => shownOf(events).at(-1) === '0');
    await execution.progress.increment(3);
    ending.resolve();
    await ended;
    expect(shownOf(events)).toEqual(['queued', '0', 'running', '50', 'queued', '0', '3', 'running', 'completed']);
    expect(ran).toBe(2);
  });

  test('ends when the execution is cancelled', async () => {
    const docket = stage.docket();
    await stage.finish({ note }); // the embedded server wants the group to be there
    const execution = await docket.add(note, {}, { when: '1h' });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    await execution.cancel();
    expect(statesOf(await ended)).toEqual(['scheduled', 'cancelled']);
  });

  test('ends when a newer execution takes the key', async () => {
    const docket = stage.docket();
    const first = await docket.add(note, {}, { key: 'k', when: '1h' });
    const { events, ended } = watch(first);
    await waitFor(() => events.length === 2);
    const second = await docket.replace(note, {}, { key: 'k', when: '2h' });
    expect(statesOf(await ended)).toEqual(['scheduled']);
    expect(await watch(first).ended).toEqual([]);
    await second.cancel().catch(() => {});
  });

  test('of a run of a perpetual task ends with that run', async () => {
    const again = task('again', { perpetual: perpetual({ every: '1h' }) }, (_args: {}, { progress }) => {
      progress.increment(3);
    });
    const docket = stage.docket();
    const execution = await docket.add(again, {}, { key: 'k' });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ again });
    await ended;
    expect(statesOf(events)).toEqual(['queued', 'running', 'completed']);
    expect(events.at(-2)).toMatchObject({ type: 'progress', current: 3 });
    expect(events.at(-1)).toMatchObject({ completedAt: expect.any(Date) });
    expect(await watch(execution).ended).toEqual([]);
    const next = (await docket.getExecution('k'))!;
    expect(next).toMatchObject({ state: 'scheduled', progress: { current: 0, updatedAt: null } });
    await next.cancel();
  });

  test('of an execution that is unknown or keeps no state is refused', async () => {
    const docket = stage.docket();
    const execution = await docket.add(note);
    await stage.finish({ note });
    await (await stage.redis()).del(stage.key(`run:${execution.key}`));
    await expect(watch(execution).ended).rejects.toThrow(ExecutionNotFoundError);
    const forgotten = await stage.docket({ executionTtl: 0 }).add(note, {}, { key: 'k' });
    await expect(watch(forgotten).ended).rejects.toThrow(ResultsDisabledError);
    const found = await docket.getExecution('k');
    await expect(watch(found!).ended).rejects.toThrow(ResultsDisabledError);
    expect(await isListening()).toBe(true); // of the first one
  });

  test('ends with the docket, and is refused afterwards', async () => {
    const docket = stage.docket();
    const execution = await docket.add(note);
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    await docket.close();
    expect(await ended).toBe(events);
    await expect(watch(execution).ended).rejects.toThrow(DocketClosedError);
  });

  test('can be open many times at once', async () => {
    const { hold, started, ending } = holding();
    const [docket, other] = [stage.docket(), stage.docket()];
    const execution = await docket.add(hold, {}, { key: 'k' });
    const found = (await other.getExecution('k'))!;
    const subscription = execution.subscribe();
    const watching = [
      watch(execution),
      watch(execution),
      watch(found),
      watch({ subscribe: () => subscription } as never),
    ];
    const waiting = execution.result();
    await waitFor(() => watching.every(({ events }) => events.length === 2));
    stage.work({ hold });
    await started;
    ending.resolve('done');
    const [first, ...others] = await Promise.all(watching.map(({ ended }) => ended));
    expect(first!.length).toBe(5);
    for (const events of others) expect(events).toEqual(first);
    expect(await waiting).toBe('done');
  });

  test.each([
    `'single' "double" \\`,
    'two\nlines\r\n',
    '\0\x01\x1b[31m\x7f',
    'k 1 completed\n',
    '{x}:*?[a-z]',
    'ключ 🔑',
  ])('works with the key %j', async (key) => {
    const shout = task('shout', (_args: {}, { progress }) => {
      progress.setMessage(`${key}\n${key}`);
      throw new Error(key.split('\n')[0]);
    });
    const execution = await stage.docket().add(shout, {}, { key });
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ shout }, { name: 'w "1"' });
    await ended;
    expect(new Set(events.map((event) => event.key))).toEqual(new Set([key]));
    expect(statesOf(events)).toEqual(['queued', 'running', 'failed']);
    expect(events.at(-2)).toMatchObject({ message: `${key}\n${key}` });
    expect(events.at(-1)).toMatchObject({ worker: 'w "1"', error: execution.error ?? expect.any(String) });
  });

  test('keeps a bounded number of events for a consumer that does not read', async () => {
    const { hold, started, ending } = holding();
    const execution = await stage.docket().add(hold);
    const events = execution.subscribe()[Symbol.asyncIterator]();
    const first = await events.next();
    expect(first.value).toMatchObject({ type: 'state', state: 'queued' });
    stage.work({ hold });
    await started;
    for (let n = 0; n < 200; n++) await execution.progress.increment();
    ending.resolve('done');
    await execution.result();
    const rest: ExecutionEvent[] = [];
    for (let next = await events.next(); !next.done; next = await events.next()) rest.push(next.value);
    expect(rest.length).toBeLessThan(8);
    expect(statesOf(rest)).toEqual(['running', 'completed']);
    expect(rest.findLast((event) => event.type === 'progress')).toMatchObject({ current: 202 });
  });

  test('ends when its loop is left', async () => {
    const execution = await stage.docket().add(note);
    for await (const event of execution.subscribe()) {
      expect(event).toMatchObject({ type: 'state', state: 'queued' });
      break;
    }
    const events = execution.subscribe()[Symbol.asyncIterator]();
    const [first, second, pending] = [events.next(), events.next(), events.next()];
    expect((await first).value).toMatchObject({ type: 'state' });
    expect((await second).value).toMatchObject({ type: 'progress' });
    expect(await events.return!()).toEqual({ done: true, value: undefined });
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await stage.finish({ note });
  });
});

describeOnRedis('a subscription', (url) => {
  const stage = setStage(url);

  test('unsubscribes when its loop is left', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const executions = await Promise.all([docket.add(note), docket.add(note)]);
    for (const execution of executions) {
      for await (const _ of execution.subscribe()) {
        await expect.poll(() => subscriptions(redis)).toEqual([1]);
        break;
      }
      await waitFor(async () => (await subscriptions(redis)).length === 0);
    }
    await stage.finish({ note });
  });

  test('survives the loss of its connections, and shows what it missed', async () => {
    stopRenewals();
    const { hold, started, ending } = holding();
    const redis = await stage.redis();
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    const execution = await stage.docket({ url: proxy.url }).add(hold);
    const { events, ended } = watch(execution);
    await waitFor(() => events.length === 2);
    stage.work({ hold });
    await started;
    await waitFor(() => statesOf(events).includes('running'));
    proxy.hold();
    await killClients(redis, 'pubsub');
    await proxy.held;
    ending.resolve('done');
    await waitFor(async () => (await stage.record(execution.key)).s === 'completed');
    proxy.release();
    expect(await ended).toBe(events);
    expect(statesOf(events)).toEqual(['queued', 'running', 'completed']);
    const progress = events.findLastIndex((event) => event.type === 'progress' && event.current === 2);
    expect(progress).toBeGreaterThan(0);
    expect(events.at(-1)).toMatchObject({ type: 'state', state: 'completed', completedAt: expect.any(Date) });
  });

  describe('in each of two processes,', () => {
    test('200 calls that wait for results use one subscriber connection, and none hangs or leaks', async () => {
      const { hold, ending } = holding();
      const redis = await stage.redis();
      const docket = stage.docket();
      await docket.addMany(
        Array.from({ length: 100 }, (_, i) => ({ task: hold, args: {}, options: { key: `k${i}` } }) as never),
      );
      const code = `
        import { Docket } from ${JSON.stringify(builtUrl('index.js'))};
        const docket = new Docket({ name: process.env.NAME, url: process.env.URL });
        const executions = await Promise.all(Array.from({ length: 100 }, (_, i) => docket.getExecution('k' + i)));
        const results = await Promise.all(executions.map((execution) => execution.result()));
        console.log(results.filter((result) => result === 'done').length);
        await docket.close();
      `;
      const environment = { NAME: stage.name, URL: stage.url };
      const processes = [runModule(code, environment), runModule(code, environment)];
      await waitFor(async () => (await subscriptions(redis)).join() === '100,100');
      await expect.poll(async () => (await clientList(redis)).match(/name=docket:subscriber/g)).toHaveLength(2);
      const eventChannels = () => redis.pubsub('CHANNELS', `${stage.key('events')}*`);
      expect(await eventChannels()).toHaveLength(100);
      stage.work({ hold }, { concurrency: 100 });
      ending.resolve('done');
      for (const ended of await Promise.all(processes)) {
        expect(ended).toMatchObject({ code: 0, signal: null, stdout: '100\n', stderr: '' });
      }
      await waitFor(async () => (await eventChannels()).length === 0);
    });
  });
});
