/** A worker runs a docket with four partitions: results, limits, failures, chains, and what is counted. */
import { call, concurrencyLimit, type Failure, perpetual, task } from 'docket';
import { expect, test } from 'vitest';
import { divide, entriesOfAll, keyIn, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const COUNT = 4;
const ALL = [0, 1, 2, 3];

const double = task('double', ({ n }: { n: number }) => 2 * n);
const boom = task('boom', ({ n }: { n: number }) => {
  throw new Error(`boom ${n}`);
});

describeEachServer('a worker of a docket with four partitions', (url) => {
  const stage = setStage(url);

  async function divided() {
    await divide(stage.docket(), COUNT);
    return { docket: stage.docket(), redis: await stage.redis(), name: stage.name };
  }
  const keysAnd = (n: number) => ALL.map((partition) => ({ key: keyIn(partition, COUNT, `k${n}-`), partition }));

  test('runs what is in each of them, and the results arrive', async () => {
    const { docket } = await divided();
    stage.work({ double });
    const handles = await docket.addMany([
      ...keysAnd(1).map(({ key, partition }) => call(double, { n: partition }, { key })),
      ...Array.from({ length: 600 }, (_, n) => call(double, { n })),
    ]);
    const results = await Promise.all(handles.map((handle) => handle.result({ timeout: '20s' })));
    expect(results.slice(0, 4)).toEqual([0, 2, 4, 6]);
    expect(results.slice(4)).toEqual(Array.from({ length: 600 }, (_, n) => 2 * n));
    const later = await Promise.all(keysAnd(2).map(({ key }) => docket.add(double, { n: 1 }, { key, when: 50 })));
    expect(await Promise.all(later.map((handle) => handle.result({ timeout: '20s' })))).toEqual([2, 2, 2, 2]);
  });

  test('finishes when all of them are empty', async () => {
    const { docket, redis, name } = await divided();
    await docket.addMany(Array.from({ length: 600 }, (_, n) => call(double, { n })));
    await docket.add(double, { n: 1 }, { key: keyIn(3, COUNT), when: 200 });
    await stage.finish({ double });
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([0, 0, 0, 0]);
    expect((await docket.getExecution(keyIn(3, COUNT)))?.state).toBe('completed');
  });

  test('keeps the limits: one at a time for each value, wherever it counts', async () => {
    const { docket } = await divided();
    const running = new Map<string, number>();
    let most = 0;
    const serve = task(
      'serve',
      { limits: [concurrencyLimit('customer')] },
      async ({ customer }: { customer: string }) => {
        running.set(customer, (running.get(customer) ?? 0) + 1);
        most = Math.max(most, running.get(customer)!);
        await new Promise((resolve) => setImmediate(resolve));
        running.set(customer, running.get(customer)! - 1);
      },
    );
    stage.work({ serve }, { concurrency: 16 });
    const calls = Array.from({ length: 60 }, (_, i) => call(serve, { customer: `c-${i % 6}` }));
    const handles = await docket.addMany(calls);
    await Promise.all(handles.map((handle) => handle.result({ timeout: '20s' })));
    expect(most).toBe(1);
  });

  test('stops executions that are cancelled, in each of them', async () => {
    const { docket } = await divided();
    const wait = task('wait', async (_args: {}, { signal }) => {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    });
    stage.work({ wait }, { concurrency: 8 });
    const handles = await docket.addMany(keysAnd(1).map(({ key }) => call(wait, {}, { key })));
    await waitFor(async () => (await docket.snapshot()).running.filter(({ since }) => since !== null).length === 4);
    for (const { key } of handles) expect(await docket.cancel(key)).toEqual({ state: 'running', outcome: 'stopping' });
    for (const handle of handles) await expect(handle.result({ timeout: '20s' })).rejects.toThrow(/cancelled/);
  });

  test('leaves failures that are listed, found, retried and discarded as those of one docket', async () => {
    const { docket } = await divided();
    const worker = stage.work({ boom });
    const handles = [];
    for (const { key, partition } of [...keysAnd(1), ...keysAnd(2)]) {
      const handle = await docket.add(boom, { n: partition }, { key });
      await handle.result({ timeout: '20s' }).catch(() => {});
      handles.push(handle);
    }
    const failures: Failure[] = [];
    for await (const failure of docket.failures()) failures.push(failure);
    expect(failures.map(({ key }) => key)).toEqual(handles.map(({ key }) => key).reverse());
    expect(failures.map(({ id }) => id.split('@')[1] ?? '0')).toEqual(['3', '2', '1', '0', '3', '2', '1', '0']);
    expect((await docket.snapshot()).totals.failures).toBe(8);
    const [newest, second] = failures as [Failure, Failure];
    expect(await docket.failure(newest.id)).toMatchObject({
      id: newest.id,
      key: newest.key,
      errorLine: newest.errorLine,
    });
    await worker.close();
    const report = await docket.retry([newest.id, second.id, '1-1@3', '1-1@9', '1-1']);
    expect(report.retried.map(({ id, key }) => [id, key])).toEqual([newest, second].map(({ id, key }) => [id, key]));
    expect(report.missing.toSorted()).toEqual(['1-1', '1-1@3', '1-1@9']);
    const some: Failure[] = [];
    for await (const failure of docket.failures({ limit: 3 })) some.push(failure);
    expect(some.map(({ id }) => id)).toEqual(failures.slice(2, 5).map(({ id }) => id));
    const again = await docket.retry({ task: boom, limit: 2 });
    expect(again.retried.map(({ id }) => id).toSorted()).toEqual(
      failures
        .slice(2, 4)
        .map(({ id }) => id)
        .toSorted(),
    );
    expect(await docket.discard({})).toBe(4);
    expect((await docket.snapshot()).totals).toMatchObject({ failures: 0, queued: 4 });
  });

  test('is listed once, and its counts are the sums', async () => {
    const { docket } = await divided();
    const worker = stage.work({ double }, { name: 'w' }, stage.docket({ heartbeatInterval: '100ms' }));
    const handles = await docket.addMany(keysAnd(1).map(({ key }) => call(double, { n: 1 }, { key })));
    await Promise.all(handles.map((handle) => handle.result({ timeout: '20s' })));
    expect((await docket.workers()).map(({ name }) => name)).toEqual(['w']);
    await waitFor(
      async () => (await docket.stats({ minutes: 2 })).find(({ task }) => task === 'double')?.succeeded === 4,
    );
    const minutes = await docket.history({ minutes: 2 });
    expect(minutes.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(4);
    await worker.close();
  });

  test('goes on with chains, each in its partition', async () => {
    const { docket, redis, name } = await divided();
    const runs = new Map<string, number>();
    const tick = task('tick', { perpetual: perpetual({ every: 20 }) }, (_args: {}, { execution }) => {
      runs.set(execution.key, (runs.get(execution.key) ?? 0) + 1);
    });
    stage.work({ tick });
    const keys = keysAnd(1);
    await docket.addMany(keys.map(({ key }) => call(tick, {}, { key })));
    await waitFor(() => keys.every(({ key }) => (runs.get(key) ?? 0) >= 3));
    for (const { key, partition } of keys) expect(await placesOf(redis, name, COUNT, key)).toEqual([partition]);
    for (const { key } of keys) await docket.cancel(key);
  });

  test('reads new partitions as it hears of them, with work in the queue', async () => {
    const docket = stage.docket();
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async ({ n }: { n: number }) => {
      started.resolve();
      await ending.promise;
      return n;
    });
    stage.work({ hold, double }, { concurrency: 2 });
    const before = await docket.addMany(Array.from({ length: 20 }, (_, n) => call(hold, { n })));
    await started.promise;
    await divide(stage.docket(), COUNT);
    const after = await docket.addMany(keysAnd(1).map(({ key, partition }) => call(double, { n: partition }, { key })));
    ending.resolve();
    expect(await Promise.all(before.map((handle) => handle.result({ timeout: '20s' })))).toHaveLength(20);
    expect(await Promise.all(after.map((handle) => handle.result({ timeout: '20s' })))).toEqual([0, 2, 4, 6]);
    await divide(stage.docket(), 1, { force: true });
    const last = await docket.addMany(keysAnd(2).map(({ key }) => call(double, { n: 4 }, { key })));
    expect(await Promise.all(last.map((handle) => handle.result({ timeout: '20s' })))).toEqual([8, 8, 8, 8]);
  });
});
