/**
 * Each script of docket on the embedded server: `npm test` runs the other suites on a real Redis alone. What the suites say
 * of a script in full is run here by `npm run test:all`.
 */
import {
  call,
  concurrencyLimit,
  cooldown,
  cron,
  ExecutionCancelledError,
  ExecutionSupersededError,
  perpetual,
  rateLimit,
  retry,
  task,
} from 'docket';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { schedulesOf } from '../support/chains.js';
import { collect } from '../support/collect.js';
import { divide, keyIn } from '../support/partitions.js';
import { setStage } from '../support/stage.js';
import { describeOnEmbedded } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { loadLayout } = await importBuilt<typeof import('../../src/redis/layout-store.js')>('redis/layout-store.js');
const { partitionOf } = await importBuilt<typeof import('../../src/client/routing.js')>('client/routing.js');
const { measure } = await importBuilt<typeof import('../../src/redis/snapshot-store.js')>('redis/snapshot-store.js');
const { RECORD } = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');
const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');

const note = task('note', (_args: { n?: number }) => {});
const double = task('double', ({ n }: { n: number }) => 2 * n);

describeOnEmbedded('a docket', (url) => {
  const stage = setStage(url);
  const ran = scriptsThatRun();

  describe.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'with executionTtl: $executionTtl',
    (options) => {
      test('runs what is due now, later and again, each once, and is empty afterwards', async () => {
        const runs: string[] = [];
        const flaky = task('flaky', { retry: retry({ attempts: 3, delay: 20 }) }, (_args: {}, { key, attempt }) => {
          runs.push(`${key} ${attempt}`);
          if (attempt < 3) throw new Error('not yet');
        });
        const docket = stage.docket(options);
        const added = await docket.addMany([
          call(flaky),
          call(flaky, {}, { key: 'now' }),
          call(flaky, {}, { when: '50ms' }),
          call(flaky, {}, { key: 'later', when: '50ms' }),
        ]);
        expect((await docket.add(flaky, {}, { key: 'now' })).disposition).toBe('already_scheduled');
        await stage.finish({ flaky });
        expect(runs.sort()).toEqual(added.flatMap(({ key }) => [1, 2, 3].map((attempt) => `${key} ${attempt}`)).sort());
        const redis = await stage.redis();
        expect([await redis.xlen(stage.key('work')), await redis.zcard(stage.key('schedule'))]).toEqual([0, 0]);
      });

      test('replaces keys that are taken or free, and reports each as scheduled or queued, as its record does', async () => {
        const docket = stage.docket(options);
        const whens = [{ when: '1h' }, {}, { when: '2h' }, { when: 1 }, { when: new Date() }, { when: '1h' }] as const;
        for (let i = 0; i < 25; i++) {
          for (const [j, when] of whens.entries()) {
            const { key, state } = await docket.replace(note, { n: j }, { key: `k${i % 5}`, ...when });
            expect(state, `${i} ${j}`).toBe('when' in when && j !== 4 ? 'scheduled' : 'queued');
            expect((await docket.getExecution(key))!.state, `${i} ${j}`).toBe(state);
          }
        }
        expect(await docket.clear()).toBe(5);
      });

      test('lists, shows and cancels by a filter', async () => {
        const docket = stage.docket(options);
        await docket.addMany([call(note, { n: 1 }), call(note, { n: 2 }, { when: '1h' }), call(double, { n: 1 })]);
        const { executions } = await docket.listPage({ where: { n: 1 } });
        expect(executions.map((one) => one.task)).toEqual(['note', 'double']);
        expect((await docket.show(executions[0]!.key))!.args()).toEqual({ n: 1 });
        expect(await docket.cancelMany({ task: note })).toEqual({ removed: 2, stopping: 0, missed: 0 });
        const { length } = (await docket.listPage({ state: 'cancelled' })).executions;
        expect(length).toBe(options.executionTtl === 0 ? 0 : 2);
        expect(await docket.clear()).toBe(1);
      });

      test('replaces, cancels and clears', async () => {
        const docket = stage.docket(options);
        await docket.add(note, { n: 1 }, { key: 'replaced' });
        await docket.replace(note, { n: 2 }, { key: 'replaced', when: '1h' });
        await docket.add(note, {}, { key: 'cancelled' });
        await docket.cancel('cancelled');
        await docket.addMany([call(note), call(note, {}, { when: '1h' })]);
        expect((await docket.snapshot()).totals).toMatchObject({ queued: 1, scheduled: 2 });
        expect((await docket.getExecution('replaced'))?.args).toEqual({ n: 2 });
        expect(await docket.clear()).toBe(3);
        expect((await docket.snapshot()).totals).toMatchObject({ queued: 0, scheduled: 0 });
      });

      test('keeps limits, and passes permits on to waiters', async () => {
        const started: string[] = [];
        const ending = deferred();
        const limits = [
          cooldown('n', { window: '1h' }),
          rateLimit({ max: 2, per: '1h' }),
          concurrencyLimit({ max: 1 }),
        ];
        const limited = task('limited', { limits }, async (_args: { n: number }, { key }) => {
          started.push(key);
          await ending.promise;
        });
        const docket = stage.docket(options);
        const redis = await stage.redis();
        const first = await docket.add(limited, { n: 1 });
        stage.work({ limited }, { concurrency: 4 });
        await waitFor(() => started.length === 1);
        await docket.add(limited, { n: 1 }); // in the cooldown of the first
        const second = await docket.add(limited, { n: 2 });
        await waitFor(async () => (await redis.zcard(stage.key('limit:limited'))) === 1);
        await docket.add(limited, { n: 3 }); // over the rate
        await waitFor(async () => (await redis.xlen(stage.key('work'))) === 1);
        ending.resolve();
        await waitFor(async () => (await redis.exists(stage.key('held'))) === 0);
        await waitFor(async () => (await redis.xlen(stage.key('work'))) + (await redis.xlen(stage.key('front'))) === 0);
        expect(started).toEqual([first.key, second.key]);
      });

      test('redelivers what a lost worker had', async () => {
        const redis = await stage.redis();
        await redis.xgroup('CREATE', stage.key('work'), 'workers', '0', 'MKSTREAM');
        await stage.docket(options).add(note, {}, { key: 'k' });
        await redis.xreadgroup('GROUP', 'workers', 'gone:1', 'COUNT', 9, 'STREAMS', stage.key('work'), '>');
        const keys: string[] = [];
        const found = task('note', (_args: {}, { key }) => void keys.push(key));
        stage.work({ note: found }, { redeliveryTimeout: '200ms' });
        await expect.poll(() => keys).toEqual(['k']);
        await waitFor(async () => (await redis.xlen(stage.key('front'))) === 0);
      });

      test('goes on with a chain, whose runs are an interval apart', async () => {
        const dues: number[] = [];
        const tick = task('tick', { perpetual: perpetual({ every: '1h' }) }, (_args: {}, { when }) => {
          dues.push(when.getTime());
        });
        const docket = stage.docket(options);
        const redis = await stage.redis();
        const nextMs = async () => Number((await redis.zrange(stage.key('schedule'), '0', '0', 'WITHSCORES'))[1] ?? 0);
        await docket.add(tick, {}, { key: 'tick' });
        stage.work({ tick });
        await waitFor(async () => (await nextMs()) > 0);
        expect(await nextMs()).toBe(dues[0]! + 3_600_000);
        await docket.cancel('tick');
        expect([dues.length, await nextMs()]).toEqual([1, 0]);
      });

      test('neither adds nor runs what is struck', async () => {
        const docket = stage.docket(options);
        await docket.add(note, { n: 1 });
        await docket.strike(null, 'n', '==', 1);
        expect((await docket.add(note, { n: 1 })).disposition).toBe('struck');
        const seen: unknown[] = [];
        await stage.finish({ note: task('note', ({ n }: { n?: number }) => void seen.push(n)) });
        expect(seen).toEqual([]);
        expect(await docket.restore(null, 'n', '==', 1)).toBe(true);
      });

      test('lists what failed, shows one, runs it again and discards it', async () => {
        const docket = stage.docket(options);
        let runs = 0;
        const breaks = task('breaks', (_args: { n: number }) => {
          runs += 1;
          throw new Error('no');
        });
        for (const n of [1, 2, 3]) await docket.add(breaks, { n });
        await stage.finish({ breaks }, { maxFailures: 2 });
        const failures = await collect(docket.failures({ task: breaks }));
        expect(failures.map((failure) => failure.args())).toEqual([{ n: 3 }, { n: 2 }]);
        const [newest] = failures;
        expect((await docket.failure(newest!.id))?.key).toBe(newest!.key);
        expect(await docket.retry(newest!.id)).toMatchObject({ retried: [{ key: newest!.key }] });
        await stage.finish({ breaks }, { maxFailures: 2 });
        expect(runs).toBe(4);
        expect(await docket.discard({})).toBe(2);
      });

      test('keeps unreadable messages as failures', async () => {
        const redis = await stage.redis();
        await redis.xadd(stage.key('work'), '*', 'm', 'not a message');
        await stage.finish({ note });
        const failures = await collect(stage.docket(options).failures());
        expect(failures).toMatchObject([{ key: null, kind: 'quarantined' }]);
      });
    },
  );

  test('reports results, ends and progress to those who wait', async () => {
    const ending = deferred();
    const counting = task('counting', async (_args: {}, { progress }) => {
      progress.increment(3);
      await ending.promise;
    });
    const docket = stage.docket();
    const doubled = await docket.add(double, { n: 21 });
    const counted = await docket.add(counting);
    const later = await docket.add(note, {}, { key: 'k', when: '1h' });
    const superseded = later.result().catch((error: unknown) => error);
    stage.work({ double, counting, note }, { concurrency: 2 });
    expect(await doubled.result()).toBe(42);
    await expect.poll(() => counted.sync().then(() => counted.progress.current)).toBe(3);
    await counted.progress.increment(4);
    ending.resolve();
    await counted.result();
    await counted.sync();
    expect(counted.progress.current).toBe(7);
    const newer = await docket.replace(note, {}, { key: 'k', when: '1h' });
    expect(await superseded).toBeInstanceOf(ExecutionSupersededError);
    const cancelled = newer.result().catch((error: unknown) => error);
    await newer.cancel();
    expect(await cancelled).toBeInstanceOf(ExecutionCancelledError);
  });

  test('lists its workers, and by name what runs and waits', async () => {
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', { limits: [concurrencyLimit({ max: 1 })] }, () => {
      started.resolve();
      return ending.promise;
    });
    const docket = stage.docket({ executionTtl: 0 });
    const running = await docket.add(hold);
    const worker = stage.work({ hold }, { concurrency: 2 });
    await started.promise;
    const waiting = await docket.add(hold);
    await expect.poll(async () => (await docket.snapshot()).totals.waiting).toBe(1);
    const snapshot = await docket.snapshot();
    expect(snapshot.running).toMatchObject([{ key: running.key, worker: worker.name }]);
    expect(snapshot.waiting).toMatchObject([{ key: waiting.key }]);
    expect((await docket.taskWorkers(hold)).map(({ name }) => name)).toEqual([worker.name]);
    expect(await docket.clear()).toBe(1); // what waits
    ending.resolve();
    await worker.close();
    expect(await docket.workers()).toEqual([]);
  });

  test('recalls what was rerouted for want of a worker with its task', async () => {
    const ran = deferred();
    const late = task('late', () => ran.resolve());
    const docket = stage.docket();
    await docket.add(late);
    stage.work({ note });
    await expect.poll(async () => (await docket.snapshot()).totals.scheduled).toBe(1);
    stage.work({ late });
    await ran.promise;
  });

  test('starts the chains of automatic tasks once', async () => {
    let runs = 0;
    const sweep = task('sweep', { perpetual: perpetual({ every: '1h', automatic: true }) }, () => void runs++);
    stage.work({ sweep });
    stage.work({ sweep });
    const docket = stage.docket();
    await expect.poll(async () => (await docket.getExecution('sweep'))?.state).toBe('scheduled');
    expect(runs).toBe(1);
    await docket.cancel('sweep');
  });

  test('pauses and resumes tasks', async () => {
    const docket = stage.docket();
    const ran: number[] = [];
    const step = task('step', ({ n }: { n: number }) => void ran.push(n));
    await docket.pause(step);
    stage.work({ step });
    await docket.addMany([1, 2, 3].map((n) => call(step, { n })));
    await waitFor(async () => (await docket.snapshot()).totals.paused === 3);
    await docket.resume(step);
    await waitFor(() => ran.length === 3);
    expect(ran).toEqual([1, 2, 3]);
  });

  test('is measured, and has a history', async () => {
    const docket = stage.docket({ heartbeatInterval: '50ms' });
    const [redis, keys] = [await stage.redis(), keysOf(stage.name)];
    await docket.addMany([call(note), call(note)]);
    await waitFor(async () => (await measure(redis, keys)).oldestQueuedMs > 0);
    stage.work({ note }, {}, docket);
    await waitFor(async () => (await docket.stats()).find(({ task }) => task === 'note')?.succeeded === 2);
    await waitFor(async () => (await measure(redis, keys)).workers === 1);
    expect((await measure(redis, keys)).oldestQueuedMs).toBe(0);
  });

  test('lists a schedule and runs it now', async () => {
    let runs = 0;
    const report = task('report', () => void runs++);
    const docket = stage.docket();
    await docket.add(report, {}, { key: 'monthly', perpetual: cron('0 0 1 * *'), times: 2 });
    stage.work({ report });
    expect(await docket.runNow('monthly')).toBe(true);
    await expect.poll(() => runs).toBe(1);
    const listed = async () => (await schedulesOf(docket))[0];
    await expect.poll(listed).toMatchObject({ key: 'monthly', runsLeft: 1, lastOutcome: { state: 'completed' } });
    expect(await docket.runNow('monthly')).toBe(true);
    await expect.poll(listed).toBe(undefined);
    expect(runs).toBe(2);
  });

  test('counts failures by their errors', async () => {
    const boom = task('boom', () => {
      throw new RangeError('boom');
    });
    const docket = stage.docket();
    await docket.addMany([call(boom), call(boom)]);
    await stage.finish({ boom });
    expect(await docket.failureGroups()).toMatchObject([{ task: 'boom', errorName: 'RangeError', count: 2 }]);
    expect(await docket.discard({})).toBe(2);
  });

  test('is divided, moves what is in the wrong partition, and is made whole again', async () => {
    const charge = task('charge', { limits: [concurrencyLimit('customer')] }, (_args: { customer: string }) => {});
    const docket = stage.docket({ executionTtl: '1s' });
    await divide(docket, 2);
    const keys = [keyIn(0, 2), keyIn(1, 2)];
    // The producer knows only the name of the task, so it goes by the keys.
    const added = await docket.addMany(keys.map((key) => call('charge', { customer: 'c' }, { key })));
    await stage.finish({ charge });
    expect((await Promise.all(added.map(({ key }) => docket.getExecution(key)))).map((one) => one?.state)).toEqual([
      'completed',
      'completed',
    ]);

    const isLimitIn = partitionOf('charge:s=d', 2);
    const key = keyIn(1 - isLimitIn, 2, 'replaced');
    const old = await docket.add(charge, { customer: 'd' }, { key, when: '1h' });
    await docket.replace(note, {}, { key });
    await expect(old.sync()).rejects.toThrow(ExecutionSupersededError);
    await stage.finish({ note });

    await divide(docket, 1, { force: true });
    const redis = await stage.redis();
    await expect.poll(async () => (await redis.keys(stage.key('run:*'))).length).toBe(0);
    await expect.poll(async () => (await redis.keys(`{${stage.name}/*}:run:*`)).length).toBe(0);
    await divide(docket, 1);
    expect((await loadLayout(redis, keysOf(stage.name))).draining).toEqual([]);
  });

  test('clears an execution that a worker moves to another partition', async () => {
    const docket = stage.docket();
    await divide(docket, 2);
    const redis = await stage.redis();
    const [here, there] = [keyIn(0, 2, 'moving'), (await loadLayout(redis, keysOf(stage.name))).tags[1]!];
    await docket.add(note, {}, { key: here, when: '1h' });
    await redis.hset(stage.key(`run:${here}`), RECORD.departing, `${there} a move that no worker makes any more`);
    expect(await docket.clear()).toBe(1);
    expect(await docket.getExecution(here)).toMatchObject({ state: 'cancelled' });
    await divide(docket, 1, { force: true });
  });

  test('has run each of its scripts by now', async () => {
    stage.work({ note }, { redeliveryTimeout: '300ms' }); // it looks for what was lost, which no test above waits for
    const left = () => Object.entries(SCRIPTS).flatMap(([name, { sha }]) => (ran.has(sha) ? [] : [name]));
    await expect.poll(left, { timeout: 10_000 }).toEqual([]);
  });
});

/** The hashes of scripts that this process has asked for, while the suite runs. */
function scriptsThatRun(): ReadonlySet<string> {
  const hashes = new Set<string>();
  const { sendCommand } = Redis.prototype;
  beforeAll(() => {
    Redis.prototype.sendCommand = function (this: Redis, command, ...rest) {
      if (/^evalsha$/i.test(command.name)) hashes.add(String(command.args[0]));
      return sendCommand.call(this, command, ...rest);
    };
  });
  afterAll(() => {
    Redis.prototype.sendCommand = sendCommand;
  });
  return hashes;
}
