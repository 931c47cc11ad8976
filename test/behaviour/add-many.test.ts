import { call, collection, PartialAddError, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';

const note = task('note', (_args: { n?: number; text?: string }) => {});
const other = task('other', (_args: { n?: number }) => {});

describeEachServer('addMany', (url) => {
  const stage = setStage(url);

  test('returns a handle for each call, in the order of the calls', async () => {
    const calls = [
      call(note, { n: 0 }),
      call(other, { n: 1 }, { key: 'b', when: '1h' }),
      call(note, { n: 2 }, { key: 'c' }),
      call(other, { n: 3 }),
      call(note, { n: 4 }, { when: '1h' }),
    ];
    const handles = await stage.docket().addMany(calls);
    expect(handles.map(({ task, args }) => [task, args])).toEqual(calls.map((c) => [c.task.name, c.args]));
    expect(handles.map(({ state }) => state)).toEqual(['queued', 'scheduled', 'queued', 'queued', 'scheduled']);
    expect([handles[1]!.key, handles[2]!.key]).toEqual(['b', 'c']);
  });

  test('keeps the order of handles when only some executions need a record', async () => {
    const kinds = [{ when: '1h' }, {}, { key: 'first' }, {}, { when: '1h', key: 'second' }, {}] as const;
    const calls = Array.from({ length: 600 }, (_, n) => {
      const kind = kinds[n % kinds.length]!;
      return call(note, { n }, 'key' in kind ? { ...kind, key: `${kind.key} ${n}` } : kind);
    });
    const handles = await stage.docket({ executionTtl: 0 }).addMany(calls);
    expect(handles.map(({ args }) => args)).toEqual(calls.map(({ args }) => args));
    expect(handles.map(({ state }) => state)).toEqual(calls.map((c) => (c.options?.when ? 'scheduled' : 'queued')));
    calls.forEach((c, n) => void (c.options?.key && expect(handles[n]!.key).toBe(c.options.key)));
  });

  test('leaves a key to the execution that has it, in the docket or earlier in the batch', async () => {
    const docket = stage.docket();
    await docket.add(note, { n: 0 }, { key: 'taken' });
    const handles = await docket.addMany([
      call(note, { n: 1 }, { key: 'taken' }),
      call(note, { n: 2 }, { key: 'free' }),
      call(note, { n: 3 }, { key: 'free' }),
    ]);
    expect(handles.map(({ disposition }) => disposition)).toEqual([
      'already_scheduled',
      'scheduled',
      'already_scheduled',
    ]);
    expect(handles.map(({ args }) => args)).toEqual([{ n: 0 }, { n: 2 }, { n: 2 }]);
  });

  test('numbers the executions of a batch one after the other', async () => {
    const names = Array.from({ length: 35 }, (_, n) => `k${n}`);
    await stage.docket().addMany(names.map((key) => call(note, {}, { key })));
    const generations: number[] = [];
    for (const key of names) generations.push(Number((await stage.record(key)).g));
    expect(generations).toEqual(names.map((_, n) => generations[0]! + n));
    expect(Number(await (await stage.redis()).get(stage.key('generation')))).toBe(generations.at(-1));
  });

  test('adds executions to the stream in the order of the calls, and each runs once', async () => {
    const started: number[] = [];
    const record = task('record', ({ n }: { n: number }) => void started.push(n));
    const keys = Array.from({ length: 1_000 }, (_, n) => `k${n}`);
    await stage.docket().addMany(keys.map((key, n) => call(record, { n }, { key })));
    const entries = await (await stage.redis()).xrange(stage.key('work'), '-', '+');
    expect(entries.map(([, fields]) => fields[fields.indexOf('k') + 1])).toEqual(keys);
    await stage.finish({ record });
    // A worker whose process stands still gives back what waits behind an execution, so they may change places a little.
    expect(started.toSorted((a, b) => a - b)).toEqual(keys.map((_, n) => n));
  });

  test('sends nothing for an empty batch', async () => {
    expect(await stage.docket({ url: 'unix:///nowhere/redis.sock' }).addMany([])).toEqual([]);
  });

  test('takes any iterable', async () => {
    function* calls() {
      for (let n = 0; n < 3; n++) yield call(note, { n });
    }
    expect(await stage.docket().addMany(calls())).toHaveLength(3);
  });

  test('writes nothing when one of the calls is invalid', async () => {
    const docket = stage.docket({ tasks: collection(note) });
    const valid = Array.from({ length: 600 }, (_, n) => call(note, { n }));
    const invalid = call(note, { text: Symbol('s') as never });
    await expect(docket.addMany([...valid, invalid])).rejects.toMatchObject({
      code: 'DOCKET_UNENCODABLE_VALUE',
      path: 'args.text',
    });
    expect(await stage.keys()).toEqual([]);
  });

  test('delivers a batch of more than a mebibyte whole', async () => {
    const length = task('length', ({ text }: { text: string }) => text.length);
    const sizes = Array.from({ length: 40 }, (_, i) => 100_000 + i);
    const handles = await stage.docket().addMany(sizes.map((size) => call(length, { text: 'x'.repeat(size) })));
    await stage.finish({ length });
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(sizes);
  });

  test('reports what is missing when part of the batch could not be written', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    await redis.lpush(stage.key('generation'), 'not a number'); // needed by executions with a record only
    const adding = docket.addMany([call(note, { n: 0 }), call(note, { n: 1 }, { key: 'k' }), call(note, { n: 2 })]);
    const error = (await adding.catch((e: unknown) => e)) as PartialAddError;
    await redis.del(stage.key('generation'));
    expect(error).toBeInstanceOf(PartialAddError);
    expect(error.code).toBe('DOCKET_PARTIAL_ADD');
    expect(error).toMatchObject({ unconfirmed: [], unwritten: ['k'] }); // the server refused it
    expect(error.executions).toEqual([expect.anything(), null, expect.anything()]);
    expect(await redis.xlen(stage.key('work'))).toBe(2);
  });

  test('fails as add does when nothing of the batch was written', async () => {
    const docket = stage.docket({ url: 'unix:///nowhere/redis.sock' });
    await expect(docket.addMany([call(note), call(note)])).rejects.toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
  });
});

describeOnRedis('addMany', (url) => {
  const stage = setStage(url);

  test('sends 256 calls, or a mebibyte, in a script', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(note);
    await redis.config('RESETSTAT');
    const sha = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
    await docket.addMany(Array.from({ length: 1_000 }, (_, n) => call(note, { n })));
    expect(await sha()).toBe(4);
    await docket.addMany(Array.from({ length: 12 }, () => call(note, { text: 'x'.repeat(400_000) })));
    expect(await sha()).toBe(4 + 6); // two of them fit a mebibyte
  });

  test('sends 128 calls in a script that puts them on the schedule', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(note);
    await docket.add(note, {}, { when: '1h' });
    await redis.config('RESETSTAT');
    await docket.addMany(Array.from({ length: 1_000 }, (_, n) => call(note, { n }, { when: '1h' })));
    const [, scripts] = /cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))!;
    expect(Number(scripts)).toBe(8);
  });

  test('keeps the order of the calls while the server has yet to learn the scripts', async () => {
    const redis = await stage.redis();
    const started: number[] = [];
    const record = task('record', ({ n }: { n: number }) => void started.push(n));
    for (let round = 0; round < 10; round++) {
      started.length = 0;
      await stage.docket().addMany(Array.from({ length: 20 }, (_, n) => call(record, { n })));
      await redis.script('FLUSH');
      await stage.finish({ record });
      expect(started, `round ${round}`).toEqual(Array.from({ length: 20 }, (_, n) => n));
    }
  });

  test('gives each execution a later generation than all before it, within and across batches', async () => {
    const docket = stage.docket();
    const handles = await docket.addMany(Array.from({ length: 600 }, (_, n) => call(note, { n }, { key: `k${n}` })));
    const generations = await Promise.all(handles.map(async ({ key }) => Number((await stage.record(key)).g)));
    for (let from = 0; from < 600; from += 256) {
      const batch = generations.slice(from, from + 256);
      expect(batch).toEqual(batch.map((_, i) => batch[0]! + i));
    }
    expect(new Set(generations).size).toBe(600);
    expect(Number(await (await stage.redis()).get(stage.key('generation')))).toBe(Math.max(...generations));
  });
});
