import { concurrencyLimit, InvalidOptionError, perpetual, retry, task } from 'docket';
import { Worker, type WorkerLogger } from 'docket/worker';
import { expect, test } from 'vitest';
import { openFleet, TASKS } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { setStage, silent } from '../support/stage.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnAnyServer('runAtMost on threads', (url) => {
  test('does not count executions that were read ahead and requeued', async () => {
    const { docket, probe, counts } = await openFleet(url());
    const quick = Array.from({ length: 200 }, () => docket.add('echo', { value: 1 }));
    await Promise.all([...quick, docket.add('mixed', { ms: 1_000 })]);
    const execution = await docket.add('counted', { probe }, { key: 'k' });
    const worker = new Worker(docket, { tasks: TASKS, threads: 1, logger: recordingLogger().logger });
    await worker.runAtMost({ k: 1 });
    await execution.sync();
    expect([execution.state, await counts()]).toEqual(['completed', { k: 1 }]);
  });
});

describeOnAnyServer('runAtMost', (url) => {
  const stage = setStage(url);

  function worker(tasks: object, logger: WorkerLogger = silent): Worker {
    const options = { threads: 0, minimumCheckInterval: '50ms', logger } as const;
    return new Worker(stage.docket(), { tasks: tasks as never, ...options });
  }

  /** A chain without an end that counts its runs. */
  function chain(more: { limits?: ReturnType<typeof concurrencyLimit>[] } = {}) {
    const runs: number[] = [];
    const tick = task('tick', { perpetual: perpetual({ every: '10ms' }), ...more }, async (_args: { n?: number }) => {
      runs.push(runs.length + 1);
    });
    return { tick, runs };
  }

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'ends a chain in this worker after its maximum, and leaves the next run to others: %o',
    async (options) => {
      const docket = stage.docket(options);
      const { tick, runs } = chain();
      await docket.add(tick, {}, { key: 'chain' });
      await worker({ tick }).runAtMost({ chain: 3 });
      expect(runs).toEqual([1, 2, 3]);
      expect(['scheduled', 'queued']).toContain((await docket.getExecution('chain'))!.state);
      stage.work({ tick });
      await waitFor(() => runs.length > 4);
      await docket.cancel('chain');
    },
  );

  test('runs everything else to its end, including what comes later', async () => {
    const docket = stage.docket();
    const { tick, runs } = chain();
    const ran: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void ran.push(n));
    await docket.add(tick, {}, { key: 'chain' });
    for (let n = 0; n < 20; n++) await docket.add(note, { n }, n % 2 ? {} : { when: '1500ms' });
    await worker({ tick, note }).runAtMost({ chain: 1, unknown: 5 });
    expect(ran).toHaveLength(20);
    expect(runs).toEqual([1]);
    await docket.cancel('chain');
  });

  test('of 0 runs nothing of the task, and returns', async () => {
    const docket = stage.docket();
    const { tick, runs } = chain();
    await docket.add(tick, {}, { key: 'chain' });
    await worker({ tick }).runAtMost({ chain: 0 });
    expect(runs).toEqual([]);
    await docket.clear();
  });

  test('without entries runs until everything is finished', async () => {
    const docket = stage.docket();
    const ran: number[] = [];
    const note = task('note', (_args: {}) => void ran.push(1));
    await docket.add(note, {}, { when: '50ms' });
    await worker({ note }).runAtMost({});
    expect(ran).toEqual([1]);
  });

  test('refuses anything but numbers by key', async () => {
    for (const attempts of [3, '3', null, undefined]) {
      await expect(worker({}).runAtMost(attempts as never)).rejects.toThrow(
        'attempts: expected the numbers of attempts',
      );
    }
    await expect(worker({}).runAtMost({ k: '3' as never })).rejects.toThrow(">= 0, got '3'");
  });

  test('counts a retry as well', async () => {
    const docket = stage.docket();
    const attempts: number[] = [];
    const fails = task('fails', { retry: retry({ attempts: 'forever' }) }, (_args: {}, { attempt }) => {
      attempts.push(attempt);
      throw new Error('always');
    });
    await docket.add(fails, {}, { key: 'k' });
    await worker({ fails }).runAtMost({ k: 4 });
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await docket.getExecution('k')).toMatchObject({ attempt: 5, worker: null }); // left to other workers
    expect(await docket.clear()).toBe(1);
  });

  test('does not count waiting for a permit', async () => {
    const docket = stage.docket();
    const { tick, runs } = chain({ limits: [concurrencyLimit({ max: 1 })] });
    await docket.add(tick, {}, { key: 'a' });
    await docket.add(tick, {}, { key: 'b' });
    await worker({ tick }).runAtMost({ a: 5, b: 5 });
    expect(runs).toHaveLength(10);
    expect(await docket.clear()).toBe(2);
    expect(await (await stage.redis()).exists(stage.key('held'), stage.key('slots'))).toBe(0);
  });

  test('does not read again and again what it leaves to others', async () => {
    const docket = stage.docket();
    const { tick } = chain();
    const slow = task('slow', () => new Promise((resolve) => setTimeout(resolve, 1_500)));
    await docket.add(tick, {}, { key: 'chain' });
    await docket.add(slow);
    const { logger, lines } = recordingLogger('debug');
    await worker({ tick, slow }, logger).runAtMost({ chain: 0 });
    const left = lines.filter(({ message }) => message.includes('left to other workers'));
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(5); // once a second
    const { when } = (await docket.getExecution('chain'))!;
    expect(when.getTime()).toBeLessThan(Date.now() - 1_000); // it is due since it was added
    await docket.clear();
  });

  test.each([{ k: -1 }, { k: 1.5 }, { k: Number.NaN }, { '': 1 }])('refuses %o', async (attempts) => {
    await expect(worker({}).runAtMost(attempts)).rejects.toThrow(InvalidOptionError);
  });
});
