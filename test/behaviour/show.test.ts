/** What `show()` tells of an execution: all that is known of it, in whatever state it is. */
import {
  concurrencyLimit,
  debounce,
  type ExecutionDetails,
  InvalidOptionError,
  perpetual,
  rateLimit,
  retry,
  task,
} from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number; text?: string }) => {});
const kindsOf = ({ history }: ExecutionDetails) =>
  history.map(({ kind, attempt }) => (attempt ? `${kind} ${attempt}` : kind));

describeEachServer('show', (url) => {
  const stage = setStage(url);

  test('knows nothing of a key that nobody has used, and refuses one that cannot be a key', async () => {
    const docket = stage.docket();
    expect(await docket.show('nobody')).toBeNull();
    await expect(docket.show('')).rejects.toThrow(InvalidOptionError);
  });

  test('tells of a scheduled and of a queued execution what they are, where they are, and when they were placed', async () => {
    const docket = stage.docket();
    const later = await docket.add(note, { n: 1 }, { key: 'later', when: '1h' });
    const queued = await docket.add(note, { n: 2, text: 'x' }, { key: 'now' });
    expect(await docket.show('later')).toMatchObject({
      ...{
        key: 'later',
        task: 'note',
        state: 'scheduled',
        place: 'schedule',
        hasRecord: true,
        attempt: 1,
        worker: null,
      },
      ...{ when: later.when, scheduledFor: later.when, startedAt: null, completedAt: null, expiresAt: null },
      ...{ argumentNames: ['n'], waitsFor: null, holds: [], unknown: [], failedAttempts: [], progress: null },
    });
    const found = (await docket.show('now'))!;
    expect(found).toMatchObject({
      state: 'queued',
      place: 'backlog',
      scheduledFor: null,
      argumentNames: ['n', 'text'],
    });
    expect([found.args(), found.result(), found.error()]).toEqual([{ n: 2, text: 'x' }, undefined, undefined]);
    expect(kindsOf(found)).toEqual(['placed', 'due']);
    expect(kindsOf((await docket.show('later'))!)).toEqual(['placed', 'due']);
    expect(found.placedAt).toEqual(queued.when);
    await docket.clear();
  });

  test('tells of a running execution its worker, its progress, the permits it holds, and whether it must stop', async () => {
    const docket = stage.docket();
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', { limits: [concurrencyLimit('who', { max: 2 })] }, async (_: { who: string }, ctx) => {
      ctx.progress.setTotal(10);
      ctx.progress.increment(4);
      ctx.progress.setMessage('half-way');
      started.resolve();
      await ending.promise;
    });
    await docket.add(hold, { who: 'ada' }, { key: 'k' });
    const worker = stage.work({ hold });
    await started.promise;
    const found = (await waitFor(async () => {
      const details = await docket.show('k');
      return details?.progress?.message === 'half-way' ? details : null;
    }))!;
    expect(found).toMatchObject({
      ...{ state: 'running', place: 'worker', worker: worker.name, isCancelled: false, completedAt: null },
      progress: { current: 4, total: 10, message: 'half-way' },
      holds: [{ name: 'hold:who:s=ada', description: "hold who 'ada'", max: 2 }],
    });
    expect(kindsOf(found)).toEqual(['placed', 'due', 'started 1']);
    await docket.cancel('k');
    expect(await docket.show('k')).toMatchObject({ state: 'running', isCancelled: true });
    ending.resolve();
  });

  test('keeps of each attempt that failed and was retried its number, times, worker and error', async () => {
    const docket = stage.docket();
    const shaky = task('shaky', { retry: retry({ attempts: 3 }) }, (_: {}, ctx) => {
      throw new RangeError(`attempt ${ctx.attempt}\nmore`);
    });
    const execution = await docket.add(shaky, {}, { key: 'k' });
    const worker = stage.work({ shaky }, { keepArguments: true });
    await expect(execution.result()).rejects.toThrow('attempt');
    const found = (await docket.show('k'))!;
    expect(found).toMatchObject({
      ...{ state: 'failed', place: 'ended', attempt: 3, errorLine: 'RangeError: attempt 3', unknown: [] },
      failedAttempts: [1, 2].map((attempt) => {
        const times = { startedAt: expect.any(Date), failedAt: expect.any(Date) };
        return { attempt, ...times, worker: worker.name, errorLine: `RangeError: attempt ${attempt}` };
      }),
    });
    expect(kindsOf(found)).toEqual([
      ...['placed', 'due', 'started 1', 'retried 1', 'started 2', 'retried 2', 'started 3', 'failed 3'],
    ]);
    expect(found.error()).toBeInstanceOf(RangeError);
    expect((found.error() as Error).stack).toContain('show.test');
    expect(found.expiresAt!.getTime()).toBeGreaterThan(found.readAt.getTime());
    expect(found.args()).toEqual({});
  });

  test('while a retry waits, tells the attempt to come, and what became of the one before', async () => {
    const docket = stage.docket();
    const shaky = task('shaky', { retry: retry({ attempts: 2, delay: '1h' }) }, () => {
      throw new Error('not yet');
    });
    await docket.add(shaky, {}, { key: 'k' });
    stage.work({ shaky });
    await waitFor(async () => (await docket.show('k'))?.state === 'scheduled');
    const found = (await docket.show('k'))!;
    expect(found).toMatchObject({ attempt: 2, startedAt: null, failedAttempts: [{ attempt: 1 }], place: 'schedule' });
    expect(kindsOf(found)).toEqual(['placed', 'started 1', 'retried 1', 'due']);
    await docket.clear();
  });

  test('keeps the newest twenty of the failed attempts, and none of an earlier execution under the key', async () => {
    const docket = stage.docket();
    const shaky = task('shaky', { retry: retry({ attempts: 25 }) }, (_: { fails: boolean }) => {
      throw new Error('no'.repeat(1_000));
    });
    stage.work({ shaky, note });
    await (await docket.add(shaky, { fails: true }, { key: 'k' })).result().catch(() => {});
    const { failedAttempts } = (await docket.show('k'))!;
    expect(failedAttempts.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, i) => i + 5));
    expect((await stage.record('k')).h!.length).toBeLessThan(10_000);
    await (await docket.add(note, {}, { key: 'k' })).result();
    expect(await docket.show('k')).toMatchObject({ task: 'note', failedAttempts: [], state: 'completed' });
  });

  test('forgets the failed attempts with the run of the chain that they belong to', async () => {
    const docket = stage.docket();
    const hourly = task(
      'hourly',
      { retry: retry({ attempts: 2 }), perpetual: perpetual({ every: '1h' }) },
      (_: {}, ctx) => {
        if (ctx.attempt === 1) throw new Error('no');
      },
    );
    await docket.add(hourly, {}, { key: 'k' });
    stage.work({ hourly });
    await waitFor(async () => ((await docket.show('k'))?.when?.getTime() ?? 0) > Date.now() + 1_800_000);
    expect(await docket.show('k')).toMatchObject({ attempt: 1, failedAttempts: [], errorLine: null });
    await docket.cancel('k');
  });

  test('an execution that is not retried has no such field in its record', async () => {
    const docket = stage.docket();
    stage.work({ note });
    await (await docket.add(note, {}, { key: 'k' })).result();
    expect(Object.keys(await stage.record('k')).sort()).toEqual(['b', 'c', 'e', 'g', 'k', 's', 't']);
  });

  test('says that the arguments of an execution that has ended are not kept, and shows its result', async () => {
    const docket = stage.docket();
    const answer = task('answer', (_: { secret: string }) => ({ value: 42n }));
    const execution = await docket.add(answer, { secret: 'x' });
    stage.work({ answer });
    await execution.result();
    const found = (await docket.show(execution.key))!;
    expect(found.unknown).toEqual([expect.stringMatching(/^its arguments: .*keepArguments/)]);
    expect([found.argumentNames, found.args(), found.result()]).toEqual([null, undefined, { value: 42n }]);
  });

  test('tells for which limit an execution waits, and how many are ahead of it', async () => {
    const docket = stage.docket();
    const [started, ending] = [deferred(), deferred()];
    const tasks = {
      hold: task('hold', { limits: [concurrencyLimit({ max: 1 })] }, async () => {
        started.resolve();
        await ending.promise;
      }),
      paced: task('paced', { limits: [rateLimit({ max: 1, per: '1h' })] }, () => {}),
      settling: task('settling', { limits: [debounce({ settle: '1h' })] }, () => {}),
    };
    await docket.add(tasks.paced);
    await docket.add(tasks.hold);
    stage.work(tasks, { concurrency: 4 });
    await started.promise;
    for (const key of ['first', 'second']) await docket.add(tasks.hold, {}, { key });
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 2);
    const needs = [{ name: 'hold', description: 'hold', max: 1 }];
    const wait = { name: 'hold', description: 'hold', kind: 'permit', needs };
    expect(await docket.show('first')).toMatchObject({
      state: 'queued',
      place: 'line',
      waitsFor: { ...wait, ahead: 0 },
    });
    expect(await docket.show('second')).toMatchObject({ place: 'line', waitsFor: { ...wait, ahead: 1 } });
    ending.resolve();
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 0);

    for (const key of ['p1', 'p2']) {
      await docket.add(tasks.paced, {}, { key });
      await waitFor(async () => (await docket.show(key))!.waitsFor !== null);
    }
    const settling = await docket.add(tasks.settling);
    await waitFor(async () => (await docket.show(settling.key))!.waitsFor !== null);
    expect((await docket.show('p2'))!.waitsFor).toMatchObject({ name: 'paced', kind: 'rate', ahead: 1 });
    expect((await docket.show(settling.key))!.waitsFor).toMatchObject({
      name: 'settling',
      kind: 'debounce',
      ahead: null,
    });
    await docket.clear();
  });

  test('finds an execution without a record while it is parked or on a stream, and says what is not known', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async (_: { n: number }) => {
      started.resolve();
      await ending.promise;
    });
    const others = Array.from({ length: 300 }, (_, n) => docket.add(note, { n }));
    const scheduled = await docket.add(note, { n: 1 }, { when: '1h' });
    const queued = await docket.add(hold, { n: 2 });
    await Promise.all(others);
    const parked = (await docket.show(scheduled.key))!;
    expect(parked).toMatchObject({ state: 'scheduled', place: 'schedule', hasRecord: false, task: 'note' });
    expect([parked.args(), parked.when]).toEqual([{ n: 1 }, scheduled.when]);
    expect(Math.abs(parked.placedAt!.getTime() - parked.readAt.getTime())).toBeLessThan(60_000);
    expect(parked.unknown).toEqual([expect.stringMatching(/earlier attempts, progress, result and error/)]);
    const waiting = (await docket.show(queued.key))!;
    expect(waiting).toMatchObject({ state: 'queued', place: 'backlog', hasRecord: false, task: 'hold' });
    expect(waiting.args()).toEqual({ n: 2 });
    const worker = stage.work({ note, hold });
    await started.promise;
    const running = (await docket.show(queued.key))!;
    expect(running).toMatchObject({ state: 'running', place: 'worker', worker: worker.name, startedAt: null });
    expect(running.unknown).toEqual([expect.any(String), expect.stringMatching(/whether it has begun/)]);
    ending.resolve();
    await waitFor(async () => (await docket.show(queued.key)) === null);
    await docket.clear();
  });
});

describeOnRedis('show', (url) => {
  const stage = setStage(url);

  test('says so when the place of an execution was deleted by hand', async () => {
    const docket = stage.docket();
    await docket.add(note, {}, { key: 'k', when: '1h' });
    await (await stage.redis()).del(stage.key('schedule'));
    expect(await docket.show('k')).toMatchObject({ state: 'scheduled', place: 'lost' });
    await (await stage.redis()).del(stage.key('run:k'));
  });
});
