/** Cancelling: wherever an execution is, it does not run any more, nobody waits in vain for it, and its key is free. */
import { ExecutionCancelledError, perpetual, task } from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import type { Delivery, DeliveryPipeline } from '../../src/worker/delivery.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { type Added, addEachWay, CHAINS, left, ran, runsOf } from '../support/chains.js';
import { killClients } from '../support/clients.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { holdingProxy } from '../support/proxy.js';
import { setStage } from '../support/stage.js';
import { describeEachMode, describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { encoderFor } = await importBuilt<typeof import('../../src/wire/codec.js')>('wire/codec.js');
const { Envelope, encodeEnvelope } = await importBuilt<typeof import('../../src/wire/envelope.js')>('wire/envelope.js');
const { Delivery: BuiltDelivery } =
  await importBuilt<typeof import('../../src/worker/delivery.js')>('worker/delivery.js');
const { CancelListener } = await importBuilt<typeof import('../../src/worker/intake/cancel-listener.js')>(
  'worker/intake/cancel-listener.js',
);

/** Plain and perpetual ones, each in all ways in which executions are kept. */
async function addAll(fleet: Fleet, args: object, options: { when?: '1h' } = {}): Promise<Added[]> {
  const chains = await addEachWay(fleet, 'hourly', args, options);
  const keyless = (await addEachWay(fleet, 'once', args, options)).filter(
    ({ key }) => key !== 'kept' && key !== 'lean',
  );
  const { docket, probe } = fleet;
  const kept = await docket.add('once', { probe, ...args }, { ...options, key: 'plain' });
  return [...chains, ...keyless, Object.defineProperty(kept, 'keeps', { value: true }) as Added];
}

/** Waits for the results of those that have one. */
function results(executions: readonly Added[]): Promise<unknown[]> {
  const kept = executions.filter(({ keeps }) => keeps);
  return Promise.all(kept.map((execution) => execution.result().catch((error) => error.name)));
}

async function cancelAll(fleet: Fleet, executions: readonly Added[]): Promise<void> {
  await Promise.all(executions.map(({ key }) => fleet.docket.cancel(key)));
}

async function expectCancelled(fleet: Fleet, executions: readonly Added[], ended: Promise<unknown[]>): Promise<void> {
  await waitFor(async () => (await left(fleet)) === 0);
  for (const name of await ended) expect(name).toBe(ExecutionCancelledError.name);
  for (const { key, keeps } of executions) {
    expect((await fleet.docket.getExecution(key))?.state).toBe(keeps ? 'cancelled' : undefined);
  }
}

describeEachMode('cancelling', (url, threads) => {
  const worker = (fleet: Fleet, concurrency = 16) => fleet.worker({ tasks: CHAINS, threads, concurrency });

  test('a scheduled execution removes it', async () => {
    const fleet = await openFleet(url());
    const executions = await addAll(fleet, {}, { when: '1h' });
    const ended = results(executions);
    await cancelAll(fleet, executions);
    await expectCancelled(fleet, executions, ended);
    expect(await fleet.redis.exists(fleet.key('cancelled'))).toBe(0); // nothing to remember
  });

  test('a queued execution keeps later workers from running it, and nothing else', async () => {
    const fleet = await openFleet(url());
    const executions = await addAll(fleet, {});
    const ended = results(executions);
    await cancelAll(fleet, executions);
    const other = await fleet.docket.add('once', { probe: fleet.probe, value: 'other' });
    await worker(fleet);
    expect(await other.result()).toBe('other');
    await expectCancelled(fleet, executions, ended);
    expect((await runsOf(fleet)).map(({ key }) => key)).toEqual([other.key]);
    await waitFor(async () => (await fleet.redis.exists(fleet.key('cancelled'))) === 0); // honoured
  });

  test('an execution that is queued behind a busy worker removes it', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ tasks: CHAINS, threads: Math.min(1, threads), concurrency: 1 });
    const busy = await fleet.docket.add('once', { probe: fleet.probe, how: 'hold' }, { key: 'busy' });
    await ran(fleet, busy);
    const executions = await addAll(fleet, {});
    const ended = results(executions);
    await cancelAll(fleet, executions);
    await fleet.release();
    await busy.result();
    await expectCancelled(fleet, executions, ended);
    expect(await runsOf(fleet)).toHaveLength(1);
  });

  test.each(['listen', 'loop'].filter((how) => threads > 0 || how !== 'loop'))(
    'a running execution stops it and its chain (%s)',
    async (how) => {
      const fleet = await openFleet(url());
      await fleet.worker({
        tasks: CHAINS,
        threads: how === 'loop' ? 4 : threads,
        concurrency: how === 'loop' ? 4 : 16,
        abortGrace: '20s',
      });
      const add = how === 'loop' ? () => addEachWay(fleet, 'hourly', { how }) : () => addAll(fleet, { how });
      const executions = await add();
      const ended = results(executions);
      for (const execution of executions) await ran(fleet, execution);
      await cancelAll(fleet, executions);
      await cancelAll(fleet, executions); // no difference
      await expectCancelled(fleet, executions, ended);
      expect(await runsOf(fleet)).toHaveLength(executions.length);
    },
  );

  test('an execution that completes all the same ends its chain, and lets it count as completed', async () => {
    const fleet = await openFleet(url());
    await worker(fleet);
    const plain = await addEachWay(fleet, 'once', { how: 'finish', value: 'done' });
    const ended = results(plain);
    for (const execution of plain) await ran(fleet, execution);
    await cancelAll(fleet, plain);
    expect(await ended).toEqual(['done', 'done']);
    await waitFor(async () => (await left(fleet)) === 0);
    const chains = await addEachWay(fleet, 'hourly', { how: 'finish' });
    for (const { key } of chains)
      await waitFor(async () => (await runsOf(fleet, key)).length > (key.length === 4 ? 1 : 0));
    await cancelAll(fleet, chains);
    await waitFor(async () => (await left(fleet)) === 0);
    expect(await runsOf(fleet)).toHaveLength(8);
  });

  test('an execution that waits for its next attempt removes it', async () => {
    const fleet = await openFleet(url());
    await worker(fleet);
    const executions = await addEachWay(fleet, 'retryingLater', { fails: 99 });
    const ended = results(executions);
    await waitFor(async () => (await fleet.redis.zcard(fleet.key('schedule'))) === 4);
    await cancelAll(fleet, executions);
    await expectCancelled(fleet, executions, ended);
  });

  test('frees the key at once, and an execution added afterwards runs, whatever was cancelled under that key', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const lean = fleet.with({ executionTtl: 0 });
    const ways = [docket, lean].flatMap((one, i) =>
      [{}, { when: '1h' } as const].map((options, j) => ({ one, options, key: `k${i}${j}` })),
    );
    for (const { one, options, key } of ways) {
      await one.cancel(key); // unknown yet
      await one.add('once', { probe, value: 'old' }, { ...options, key });
      await one.cancel(key);
      await one.cancel(key); // unknown again, or ended
      const { disposition } = await one.add('once', { probe, value: 'new' }, { key });
      expect(disposition).toBe('scheduled');
    }
    await worker(fleet);
    await waitFor(async () => (await left(fleet)) === 0);
    expect((await runsOf(fleet)).map(({ key, value }) => `${key} ${value}`).sort()).toEqual(
      ways.map(({ key }) => `${key} new`),
    );
    // A worker that has heard of the cancels, too.
    await lean.cancel('k00');
    await lean.add('once', { probe, value: 'newer' }, { key: 'k10' });
    await ran(fleet, { key: 'k10' }, 2);
    await waitFor(async () => (await left(fleet)) === 0);
  });

  test('leaves an execution that has ended as it is, and takes unknown keys', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await worker(fleet);
    const completed = await docket.add('once', { probe, value: 1 }, { key: 'completed' });
    const failed = await docket.add('once', { probe, fails: 1 });
    expect(await completed.result()).toBe(1);
    await expect(failed.result()).rejects.toThrow('attempt 1 fails');
    const before = await fleet.redis.hgetall(fleet.key('run:completed'));
    for (const key of ['completed', failed.key, 'nobody', 'x'.repeat(512), 'ключ']) await docket.cancel(key);
    await completed.cancel();
    expect(await completed.result()).toBe(1);
    await expect(failed.result()).rejects.toThrow('attempt 1 fails');
    expect(await fleet.redis.hgetall(fleet.key('run:completed'))).toEqual(before);
    expect(await docket.getExecution('nobody')).toBe(null);
    for (const bad of ['', 'x'.repeat(513), undefined as unknown as string])
      await expect(docket.cancel(bad)).rejects.toThrow('key');
  });

  test('while executions move loses none: each ends once, and nobody waits in vain', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    for (let i = 0; i < 2; i++) await worker(fleet);
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
    const states = await Promise.all(
      keys.map(async (key, i) => {
        const execution = await docket.add('retrying', { probe, fails: i % 3, value: 'done' }, { key, when: i % 7 });
        const ended = execution.result().catch((error) => error.name);
        await Promise.all([docket.cancel(key), execution.cancel()]);
        return [await ended, key] as const;
      }),
    );
    for (const [ended] of states) expect(['done', ExecutionCancelledError.name]).toContain(ended);
    expect(await left(fleet)).toBe(0);
    const again = await Promise.all(keys.map((key) => docket.add('once', { probe, value: 'again' }, { key })));
    expect(await Promise.all(again.map((execution) => execution.result()))).toEqual(keys.map(() => 'again'));
  });
});

describeOnRedis('cancelling an execution of another process', (url) => {
  const command = ['--tasks', CHAINS, '--abort-grace', '200ms', '--redelivery-timeout', '500ms'];

  test('ends it when it holds its thread and does not listen', async () => {
    const fleet = await openFleet(url());
    const process = fleet.command([...command, '--threads', '4']);
    const executions = await addEachWay(fleet, 'hourly', { how: 'stubborn' });
    const ended = results(executions);
    for (const execution of executions) await ran(fleet, execution);
    await cancelAll(fleet, executions);
    await expectCancelled(fleet, executions, ended); // of itself each would go on for a minute
    const after = await fleet.docket.add('once', { probe: fleet.probe, value: 'next' });
    expect(await after.result()).toBe('next'); // the threads are back
    expect(await runsOf(fleet)).toHaveLength(5);
    expect(process.lines.filter(({ message }) => message.includes('did not stop when it was asked to'))).toHaveLength(
      4,
    );
  });

  test('that dies before it has stopped keeps it from running again', async () => {
    const fleet = await openFleet(url());
    const { process, ended: died } = fleet.command([...command, '--threads', '1', '--concurrency', '8']);
    const executions = await addAll(fleet, { how: 'hold' });
    const ended = results(executions);
    for (const execution of executions) await ran(fleet, execution);
    process.kill('SIGSTOP');
    await cancelAll(fleet, executions);
    process.kill('SIGKILL');
    await died;
    await fleet.release();
    await fleet.worker({ tasks: CHAINS, threads: 1, redeliveryTimeout: '500ms' });
    await expectCancelled(fleet, executions, ended);
    expect(await runsOf(fleet)).toHaveLength(executions.length);
  });

  test('that drains before it has stopped keeps it from running again', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({
      tasks: CHAINS,
      threads: 1,
      concurrency: 8,
      drainTimeout: '300ms',
      abortGrace: '100ms',
    });
    const executions = await addAll(fleet, { how: 'hold' });
    const ended = results(executions);
    for (const execution of executions) await ran(fleet, execution);
    const stopped = first.stop();
    await cancelAll(fleet, executions);
    await stopped;
    await fleet.release();
    await fleet.worker({ tasks: CHAINS, threads: 1 });
    await expectCancelled(fleet, executions, ended);
    expect(await runsOf(fleet)).toHaveLength(executions.length);
  });
});

describeOnRedis('a cancel that was missed', (url) => {
  const stage = setStage(url);

  test('while the link was down takes effect once it is back', async () => {
    const redis = await stage.redis();
    const stopped: string[] = [];
    const started = { kept: deferred(), lean: deferred() };
    const listening = task('listening', async ({ name }: { name: 'kept' | 'lean' }, ctx) => {
      const aborted = new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
      started[name].resolve();
      await aborted;
      stopped.push(name);
      ctx.throwIfCancelled();
    });
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    stage.work({ listening }, { concurrency: 2 }, stage.docket({ url: proxy.url }));
    const docket = stage.docket();
    const kept = await docket.add(listening, { name: 'kept' });
    const lean = await stage.docket({ executionTtl: 0 }).add(listening, { name: 'lean' });
    await Promise.all([started.kept.promise, started.lean.promise]);
    proxy.hold();
    await killClients(redis, 'pubsub');
    await proxy.held;
    await docket.cancel(kept.key);
    await docket.cancel(lean.key);
    expect(stopped).toEqual([]);
    proxy.release();
    await expect(kept.result()).rejects.toThrow(ExecutionCancelledError);
    await waitFor(() => stopped.length === 2);
    await waitFor(async () => (await redis.xlen(stage.key('work'))) === 0);
  });

  test('while the link was down still ends a chain: its next run is not placed', async () => {
    const redis = await stage.redis();
    const ending = deferred();
    let runs = 0;
    const going = task('going', { perpetual: perpetual({ every: '1h' }) }, () => {
      runs++;
      return ending.promise;
    });
    const proxy = await holdingProxy(new URL(stage.url).pathname);
    stage.work({ going }, { concurrency: 4 }, stage.docket({ url: proxy.url }));
    const docket = stage.docket();
    const lean = stage.docket({ executionTtl: 0 });
    const chains = [await docket.add(going), await lean.add(going), await lean.add(going, {}, { key: 'lean' })];
    await waitFor(() => runs === 3);
    proxy.hold();
    await killClients(redis, 'pubsub');
    await proxy.held;
    for (const { key } of chains) await docket.cancel(key);
    ending.resolve();
    await waitFor(async () => (await redis.xlen(stage.key('work'))) === 0);
    proxy.release();
    expect(await redis.zcard(stage.key('schedule'))).toBe(0);
    expect((await docket.getExecution(chains[0]!.key))!.state).toBe('cancelled');
  });
});

describeEachServer('a cancel that is received', (url) => {
  /** A canceller on whose worker only these deliveries are, and none of them at its dispatcher yet. */
  async function start(held: readonly Delivery[]) {
    const fleet = await openFleet(url());
    const subscriber = await openConnection(url(), 'subscriber', { name: 'test' });
    onTestFinished(() => closeConnection(subscriber));
    const keys = keysOf(fleet.name);
    const options = { redis: fleet.redis, subscriber, keys, logger: recordingLogger().logger };
    const canceller = new CancelListener({
      ...options,
      inHand: () => held,
      dispatcher: { cancel: () => [], takeBackUnstarted: () => [] },
      settle: () => {},
    });
    canceller.start();
    onTestFinished(() => canceller.stop());
    await waitFor(async () => ((await fleet.redis.pubsub('NUMSUB', keys.cancel)) as [string, number])[1] === 1);
    return { canceller, fleet, keys };
  }

  function delivery(record: string | null, token: Delivery['token']): Delivery {
    const envelope = new Envelope(encodeEnvelope(encoderFor({}, 'args'), 'once', 0, record === null ? 'id' : null, {}));
    const counts = {
      deliveries: 0,
      charges: 0,
      reroutes: 0,
      admissionStage: 'new' as const,
      holdsPermits: false,
      hasBooking: false,
    };
    return new BuiltDelivery(
      { token, record, message: envelope.bytes, dueMs: 0, ...counts },
      envelope,
      {},
      {} as DeliveryPipeline,
    );
  }

  test('before the claim is confirmed is not forgotten', async () => {
    const claiming = delivery('k', 'w1-1');
    const other = delivery('other', 'w1-2');
    const { canceller, fleet, keys } = await start([claiming, other]);
    await fleet.redis.publish(keys.cancel, 'w1-1');
    await waitFor(() => canceller.isCancelled(claiming));
    expect(canceller.isCancelled(other)).toBe(false);
  });
});
