/** What `cancel()` returns, and cancelling by a filter. */
import { call, concurrencyLimit, type Docket, InvalidOptionError, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number; who?: string }) => {});
const other = task('other', (_args: { n?: number }) => {});
const totals = async (docket: Docket) => {
  const { queued, scheduled, waiting, running } = (await docket.snapshot({ limit: 0 })).totals;
  return queued + scheduled + waiting + running;
};

describeEachServer('cancel', (url) => {
  const stage = setStage(url);

  test('returns the state in which it found the execution, and what became of it', async () => {
    const docket = stage.docket();
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async () => {
      started.resolve();
      await ending.promise;
    });
    const later = await docket.add(note, {}, { key: 'later', when: '1h' });
    await docket.add(note, {}, { key: 'now' });
    expect(await later.cancel()).toEqual({ state: 'scheduled', outcome: 'removed' });
    expect(await docket.cancel('now')).toEqual({ state: 'queued', outcome: 'removed' });
    expect(await docket.cancel('now')).toEqual({ state: 'cancelled', outcome: 'ended already' });
    expect(await docket.cancel('nobody')).toEqual({ state: null, outcome: 'unknown' });
    const running = await docket.add(hold);
    stage.work({ hold });
    await started.promise;
    expect(await running.cancel()).toEqual({ state: 'running', outcome: 'stopping' });
    ending.resolve();
    await running.result().catch(() => {});
    expect(await running.cancel()).toMatchObject({ outcome: 'ended already' });
  });

  test('knows of an execution without a record only while it is parked', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const later = await docket.add(note, {}, { when: '1h' });
    expect(await later.cancel()).toEqual({ state: 'scheduled', outcome: 'removed' });
    const queued = await docket.add(note);
    expect(await queued.cancel()).toEqual({ state: null, outcome: 'unknown' });
    await stage.finish({ note });
  });

  test('of a struck call says that it had ended', async () => {
    const docket = stage.docket();
    await docket.strike('note');
    expect(await (await docket.add(note)).cancel()).toEqual({ state: 'cancelled', outcome: 'ended already' });
  });
});

describeEachServer('cancelling by a filter', (url) => {
  const stage = setStage(url);

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'removes what matches wherever it waits, and nothing else: %o',
    async (options) => {
      const docket = stage.docket(options);
      const [started, ending] = [deferred(), deferred()];
      const hold = task('hold', { limits: [concurrencyLimit({ max: 1 })] }, async (_: { who: string }) => {
        started.resolve();
        await ending.promise;
      });
      await docket.add(hold, { who: 'bob' });
      const worker = stage.work({ hold }, { concurrency: 4 });
      await started.promise;
      await docket.add(hold, { who: 'ada' });
      await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 1);
      await docket.add(hold, { who: 'ada' }, { when: '1h' });
      await docket.add(hold, { who: 'bob' }, { when: '1h' });
      await docket.add(other, {}, { when: '1h' });
      expect(await docket.cancelMany({ task: hold, where: { who: 'ada' } })).toEqual({
        removed: 2,
        stopping: 0,
        missed: 0,
      });
      expect(await totals(docket)).toBe(3);
      expect(await docket.cancelMany({ task: 'hold' })).toEqual({ removed: 1, stopping: 1, missed: 0 });
      ending.resolve();
      await waitFor(async () => (await totals(docket)) === 1);
      await worker.close();
      expect(await docket.cancelMany({ all: true })).toEqual({ removed: 1, stopping: 0, missed: 0 });
      expect(await totals(docket)).toBe(0);
    },
  );

  test('removes queued executions without a record from the stream, instead of remembering each', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    await docket.addMany(Array.from({ length: 400 }, (_, n) => call(n % 2 === 0 ? note : other, { n })));
    expect(await docket.cancelMany({ task: note, state: 'queued' })).toEqual({ removed: 200, stopping: 0, missed: 0 });
    const redis = await stage.redis();
    expect([await redis.xlen(stage.key('work')), await redis.exists(stage.key('cancelled'))]).toEqual([200, 0]);
    await docket.clear();
  });

  test('ends at its limit, and goes on when it is called again', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(n < 200 ? note : other, { n })));
    await docket.addMany(Array.from({ length: 50 }, (_, n) => call(note, { n }, { when: '1h' })));
    expect(await docket.cancelMany({ task: note, limit: 70 })).toEqual({ removed: 70, stopping: 0, missed: 0 });
    expect(await totals(docket)).toBe(280);
    expect(await docket.cancelMany({ task: note, limit: 1_000 })).toEqual({ removed: 180, stopping: 0, missed: 0 });
    await expect(docket.cancelMany({ task: note, limit: 0 })).rejects.toThrow(InvalidOptionError);
    await docket.clear();
  });

  test('frees the keys of what it removes, and its handles learn of it', async () => {
    const docket = stage.docket();
    const executions = await docket.addMany(
      Array.from({ length: 300 }, (_, n) =>
        call(note, { n }, { key: `k${n}`, ...(n % 2 === 0 && { when: '1h' as const }) }),
      ),
    );
    const ended = Promise.all(executions.map((one) => one.result().catch((error: Error) => error.name)));
    expect(await docket.cancelMany({ all: true })).toMatchObject({ removed: 300 });
    expect(new Set(await ended)).toEqual(new Set(['ExecutionCancelledError']));
  });

  test('asks for a filter, or for all, and takes no state of executions that have ended', async () => {
    const docket = stage.docket();
    const refused = async (filter: object, message: RegExp) => {
      await expect(docket.cancelMany(filter)).rejects.toThrow(InvalidOptionError);
      await expect(docket.cancelMany(filter)).rejects.toThrow(message);
    };
    await refused({}, /^all: give a task, a state, arguments, or all: true/);
    await refused({ where: {} }, /^all: give a task/);
    await refused({ all: true, task: 'note' }, /^all: give a filter, or all, not both/);
    await refused({ state: 'failed' }, /^state: expected scheduled, queued or running, got 'failed'/);
    await refused({ all: 'yes' }, /^all: expected true or false/);
    await refused({ key: 'k' }, /^cancelMany.key: there is no such option/);
    const left = AbortSignal.abort(new Error('left'));
    await expect(docket.cancelMany({ all: true, signal: left })).rejects.toThrow('left');
  });
});

describeOnRedis('cancelling by a filter', (url) => {
  const stage = setStage(url);

  test('finds what moves from the schedule to the stream meanwhile', async () => {
    const docket = stage.docket();
    const adds = Array.from({ length: 2_000 }, (_, n) => call(note, { n }, { when: n % 4 === 0 ? '1h' : '100ms' }));
    await docket.addMany(adds);
    const worker = stage.work({ other }); // moves what is due, and has no task of these
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.scheduled < 1_900);
    const { removed, stopping, missed } = await docket.cancelMany({ task: note });
    await worker.close();
    await waitFor(async () => (await totals(docket)) === 0);
    expect(removed + stopping + missed).toBeGreaterThanOrEqual(2_000);
  });
});
