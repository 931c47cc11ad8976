/** That lists, snapshots, `show()` and failures tell the priority of an execution, wherever it is. */
import { concurrencyLimit, type ListedExecution, type Priority, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const PRIORITIES = ['high', 'normal', 'low'] as const satisfies Priority[];

describeEachServer('the priority of an execution', (url) => {
  const stage = setStage(url);

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'is told while it is queued, scheduled, waiting and running, with or without a record: %o',
    async (options) => {
      const docket = stage.docket(options);
      const ending = deferred();
      const note = task('note', () => {});
      const hold = task('hold', { limits: [concurrencyLimit({ max: 1 })] }, () => ending.promise);
      const told = new Map<string, Priority>();
      const add = async (which: typeof note | typeof hold, priority: Priority, more: object = {}) => {
        const { key } = await docket.add(which, undefined, { priority, ...more });
        told.set(key, priority);
      };
      await add(hold, 'high');
      const worker = stage.work({ hold }, { concurrency: 8 });
      await waitFor(async () => (await docket.snapshot()).totals.running === 1);
      for (const priority of PRIORITIES) await add(hold, priority);
      await waitFor(async () => (await docket.snapshot()).totals.waiting === 3);
      await docket.pause();
      for (const priority of PRIORITIES) {
        await add(note, priority);
        await add(note, priority, { key: `key-${priority}` });
        await add(note, priority, { when: '1h' });
      }
      const { running, queued, future, waiting } = await docket.snapshot();
      const all = [...running, ...queued, ...future, ...waiting];
      expect(new Map(all.map(({ key, priority }) => [key, priority]))).toEqual(told);
      const listed = new Map<string, Priority | null>();
      for await (const { key, priority } of docket.list()) listed.set(key, priority);
      expect(listed).toEqual(told);
      for (const [key, priority] of told) expect(await docket.show(key)).toMatchObject({ priority });
      ending.resolve();
      await docket.clear();
      await docket.resume();
      await waitFor(async () => (await docket.snapshot()).totals.running === 0);
      await worker.close();
    },
  );

  test('is not known once it has ended, but a failure has it', async () => {
    const docket = stage.docket();
    const fail = task('fail', () => Promise.reject(new Error('as told')));
    for (const priority of PRIORITIES) await docket.add(fail, undefined, { key: priority, priority });
    await stage.finish({ fail });
    const ended: ListedExecution[] = [];
    for await (const one of docket.list({ state: 'failed' })) ended.push(one);
    expect(ended.map(({ priority }) => priority)).toEqual([null, null, null]);
    expect(await docket.show('high')).toMatchObject({ priority: null });
    const failures: [string | null, Priority][] = [];
    for await (const { key, priority } of docket.failures()) failures.push([key, priority]);
    expect(failures.toSorted()).toEqual(PRIORITIES.map((priority) => [priority, priority]).toSorted());
    await docket.discard({});
  });
});
