/** `count()`: how many executions there are of each task, and of each value of an argument. */
import { type CountOptions, call, concurrencyLimit, InvalidOptionError, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const note = task('note', (_args: { who?: unknown; n?: number }) => {});
const other = task('other', (_args: { who?: string }) => {});

describeEachServer('a count', (url) => {
  const stage = setStage(url);

  test('of an unused docket has nothing, and looked at nothing', async () => {
    expect(await stage.docket().count()).toEqual({ counts: [], others: 0, lookedAt: 0, isWhole: true });
  });

  test('has the executions of each task in all places, the largest count first', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, () => call(note, {})));
    await docket.addMany([call(other, {}), call(other, {}, { priority: 'low' }), call(other, {}, { when: '1h' })]);
    const { counts, lookedAt, isWhole } = await docket.count();
    const found = [
      { task: 'note', count: 300 },
      { task: 'other', count: 3 },
    ];
    expect(counts).toEqual(found);
    expect([lookedAt, isWhole]).toEqual([303, true]);
    expect((await docket.count({ task: other, state: 'queued' })).counts).toEqual([{ task: 'other', count: 2 }]);
    expect((await docket.count({ state: 'completed' })).counts).toEqual([]);
  });

  test('by an argument tells the values apart by their kinds, and counts what has none', async () => {
    const docket = stage.docket();
    const values = ['c-1', 'c-1', 'c-1', 7, '7', 8n, null, true, new Date(0), new Date(0), undefined, { id: 1 }];
    await docket.addMany(values.map((who) => call(note, { who })));
    await docket.add(other, { who: 'c-1' });
    const { counts } = await docket.count({ by: 'who' });
    expect(counts.slice(0, 3)).toEqual([
      { task: 'note', value: 'c-1', count: 3 },
      { task: 'note', value: new Date(0), count: 2 },
      { task: 'note', count: 2 },
    ]);
    expect(counts.slice(3)).toHaveLength(6);
    expect(counts).toEqual(
      expect.arrayContaining([
        { task: 'note', value: 7, count: 1 },
        { task: 'note', value: '7', count: 1 },
        { task: 'note', value: 8n, count: 1 },
        { task: 'note', value: null, count: 1 },
        { task: 'note', value: true, count: 1 },
        { task: 'other', value: 'c-1', count: 1 },
      ]),
    );
  });

  test('by one argument can be narrowed by another', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 40 }, (_, i) => call(note, { who: `c-${i % 2}`, n: i % 4 })));
    const { counts } = await docket.count({ task: 'note', by: 'n', where: { who: 'c-1' } });
    expect(counts.map(({ value, count }) => [value, count]).toSorted()).toEqual([
      [1, 10],
      [3, 10],
    ]);
  });

  test('refuses what it cannot use', async () => {
    const docket = stage.docket();
    for (const options of [{ by: '' }, { by: 3 }, { lookAt: 0 }, { state: 'lost' }, { each: 1 }]) {
      await expect(docket.count(options as CountOptions)).rejects.toThrow(InvalidOptionError);
    }
  });
});

describeOnRedis('a count', (url) => {
  const stage = setStage(url);

  test('ends when it has looked at enough, and says that it did', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 1_000 }, () => call(note, {})));
    const { counts, lookedAt, isWhole } = await docket.count({ lookAt: 300 });
    expect(isWhole).toBe(false);
    expect(lookedAt).toBeGreaterThanOrEqual(300);
    expect(lookedAt).toBeLessThan(1_000);
    expect(counts).toEqual([{ task: 'note', count: lookedAt }]);
  });

  test('keeps a bounded number of values apart, and counts the others together', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    await docket.addMany(Array.from({ length: 10_050 }, (_, n) => call(note, { n })));
    const { counts, others } = await docket.count({ by: 'n' });
    expect([counts.length, others]).toEqual([10_000, 50]);
  });

  test('has what waits at a limit, and ends when its signal aborts', async () => {
    const docket = stage.docket();
    const narrow = task('narrow', { limits: [concurrencyLimit({ max: 1 })] }, async (_: { n: number }, ctx) => {
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
    });
    stage.work({ narrow }, { concurrency: 4 });
    await docket.addMany([0, 1, 2].map((n) => call(narrow, { n }, { key: `n-${n}` })));
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 2);
    expect((await docket.count()).counts).toEqual([{ task: 'narrow', count: 3 }]);
    await expect(docket.count({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    await docket.cancelMany({ task: 'narrow' });
  });
});
