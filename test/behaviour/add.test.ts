import { type Execution, task } from 'docket';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred } from '../support/wait.js';

const note = task('note', (_args: { n?: number }) => {});

describeEachServer('add', (url) => {
  const stage = setStage(url);

  test('returns a handle of the execution it placed', async () => {
    const before = Date.now();
    const execution = await stage.docket().add(note, { n: 1 }, { key: 'k' });
    expect(execution).toMatchObject({
      key: 'k',
      task: 'note',
      args: { n: 1 },
      state: 'queued',
      disposition: 'scheduled',
      attempt: 1,
      worker: null,
      startedAt: null,
      completedAt: null,
      error: null,
    });
    expect(execution.when.getTime()).toBeGreaterThanOrEqual(before - 1);
    expect(execution.when.getTime()).toBeLessThanOrEqual(Date.now() + 1);
  });

  test('returns a handle that shows the record once it is synced', async () => {
    const docket = stage.docket();
    const execution = await docket.add(note, { n: 1 });
    const worker = stage.work({ note });
    await execution.result();
    expect(execution.state).toBe('completed'); // result() has read it
    const found = await docket.getExecution(execution.key);
    expect(found).toMatchObject({ key: execution.key, task: 'note', state: 'completed', worker: worker.name });
    const [due, started, completed] = [found!.when, found!.startedAt!, found!.completedAt!].map(Number);
    expect(started).toBeGreaterThanOrEqual(due!);
    expect(completed).toBeGreaterThanOrEqual(started!);
  });

  test('adds an execution that can be found with its arguments while it waits', async () => {
    const docket = stage.docket();
    const when = new Date('2100-01-01');
    await docket.add(note, { n: 1 }, { key: 'now' });
    await docket.add(note, { n: 2 }, { key: 'later', when });
    expect(await docket.getExecution('now')).toMatchObject({ state: 'queued', args: { n: 1 } });
    expect(await docket.getExecution('later')).toMatchObject({ state: 'scheduled', args: { n: 2 }, when });
  });

  test('takes the name of a task as well', async () => {
    const docket = stage.docket({ tasks: { note } });
    const execution = await docket.add('note', { n: 3 });
    await stage.finish({ note });
    expect(await execution.result()).toBeUndefined();
  });

  test('needs no arguments', async () => {
    const seen: unknown[] = [];
    const bare = task('bare', (args: {}) => void seen.push(args));
    await stage.docket().add(bare);
    await stage.finish({ bare });
    expect(seen).toEqual([{}]);
  });

  test('adds executions that start in the order of the adds', async () => {
    const started: number[] = [];
    const record = task('record', ({ n }: { n: number }) => void started.push(n));
    const docket = stage.docket();
    for (let n = 0; n < 5; n++) await docket.add(record, { n });
    await Promise.all(Array.from({ length: 600 }, (_, i) => docket.add(record, { n: 5 + i })));
    await stage.finish({ record });
    expect(started).toEqual(Array.from({ length: 605 }, (_, n) => n));
  });

  test('returns to each of many concurrent callers the handle of its own execution', async () => {
    const docket = stage.docket();
    const double = task('double', ({ n }: { n: number }) => 2 * n);
    const executions = await Promise.all(Array.from({ length: 700 }, (_, n) => docket.add(double, { n })));
    expect(new Set(executions.map(({ key }) => key)).size).toBe(700);
    await stage.finish({ double });
    const results = await Promise.all(executions.map((execution) => execution.result()));
    expect(results).toEqual(executions.map((_, n) => 2 * n));
  });

  test('gives adds of every kind that are made at once each their own answer', async () => {
    const docket = stage.docket({ executionTtl: 0 }); // keyed ones need a record, others do not
    await docket.add(note, {}, { key: 'taken' });
    const kinds = [{}, { key: 'taken' }, { when: '1h' }, { key: 'free' }, { key: 'taken', when: '1h' }, {}] as const;
    const added = await Promise.all(kinds.map((options, n) => docket.add(note, { n }, options)));
    expect(added.map(({ disposition }) => disposition)).toEqual([
      'scheduled',
      'already_scheduled',
      'scheduled',
      'scheduled',
      'already_scheduled',
      'scheduled',
    ]);
    expect(added.map(({ state }) => state)).toEqual(['queued', 'queued', 'scheduled', 'queued', 'queued', 'queued']);
    expect([1, 3, 4].map((i) => added[i]!.key)).toEqual(['taken', 'free', 'taken']);
  });

  test('spoils nothing for other adds when one of them is invalid', async () => {
    const docket = stage.docket();
    const [valid, invalid, other] = await Promise.allSettled([
      docket.add(note, { n: 1 }),
      docket.add(note, { n: 2 }, { key: '' }),
      docket.add(note, { n: 3 }),
    ]);
    expect([valid.status, invalid.status, other.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(2);
  });

  test('lets exactly one of many producers be the first that adds a key', async () => {
    const dockets = Array.from({ length: 4 }, () => stage.docket());
    const added = await Promise.all(
      Array.from({ length: 40 }, (_, i) => dockets[i % 4]!.add(note, { n: i }, { key: 'contested' })),
    );
    const first = added.filter(({ disposition }) => disposition === 'scheduled');
    expect(first).toHaveLength(1);
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(1);
    for (const { args } of added) expect(args).toEqual(first[0]!.args);
  });

  test('gives a later placement a higher generation, whatever the key', async () => {
    const docket = stage.docket();
    const generations: number[] = [];
    for (let round = 0; round < 3; round++) {
      const added = await Promise.all([
        docket.add(note, {}, { key: 'reused' }),
        docket.add(note),
        docket.add(note, {}, { when: '10ms' }),
      ]);
      for (const { key } of added) generations.push(Number((await stage.record(key)).g));
      await stage.finish({ note });
    }
    expect(generations).toEqual([...new Set(generations)].sort((a, b) => a - b));
    expect(generations).toHaveLength(9);
  });

  test('takes generations from the counter when the clock of the server has fallen behind it', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const ahead = 4e15;
    await redis.set(stage.key('generation'), ahead);
    await docket.add(note, {}, { key: 'a' });
    await docket.add(note, {}, { key: 'b' });
    expect([(await stage.record('a')).g, (await stage.record('b')).g]).toEqual([`${ahead + 1}`, `${ahead + 2}`]);
  });

  test('returns a handle that still stands for its execution when others take its key', async () => {
    const docket = stage.docket();
    const held = deferred();
    const hold = task('hold', async ({ n }: { n: number }) => {
      await held.promise;
      return n;
    });
    const handles: Execution<number>[] = [];
    stage.work({ hold });
    for (let n = 0; n < 3; n++) handles.push(await docket.add(hold, { n }, { key: 'shared' }));
    held.resolve();
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([0, 0, 0]);
    expect(handles.map(({ args }) => args)).toEqual([{ n: 0 }, { n: 0 }, { n: 0 }]);
  });
});

describeOnRedis('add', (url) => {
  const stage = setStage(url);

  test('sends a thousand adds that are made at once in a handful of scripts', async () => {
    const docket = stage.docket();
    await docket.add(note);
    const redis = await stage.redis();
    await redis.config('RESETSTAT');
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => docket.add(note, { n })));
    expect(await scriptCalls(redis)).toBe(4); // 256 adds each
  });

  test('collects adds into batches while others are on their way', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    await docket.add(note);
    const redis = await stage.redis();
    await redis.config('RESETSTAT');
    const adds: Promise<unknown>[] = [];
    for (let n = 0; n < 1_000; n++) {
      adds.push(docket.add(note, { n }));
      await null; // each in a turn of its own
    }
    await Promise.all(adds);
    expect(await scriptCalls(redis)).toBeLessThan(100);
    expect(await redis.xlen(stage.key('work'))).toBe(1_001);
  });

  test('loads a script again that the server has forgotten', async () => {
    const docket = stage.docket();
    await docket.add(note, {}, { key: 'a' });
    await (await stage.redis()).script('FLUSH');
    expect((await docket.add(note, {}, { key: 'b' })).disposition).toBe('scheduled');
    expect((await docket.add(note, {}, { key: 'b' })).disposition).toBe('already_scheduled');
  });
});

async function scriptCalls(redis: Redis): Promise<number> {
  const stats = await redis.info('commandstats');
  const calls = [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].map(([, count]) => Number(count));
  return calls.reduce((sum, count) => sum + count, 0);
}
