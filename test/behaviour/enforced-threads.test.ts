/** What holds with threads only: a task that takes its thread down costs nobody else anything. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PoisonedError, ThreadBootError } from 'docket';
import { Worker } from 'docket/worker';
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnAnyServer('a task that ends its thread', (url) => {
  test.each(['exitsAtOnce', 'throwsLater', 'rejectsLater'])(
    '(%s) is delivered again, then given up, and affects no other task',
    async (name) => {
      const fleet = await openFleet(url());
      const { lines } = await fleet.worker({ threads: 2, maxDeliveries: 2 });
      const { docket, probe } = fleet;
      const neighbour = await docket.add('hold', { probe, value: 'unharmed' }, { key: 'neighbour' });
      await fleet.step('start neighbour 1');
      const bad = await docket.add(name, {}, { key: 'bad' });
      const others = await Promise.all(
        Array.from({ length: 30 }, (_, i) => docket.add('counted', { probe }, { key: `k${i}` })),
      );

      await expect(bad.result()).rejects.toThrow(PoisonedError);
      await expect(bad.result()).rejects.toMatchObject({ key: 'bad', charges: 2 });
      await Promise.all(others.map((execution) => execution.result()));
      await fleet.release();
      expect(await neighbour.result()).toBe('unharmed');
      await bad.sync();
      expect(bad).toMatchObject({ state: 'failed', attempt: 1 });
      expect(await fleet.counts()).toEqual(Object.fromEntries(others.map(({ key }) => [key, 1])));
      expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toEqual(['start neighbour 1']);
      expect(lines.filter(({ message }) => message.startsWith('a worker thread died and is replaced: '))).toHaveLength(
        2,
      );
    },
  );

  test('is marked as redelivered when it runs again, in the same attempt', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    const execution = await fleet.docket.add('exits', { probe: fleet.probe, once: true }, { key: 'x' });
    expect(await execution.result()).toBe('survived');
    await execution.sync();
    expect(execution.attempt).toBe(1);
    expect(await fleet.counts()).toEqual({ x: 2 });
  });

  test('is given up without a trace when it keeps no state', async () => {
    const fleet = await openFleet(url(), { executionTtl: 0 });
    const { lines } = await fleet.worker({ threads: 1, maxDeliveries: 3 });
    await fleet.docket.add('exits', { probe: fleet.probe });
    await fleet.docket.add('exits', { probe: fleet.probe }, { key: 'keyed' });
    await waitFor(() => lines.filter(({ message }) => message.includes('so it is not retried')).length === 2);
    expect(Object.values(await fleet.counts())).toEqual([3, 3]);
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 0);
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('front'))) === 0);
  });

  test('does not undo what had ended before its thread did', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 2 });
    const { docket, probe } = fleet;
    const executions = await Promise.all(
      Array.from({ length: 8 }, (_, i) => docket.add('exitsAfterwards', { probe }, { key: `k${i}` })),
    );
    // The thread ends 20 ms after each, so some of them run while it does.
    expect(await Promise.all(executions.map((execution) => execution.result()))).toEqual(Array(8).fill('done'));
  });

  test('does not run again what had ended before in the same chunk', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'docket-risky-'));
    const file = join(folder, 'ran');
    const fleet = await openFleet(url(), { executionTtl: 0 });
    await fleet.worker({ threads: 1, concurrency: 1 });
    const add = (count: number, bad: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => fleet.docket.add('risky', { file, isBad: i === bad })));
    const ran = () => readFileSync(file, 'utf8').trim().split('\n');
    await add(20, -1); // from now on it is known for quick, and travels in chunks
    await waitFor(() => ran().length === 20);
    const executions = await add(200, 120);
    await waitFor(() => ran().length >= 221);
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 0);
    const runs = new Map<string, number>();
    for (const key of ran()) runs.set(key, (runs.get(key) ?? 0) + 1);
    const twice = executions
      .filter(({ key }) => runs.get(key) !== 1)
      .map(({ key }) => executions.findIndex((e) => e.key === key));
    expect(twice).toEqual([120]);
  });
});

describeOnAnyServer('threads that cannot start', (url) => {
  test('end the worker at once when they never could', async () => {
    const fleet = await openFleet(url());
    const worker = new Worker(fleet.docket, {
      tasks: fixture('exits-on-load.js'),
      threads: 2,
      logger: recordingLogger().logger,
    });
    await expect(worker.runForever()).rejects.toThrow(ThreadBootError);
    expect(await fleet.consumers()).toEqual([]);
  });

  test('end the worker when they keep failing, and leave its work to others', async () => {
    const fleet = await openFleet(url());
    onTestFinished(() => void delete process.env.TEST_MODULE_IS_BROKEN);
    const { ended } = await fleet.worker({ tasks: fixture('breaks-later.js'), threads: 1 });
    process.env.TEST_MODULE_IS_BROKEN = '1';
    await fleet.docket.add('exits', {}, { key: 'x' });
    await expect(ended).rejects.toThrow(ThreadBootError);
    await expect(ended).rejects.toThrow(/broken by a deploy/);
    expect(await fleet.redis.xlen(fleet.key('front'))).toBe(1);
    expect(await fleet.pending()).toBe(0);
    fleet.leavesWork();
  });
});
