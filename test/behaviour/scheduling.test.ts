import { call, exponentialRetry, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { killClients, subscriptions } from '../support/clients.js';
import { collect } from '../support/collect.js';
import { monitor } from '../support/monitor.js';
import { holdingProxy } from '../support/proxy.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');

const note = task('note', (_args: { n?: number }) => {});
/** Heartbeats look at the schedule, too. With these, a worker looks at it only when it is woken. */
const RARE_LOOKS = { schedulingResolution: '60s' } as const;
const RARE_HEARTBEATS = { heartbeatInterval: '60s' } as const;

describeEachServer('scheduling:', (url) => {
  const stage = setStage(url);

  test('a date or a duration in the future is waited for', async () => {
    const docket = stage.docket();
    const when = new Date(Date.now() + 3_600_000);
    const executions = await docket.addMany([
      call(note, {}, { when }),
      call(note, {}, { when: '1.5h' }),
      call(note, {}, { when: 3_600_000, key: 'k' }),
    ]);
    expect(executions.map(({ state }) => state)).toEqual(['scheduled', 'scheduled', 'scheduled']);
    expect(executions[0]!.when).toEqual(when);
    expect(executions[1]!.when.getTime() - executions[2]!.when.getTime()).toBe(1_800_000);
    const redis = await stage.redis();
    expect([await redis.zcard(stage.key('schedule')), await redis.xlen(stage.key('work'))]).toEqual([3, 0]);
  });

  test('nothing starts before its time', async () => {
    const docket = stage.docket();
    const now = Date.now();
    const executions = await docket.addMany(
      [250, '0.2s', 1, 30, new Date(now + 300), new Date(now + 150)].map((when) =>
        call(note, {}, { when: when as number | Date }),
      ),
    );
    await stage.finish({ note });
    for (const execution of executions) {
      await execution.sync();
      expect(execution.startedAt!.getTime()).toBeGreaterThanOrEqual(execution.when.getTime());
    }
  });

  test('a duration counts from the clock of the server', async () => {
    const redis = await stage.redis();
    const execution = await stage.docket().add(note, {}, { when: '1h' });
    const [seconds, microseconds] = await redis.time();
    const nowMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    const aheadMs = execution.when.getTime() - nowMs;
    expect(aheadMs).toBeLessThanOrEqual(3_600_000);
    expect(aheadMs).toBeGreaterThan(3_600_000 - 5_000);
    expect(Number(await redis.zscore(stage.key('schedule'), `k${execution.key}`))).toBe(execution.when.getTime());
  });

  test('the past and a duration of 0 mean now', async () => {
    const docket = stage.docket();
    const executions = await docket.addMany([
      call(note, {}, { when: new Date(0) }),
      call(note, {}, { when: new Date(-1) }),
      call(note, {}, { when: new Date(Date.now() - 1) }),
      call(note, {}, { when: 0 }),
      call(note, {}, { when: '0s' }),
      call(note, {}, { key: 'k', when: new Date(1) }),
    ]);
    expect(executions.map(({ state }) => state)).toEqual(executions.map(() => 'queued'));
    expect(await (await stage.redis()).zcard(stage.key('schedule'))).toBe(0);
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(executions.length);
  });

  test('executions run in the order of their due times, whatever the order of the adds', async () => {
    const started: number[] = [];
    const record = task('record', ({ n }: { n: number }) => void started.push(n));
    const order = [3, 1, 4, 0, 2];
    await stage.docket().addMany(order.map((n) => call(record, { n }, { key: `k${n}`, when: 100 + 20 * n })));
    await stage.finish({ record });
    expect(started).toEqual([0, 1, 2, 3, 4]);
  });

  test('a body sees when it was due', async () => {
    const told: Date[] = [];
    const dueAt = task('dueAt', (_args: {}, ctx) => void told.push(ctx.when));
    const tracked = await stage.docket().add(dueAt, {}, { when: '100ms' });
    const lean = await stage.docket({ executionTtl: 0 }).add(dueAt, {}, { when: '500ms' });
    await stage.finish({ dueAt });
    expect(told).toEqual([tracked.when, lean.when]);
  });

  test('an execution that is now due first wakes the scheduler, however long it meant to sleep', async () => {
    const docket = stage.docket();
    const woken = task('woken', () => 'in time');
    await docket.add(note, {}, { key: 'far', when: '1h' });
    stage.work({ woken, note }, RARE_LOOKS, stage.docket(RARE_HEARTBEATS));
    await waitFor(async () => (await stage.keys()).includes('workers'));
    for (const key of ['first', 'second', undefined]) {
      const execution = await docket.add(woken, {}, { ...(key && { key }), when: '100ms' });
      expect(await execution.result({ timeout: '20s' })).toBe('in time');
    }
  });

  test('a retry that is now due first wakes the scheduler, too', async () => {
    const flaky = task(
      'flaky',
      { retry: exponentialRetry({ attempts: 2, minimumDelay: '100ms' }) },
      (_args: {}, { attempt }) => {
        if (attempt === 1) throw new Error('not yet');
        return attempt;
      },
    );
    stage.work({ flaky }, RARE_LOOKS, stage.docket(RARE_HEARTBEATS));
    const execution = await stage.docket().add(flaky);
    expect(await execution.result({ timeout: '20s' })).toBe(2);
  });

  test('more executions than a batch holds are moved as a whole when they are due at once', async () => {
    let runs = 0;
    const count = task('count', () => void runs++);
    await stage.docket().addMany(Array.from({ length: 700 }, () => call(count, {}, { when: '50ms' })));
    await stage.finish({ count }, { schedulingResolution: '60s' });
    expect(runs).toBe(700);
    expect(await (await stage.redis()).zcard(stage.key('schedule'))).toBe(0);
  });

  test('a long execution does not keep others from becoming due', async () => {
    const ending = deferred();
    const hold = task('hold', () => ending.promise);
    const docket = stage.docket();
    const long = await docket.add(hold);
    const due = await docket.add(note, {}, { when: '50ms' });
    stage.work({ hold, note }, { concurrency: 2, ...RARE_LOOKS }, stage.docket(RARE_HEARTBEATS));
    await due.result({ timeout: '20s' });
    await long.sync();
    expect(long.state).toBe('running');
    ending.resolve();
  });

  test('a member of the schedule without a record is kept as a failure, and executions behind it run', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await redis.zadd(stage.key('schedule'), 1, 'korphan', 2, 'lanother');
    const execution = await docket.add(note, {}, { when: '50ms' });
    await stage.finish({ note });
    await execution.sync();
    expect(execution.state).toBe('completed');
    const failures = await collect(docket.failures());
    expect(failures.map(({ key, kind, reason }) => [key, kind, reason])).toEqual(
      ['another', 'orphan'].map((key) => [key, 'quarantined', 'its message was lost']),
    );
  });

  test('two workers share a schedule, and nothing is moved twice', async () => {
    let runs = 0;
    const count = task('count', () => void runs++);
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(count, {}, { when: 50 + (n % 20) })));
    await Promise.all([stage.finish({ count }), stage.finish({ count })]);
    expect(runs).toBe(300);
  });
});

describeOnRedis('scheduling:', (url) => {
  const stage = setStage(url);

  test('an execution whose wake-up was lost is moved by what the next heartbeat sees', async () => {
    const redis = await stage.redis();
    const execution = await stage.docket().add(note, {}, { when: '1h' });
    stage.work({ note }, RARE_LOOKS, stage.docket({ heartbeatInterval: '50ms' }));
    await waitFor(async () => (await subscriptions(redis)).join() === '5');
    await redis.zadd(stage.key('schedule'), 1, `k${execution.key}`); // nothing is published
    await expect(execution.result({ timeout: '20s' })).resolves.toBeUndefined();
  });

  test('nothing but heartbeats looks at a schedule on which nothing is due', async () => {
    const redis = await stage.redis();
    await stage.docket().add(note, {}, { when: '1h' });
    stage.work({ note }, { schedulingResolution: '2s' }, stage.docket({ heartbeatInterval: '20ms' }));
    await waitFor(async () => (await subscriptions(redis)).join() === '5');
    const ran = { heartbeats: 0, moves: 0 };
    const stop = await monitor(stage.url, ({ args: [command, sha] }) => {
      if (command?.toUpperCase() !== 'EVALSHA') return;
      if (sha === SCRIPTS.heartbeat.sha) ran.heartbeats += 1;
      if (sha === SCRIPTS['move-due'].sha) ran.moves += 1;
    });
    await waitFor(() => ran.heartbeats > 10);
    ran.moves = 0; // the scheduler has looked after it had subscribed
    const before = ran.heartbeats;
    await waitFor(() => ran.heartbeats > before + 150, { timeoutMs: 60_000 }); // takes longer than the resolution
    stop();
    expect(ran.moves).toBe(0);
  });

  test('an execution that becomes due before a worker has subscribed wakes it once it has', async () => {
    const redis = await stage.redis();
    await redis.config('RESETSTAT');
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    proxy.hold(stage.key('wake'));
    stage.work({ note }, RARE_LOOKS, stage.docket({ url: proxy.url, ...RARE_HEARTBEATS }));
    await proxy.held;
    const looks = async () => Number(/cmdstat_zrange:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    await waitFor(async () => (await looks()) >= 5); // two of the heartbeat: the scheduler has seen that nothing is due
    const execution = await stage.docket().add(note, {}, { when: '50ms' });
    proxy.release();
    await expect(execution.result({ timeout: '20s' })).resolves.toBeUndefined();
  });

  test('an execution that becomes due while a worker has lost its subscription wakes it once it is back', async () => {
    const redis = await stage.redis();
    const docket = stage.docket();
    stage.work({ note }, RARE_LOOKS, stage.docket(RARE_HEARTBEATS));
    await waitFor(async () => (await subscriptions(redis)).join() === '5'); // wake-ups, cancels, strikes and pauses
    await killClients(redis, 'pubsub');
    const execution = await docket.add(note, {}, { when: '50ms' });
    await expect(execution.result({ timeout: '20s' })).resolves.toBeUndefined();
  });
});
