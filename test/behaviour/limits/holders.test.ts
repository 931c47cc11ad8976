/** `limits()`: who holds permits, and who waits for them. */
import { call, concurrencyLimit, InvalidOptionError, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

describeEachServer('the limits of a docket', (url) => {
  const stage = setStage(url);

  test('are none while nothing holds a permit', async () => {
    expect(await stage.docket().limits()).toEqual([]);
  });

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'are listed with those who hold permits and those who wait, in order: %o',
    async (options) => {
      const docket = stage.docket(options);
      const ending = deferred();
      const limits = [concurrencyLimit('who', { max: 2 }), concurrencyLimit({ max: 10, scope: 'all work' })];
      const hold = task('hold', { limits }, async (_: { who: string }) => {
        await ending.promise;
      });
      const held = await docket.addMany(['ada', 'ada', 'bob'].map((who) => call(hold, { who })));
      const worker = stage.work({ hold }, { concurrency: 8 });
      await waitFor(async () => (await docket.limits()).find(({ name }) => name === '@all%20work')?.taken === 3);
      const waits = await docket.addMany(['ada', 'ada'].map((who) => call(hold, { who })));
      await waitFor(async () => (await docket.limits())[0]?.waiting === 2);
      const found = await docket.limits();
      const since = options.executionTtl === 0 ? null : expect.any(Date);
      const holder = (i: number) => ({ key: held[i]!.key, task: 'hold', worker: worker.name, since });
      expect(found[0]).toEqual({
        ...{ name: 'hold:who:s=ada', description: "hold who 'ada'", max: 2, taken: 2, waiting: 2 },
        holders: expect.arrayContaining([holder(0), holder(1)]),
        waiters: waits.map(({ key }) => ({ key, task: 'hold', since: expect.any(Date) })),
      });
      const others = [
        { name: '@all%20work', description: '@all work', max: 10, taken: 3, waiting: 0, waiters: [] },
        { name: 'hold:who:s=bob', max: 2, taken: 1, waiting: 0, holders: [holder(2)], waiters: [] },
      ];
      expect(found.slice(1).toSorted((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject(others);
      const [short, ...more] = await docket.limits({ limit: 1, each: 1 });
      expect([short!.name, short!.holders.length, short!.waiters.length, more]).toEqual(['hold:who:s=ada', 1, 1, []]);
      expect((await docket.limits({ each: 0 }))[0]).toMatchObject({ max: 2, holders: [], waiters: [], waiting: 2 });
      ending.resolve();
      await waitFor(async () => (await docket.limits()).length === 0);
    },
  );

  test('refuses numbers that are out of range', async () => {
    const docket = stage.docket();
    for (const options of [{ limit: 0 }, { limit: 1_001 }, { each: 101 }, { each: 1.5 }, { max: 3 }]) {
      await expect(docket.limits(options)).rejects.toThrow(InvalidOptionError);
    }
  });
});
