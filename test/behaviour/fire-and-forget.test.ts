import { call, retry, task } from 'docket';
import { describe, expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

/** What a worker leaves behind: its streams, and the mark of its sweeper, which expires. */
const LEFT_BY_WORKERS = ['front', 'high', 'low', 'sweeper', 'work'];

describeEachServer('fire and forget:', (url) => {
  const stage = setStage(url);
  const lean = () => stage.docket({ executionTtl: 0 });

  /** A task that writes down each of its attempts. */
  function noting(fails: (attempt: number) => boolean = () => false, delay = 0) {
    const attempts: string[] = [];
    const note = task('note', { retry: retry({ attempts: 3, delay }) }, (_args: { n?: number }, { key, attempt }) => {
      attempts.push(`${key} ${attempt}`);
      if (fails(attempt)) throw new Error(`attempt ${attempt}`);
    });
    return { note, attempts };
  }

  async function expectNothingLeft(also: string[] = []): Promise<void> {
    const keys = (await stage.keys()).filter((key) => !key.startsWith('history')); // counts, which expire
    expect(keys.filter((key) => ![...LEFT_BY_WORKERS, ...also].includes(key))).toEqual([]);
    const redis = await stage.redis();
    expect([await redis.xlen(stage.key('work')), await redis.xlen(stage.key('front'))]).toEqual([0, 0]);
  }

  test('an add without a key costs one stream entry and nothing else', async () => {
    const { note } = noting();
    const execution = await lean().add(note);
    expect(execution).toMatchObject({ state: 'queued', disposition: 'scheduled' });
    expect(await stage.keys()).toEqual(['work']);
    expect(await (await stage.redis()).xlen(stage.key('work'))).toBe(1);
  });

  test('nothing is left after the run', async () => {
    const { note, attempts } = noting();
    const { key } = await lean().add(note);
    await stage.finish({ note });
    expect(attempts).toEqual([`${key} 1`]);
    await expectNothingLeft();
  });

  test('a batch costs one entry for each call, and leaves nothing', async () => {
    const { note, attempts } = noting();
    await lean().addMany(Array.from({ length: 600 }, (_, n) => call(note, { n })));
    expect(await stage.keys()).toEqual(['work']);
    await stage.finish({ note });
    expect(attempts).toHaveLength(600);
    await expectNothingLeft();
  });

  test('a key is taken until the execution has ended, and then leaves nothing', async () => {
    const { note, attempts } = noting();
    const docket = lean();
    const added = [await docket.add(note, {}, { key: 'k' }), await docket.add(note, {}, { key: 'k' })];
    expect(added.map(({ disposition }) => disposition)).toEqual(['scheduled', 'already_scheduled']);
    await stage.finish({ note });
    expect(attempts).toEqual(['k 1']);
    await expectNothingLeft(['generation']);
    expect((await docket.add(note, {}, { key: 'k' })).disposition).toBe('scheduled');
    await stage.finish({ note });
    expect(attempts).toEqual(['k 1', 'k 1']);
    await expectNothingLeft(['generation']);
  });

  test('a key is taken while the execution runs', async () => {
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', async () => {
      started.resolve();
      await ending.promise;
    });
    const docket = lean();
    await docket.add(hold, {}, { key: 'k' });
    stage.work({ hold });
    await started.promise;
    expect(await docket.add(hold, {}, { key: 'k' })).toMatchObject({
      disposition: 'already_scheduled',
      state: 'running',
    });
    ending.resolve();
    await waitFor(async () => (await docket.getExecution('k')) === null);
  });

  test.each<[{ key?: string }]>([[{}], [{ key: 'k' }]])(
    'an execution for later leaves nothing: %o',
    async (options) => {
      const { note, attempts } = noting();
      const execution = await lean().add(note, {}, { ...options, when: '50ms' });
      expect(execution.state).toBe('scheduled');
      // Without a key of its own it waits apart from the records, where no user's key can meet its id.
      const parked = `${options.key ? 'run' : 'parked'}:${execution.key}`;
      expect(await stage.keys()).toEqual(['generation', parked, 'schedule']);
      await stage.finish({ note });
      expect(attempts).toEqual([`${execution.key} 1`]);
      await expectNothingLeft(['generation']);
    },
  );

  test('a key that equals the id of another execution does not meet it', async () => {
    const { note, attempts } = noting();
    const nameless = await lean().add(note, {}, { when: '50ms' });
    const named = await lean().add(note, {}, { key: nameless.key, when: '50ms' });
    expect(named.disposition).toBe('scheduled');
    await stage.finish({ note });
    expect(attempts).toEqual([`${nameless.key} 1`, `${nameless.key} 1`]);
    await expectNothingLeft(['generation']);
  });

  describe.each([
    ['without a key', {}],
    ['with a key', { key: 'k' }],
    ['scheduled', { when: 20 }],
  ])('%s', (_how, options) => {
    test.each([
      ['straight back', 0],
      ['after a delay', 20],
    ])('a failed attempt is followed by the next %s, under its key, and leaves nothing', async (_when, delay) => {
      const { note, attempts } = noting((attempt) => attempt < 3, delay);
      const { key } = await lean().add(note, {}, options);
      await stage.finish({ note });
      expect(attempts).toEqual([`${key} 1`, `${key} 2`, `${key} 3`]);
      await expectNothingLeft(['generation']);
    });

    test.each([
      ['leaves nothing but a failure', {}, ['failures', 'failure-bounds']],
      ['leaves nothing where no failures are kept', { failureTtl: 0 }, []],
    ])('an execution that fails for good %s', async (_what, workerOptions, left) => {
      const { note, attempts } = noting(() => true, 20);
      await lean().add(note, {}, options);
      await stage.finish({ note }, workerOptions);
      expect(attempts).toHaveLength(3);
      await expectNothingLeft(['generation', ...left]);
    });
  });

  test('tracked work on the same docket keeps its state', async () => {
    const { note, attempts } = noting();
    const [forgetful, careful] = [lean(), stage.docket({ executionTtl: '1m' })];
    const kept = await careful.add(note, {}, { key: 'kept' });
    await forgetful.add(note, {}, { key: 'forgotten' });
    await forgetful.add(note);
    const later = await careful.add(note, {}, { when: '50ms' });
    await stage.finish({ note });
    expect(attempts).toHaveLength(4);
    expect(await careful.getExecution('forgotten')).toBeNull();
    expect([(await careful.getExecution('kept'))?.state, await later.result()]).toEqual(['completed', undefined]);
    await expectNothingLeft(['generation', `run:${kept.key}`, `run:${later.key}`, 'listeners']);
  });

  test('the first of two adds under a key decides what is kept', async () => {
    const { note } = noting();
    const [forgetful, careful] = [lean(), stage.docket()];
    await forgetful.add(note, {}, { key: 'k' });
    expect((await careful.add(note, {}, { key: 'k' })).disposition).toBe('already_scheduled');
    await stage.finish({ note });
    expect(await careful.getExecution('k')).toBeNull();
  });

  test('a handle can be synced though nothing is kept', async () => {
    const { note } = noting();
    const docket = lean();
    const [named, nameless] = [await docket.add(note, {}, { key: 'k' }), await docket.add(note)];
    await Promise.all([named.sync(), nameless.sync()]);
    await stage.finish({ note });
    await Promise.all([named.sync(), nameless.sync()]);
    expect(await docket.getExecution(nameless.key)).toBeNull();
  });
});
