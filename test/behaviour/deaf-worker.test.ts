/** A worker that reads and writes but receives no messages: only the link of its subscriptions is gone. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { killClients } from '../support/clients.js';
import { holdingProxy } from '../support/proxy.js';
import { setStage } from '../support/stage.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

describeOnRedis('a worker that hears nothing', (url) => {
  const stage = setStage(url);
  const path = () => new URL(stage.url).pathname;

  /** Tasks of which one keeps the worker busy, so that nothing else is read until the test lets it end. */
  function setUp() {
    const ran: number[] = [];
    const busy = deferred();
    const ending = deferred();
    const blocker = task('blocker', async () => {
      busy.resolve();
      await ending.promise;
    });
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    return { ran, busy, ending, blocker, note, tasks: { blocker, note } };
  }

  /** Waits until the one worker has nothing but the execution that runs. */
  async function untilOnlyOneIsRead(): Promise<void> {
    const redis = await stage.redis();
    await waitFor(async () => {
      const counts = ['work', 'front'].map((stream) => redis.xpending(stage.key(stream), 'workers'));
      return (await Promise.all(counts)).reduce((sum, [count]) => sum + Number(count), 0) === 1;
    });
  }

  async function untilEmpty(): Promise<void> {
    const redis = await stage.redis();
    await waitFor(async () => (await redis.xlen(stage.key('work'))) + (await redis.xlen(stage.key('front'))) === 0);
  }

  test('does not start what was cancelled or struck after its link broke', async () => {
    const { ran, busy, ending, blocker, note, tasks } = setUp();
    const proxy = await holdingProxy(path());
    stage.work(tasks, { concurrency: 1 }, stage.docket({ url: proxy.url }));
    const lean = stage.docket({ executionTtl: 0 });
    await lean.add(blocker);
    await busy.promise;
    const redis = await stage.redis();
    proxy.hold();
    await killClients(redis, 'pubsub');
    await proxy.held;
    const [cancelled] = await lean.addMany([1, 2, 3].map((n) => call(note, { n })));
    const kept = await stage.docket().add(note, { n: 2 });
    await lean.cancel(cancelled!.key);
    await lean.strike(note, 'n', '==', 2);
    await untilOnlyOneIsRead();
    ending.resolve();
    await untilEmpty();
    expect(ran).toEqual([3]);
    await expect(kept.result()).rejects.toThrow('struck');
    expect(await redis.exists(stage.key('cancelled'))).toBe(0); // honoured
    proxy.release();
  });

  test('asks Redis before it starts anything while its link is silent', async () => {
    const { ran, busy, ending, blocker, note, tasks } = setUp();
    const proxy = await stoppingProxy(path());
    stage.work(tasks, { concurrency: 1 }, stage.docket({ url: proxy.url }));
    const lean = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    const looks = async () => Number(/cmdstat_zmscore:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    await lean.add(note, { n: 0 });
    await waitFor(() => ran.length === 1);
    const before = await looks();
    proxy.hold('subscriber');
    await waitFor(async () => {
      await lean.add(note, { n: 0 });
      return (await looks()) > before;
    });
    await lean.add(blocker);
    await busy.promise;
    const [cancelled] = await lean.addMany([1, 2, 3].map((n) => call(note, { n })));
    await lean.cancel(cancelled!.key);
    await lean.strike(note, 'n', '==', 2);
    await untilOnlyOneIsRead();
    ending.resolve();
    await untilEmpty();
    expect(ran.filter((n) => n > 0)).toEqual([3]);
    proxy.release();
  });

  test('does not start what was claimed as it was read, and cancelled before it heard of either', async () => {
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    const proxy = await stoppingProxy(path());
    stage.work({ note }, { minimumCheckInterval: '5s' }, stage.docket({ url: proxy.url }));
    const docket = stage.docket();
    const redis = await stage.redis();
    const looks = async () =>
      Number(/cmdstat_zrangebyscore:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    for (let i = 0; i < 2; i++) await (await docket.add(note, { n: 0 })).result(); // now it claims what it reads
    proxy.hold('blocking');
    const claimed = await docket.add(note, { n: 1 });
    await waitFor(async () => (await docket.getExecution(claimed.key))?.state === 'running');
    const before = await looks();
    await killClients(redis, 'pubsub');
    await claimed.cancel();
    await waitFor(async () => (await looks()) > before); // it has asked for cancels that it missed
    proxy.release();
    await untilEmpty();
    expect(ran).toEqual([0, 0]);
    expect((await docket.getExecution(claimed.key))?.state).toBe('cancelled');
  });
});
