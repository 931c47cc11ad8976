/** A worker that stops finishes what runs, hands back what does not, and charges nobody for it. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'docket/worker';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openFleet, TASKS } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { holdingProxy } from '../support/proxy.js';
import { describeEachMode, describeOnAnyServer, describeOnOwnRedis, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

interface About {
  attempt: number;
  redelivered: boolean;
  worker: { name: string };
}

describeEachMode('a worker that stops', (url, threads) => {
  test('finishes what runs', async () => {
    const fleet = await openFleet(url());
    const running = await fleet.worker({ threads, concurrency: 2 });
    const { docket, probe } = fleet;
    const held = await Promise.all(['a', 'b'].map((key) => docket.add('hold', { probe, value: key }, { key })));
    await Promise.all([fleet.step('start a 1'), fleet.step('start b 1')]);
    const stopped = running.stop();
    await fleet.release();
    await stopped;
    for (const execution of held) await execution.sync();
    expect(held.map(({ state, worker }) => [state, worker])).toEqual([
      ['completed', running.worker.name],
      ['completed', running.worker.name],
    ]);
    expect(await Promise.all(held.map((execution) => execution.result()))).toEqual(['a', 'b']);
  });

  test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
    'requeues what has not started, uncharged, and reads no more (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      const first = await fleet.worker({ threads: Math.min(threads, 1), concurrency: 1 });
      const { docket, probe } = fleet;
      // A known duration makes it read ahead.
      await Promise.all(Array.from({ length: 50 }, () => docket.add('noop')));
      await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 0);
      await docket.add('hold', { probe }, { key: 'held' });
      await fleet.step('start held 1');
      const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
      for (const key of keys) await docket.add('hold', { probe }, { key });
      const stopped = first.stop();
      await waitFor(async () => (await fleet.pending()) === 1); // the one that runs
      await docket.add('hold', { probe }, { key: 'later' });
      await fleet.worker({ threads, concurrency: 4 });
      await fleet.release();
      await stopped;
      await waitFor(async () => (await fleet.steps()).length === 2 * 22);
      const starts = (await fleet.steps()).filter((step) => step.startsWith('start'));
      expect(starts.sort()).toEqual(['held', 'later', ...keys].map((key) => `start ${key} 1`).sort());
    },
  );

  test('requeues executions as ones that were neither delivered nor tried before', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({ threads: Math.min(threads, 1), concurrency: 1 });
    const { docket, probe } = fleet;
    await Promise.all(
      (await Promise.all(Array.from({ length: 50 }, () => docket.add('about')))).map((e) => e.result()),
    );
    const held = await docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    const executions = await Promise.all(Array.from({ length: 10 }, () => docket.add('about')));
    const stopped = first.stop();
    await waitFor(async () => (await fleet.pending()) === 1);
    const second = await fleet.worker({ threads });
    for (const execution of executions) {
      const about = (await execution.result()) as About;
      expect(about).toMatchObject({ attempt: 1, redelivered: false, worker: { name: second.worker.name } });
    }
    await fleet.release();
    await held.result();
    await stopped;
  });

  test.each(['signal', 'timer', 'loop'].filter((how) => threads > 0 || how !== 'loop'))(
    'interrupts what still runs near the drain timeout, and requeues it uncharged (%s)',
    async (how) => {
      const fleet = await openFleet(url());
      const first = await fleet.worker({ threads, drainTimeout: '1s', abortGrace: '900ms' });
      const execution = await fleet.docket.add('patient', { probe: fleet.probe, how }, { key: 'k' });
      await fleet.step('waits k');
      const began = performance.now();
      await first.stop();
      expect(performance.now() - began).toBeLessThan(15_000);
      await execution.sync();
      expect(execution).toMatchObject({ state: 'queued', attempt: 1 });
      await fleet.release();
      const second = await fleet.worker({ threads });
      expect(await execution.result()).toEqual({ attempt: 1, redelivered: false, worker: second.worker.name });
      expect(await fleet.steps()).toEqual(['start k 1', 'waits k', 'start k 1']);
    },
  );

  test('with nothing to do is gone at once', async () => {
    const fleet = await openFleet(url());
    // On a real Redis the blocking read is cut short; the embedded one cannot.
    const isEmbedded = url().startsWith('memory:');
    const running = await fleet.worker({ threads, minimumCheckInterval: isEmbedded ? '1s' : '20s' });
    const began = performance.now();
    await running.stop();
    expect(performance.now() - began).toBeLessThan(15_000);
    const { name } = running.worker;
    const told = running.lines.map(({ message }) => message).slice(-2);
    expect(told).toEqual([
      `worker ${name} is draining: it takes no new work and lets running work finish`,
      `worker ${name} has stopped`,
    ]);
  });
});

describeOnAnyServer('a worker that stops while its threads are busy', (url) => {
  test('terminates threads at the drain timeout when their tasks do not listen, and requeues these uncharged', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({ threads: 2, drainTimeout: '500ms', abortGrace: '200ms' });
    const { docket, probe } = fleet;
    const keys = ['a', 'b'];
    const stubborn = await Promise.all(keys.map((key) => docket.add('patient', { probe, how: 'stubborn' }, { key })));
    await Promise.all(keys.map((key) => fleet.step(`waits ${key}`)));
    const began = performance.now();
    await first.stop();
    expect(performance.now() - began).toBeLessThan(10_000);
    await fleet.release();
    const second = await fleet.worker({ threads: 2 });
    const expected = { attempt: 1, redelivered: false, worker: second.worker.name };
    expect(await Promise.all(stubborn.map((execution) => execution.result()))).toEqual([expected, expected]);
  });

  test('keeps its leases while it waits, however long that takes', async () => {
    const fleet = await openFleet(url());
    const lease = { redeliveryTimeout: '300ms' } as const;
    const first = await fleet.worker({ threads: 1, ...lease });
    const execution = await fleet.docket.add('hold', { probe: fleet.probe, value: 'first' }, { key: 'k' });
    await fleet.step('start k 1');
    const second = await fleet.worker({ threads: 1, ...lease });
    const pause = await fleet.docket.add('sleep', { seconds: 1.5 });
    const stopped = first.stop();
    await pause.result(); // five leases
    await fleet.release();
    expect(await execution.result()).toBe('first');
    await stopped;
    expect(await fleet.steps()).toEqual(['start k 1', 'end k 1']);
    expect([...first.lines, ...second.lines].filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });

  test('lets tasks add work to the end', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({ threads: 1 });
    const { docket, probe } = fleet;
    const execution = await docket.add('holdThenAdd', { probe }, { key: 'k' });
    await fleet.step('start k 1');
    const stopped = first.stop();
    await fleet.release();
    await execution.result();
    await stopped;
    const child = await docket.getExecution('k-child');
    expect(child?.state).toBe('queued');
    await (await fleet.worker({ threads: 0 })).stop();
    fleet.leavesWork();
  });
});

describeOnOwnRedis('a worker that is stopped while Redis is away', (redis) => {
  test('ends within its drain timeout', async () => {
    const fleet = await openFleet(redis().url);
    const command = fleet.command(['--threads', '1', '--drain-timeout', '2s']);
    await command.ready();
    await redis().kill();
    command.process.kill('SIGTERM');
    try {
      await Promise.race([command.ended, waitFor(() => false, { timeoutMs: 10_000 })]); // 5 times what it was given
    } finally {
      await redis().start();
    }
    expect(await command.ended).toEqual({ code: 0, signal: null });
    fleet.leavesWork();
  });
});

describeOnRedis('a worker that is stopped while it starts', (url) => {
  test('ends although it cannot load the strikes', async () => {
    const proxy = await holdingProxy(new URL(url()).pathname);
    proxy.hold(':strikes');
    const fleet = await openFleet(proxy.url);
    const worker = new Worker(fleet.docket, { tasks: TASKS, threads: 1, logger: recordingLogger().logger });
    const ended = worker.runForever();
    await proxy.held;
    await worker.close();
    await expect(ended).resolves.toBeUndefined();
    proxy.release();
  });
});

describeOnAnyServer('a worker that is stopped while a thread starts', (url) => {
  test('ends although that thread hangs as it loads the tasks', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'docket-hangs-')), 'loaded');
    process.env.HANGS_FILE = file;
    onTestFinished(() => void delete process.env.HANGS_FILE);
    const fleet = await openFleet(url());
    const tasks = fixture('hangs-on-load.js');
    const running = await fleet.worker({ tasks, threads: 1, maxTasksPerThread: 1, drainTimeout: '60s' });
    expect(await (await fleet.docket.add('once', {})).result()).toBe('ran');
    await waitFor(() => existsSync(`${file}.hangs`));
    await running.stop();
    expect(running.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });
});

describeOnAnyServer('a worker that has stopped', (url) => {
  test('does not keep others from looking for expired leases', async () => {
    const fleet = await openFleet(url());
    await (await fleet.worker({ threads: 0 })).stop();
    expect(await fleet.redis.exists(fleet.key('sweeper'))).toBe(0);
  });
});
