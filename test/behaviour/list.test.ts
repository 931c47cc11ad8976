/** `list()` and `listPage()`: executions by task, state and arguments, in bounded pages. */
import {
  call,
  concurrencyLimit,
  InvalidOptionError,
  type ListedExecution,
  type ListOptions,
  type ListPage,
  retry,
  task,
} from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number | bigint; who?: string; text?: string }) => {});
const other = task('other', (_args: { n?: number }) => {});

describeEachServer('a listing', (url) => {
  const stage = setStage(url);

  async function listed(options: ListOptions = {}, docket = stage.docket()): Promise<ListedExecution[]> {
    const all: ListedExecution[] = [];
    for await (const one of docket.list(options)) all.push(one);
    return all;
  }
  const keysOf = (all: readonly ListedExecution[]) => all.map(({ key }) => key);

  test('of an unused docket is empty, in every state', async () => {
    const state = ['scheduled', 'queued', 'running', 'completed', 'failed', 'cancelled'] as const;
    expect([await listed(), await listed({ state })]).toEqual([[], []]);
    expect(await stage.docket().listPage()).toEqual({ executions: [], lookedAt: 0, next: null });
  });

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'shows executions in each place, first those that run, then those that wait: %o',
    async (options) => {
      const docket = stage.docket(options);
      const [started, ending] = [deferred(), deferred()];
      const hold = task('hold', { limits: [concurrencyLimit({ max: 1 })] }, async (_: { n: number }) => {
        started.resolve();
        await ending.promise;
      });
      const runs = await docket.add(hold, { n: 1 });
      const worker = stage.work({ hold }, { concurrency: 4 });
      await started.promise;
      const waits = await docket.add(hold, { n: 2 });
      const hasRecord = options.executionTtl !== 0;
      const later = await docket.add(note, {}, { when: '1h' });
      const all = await waitFor(async () => {
        const found = await listed();
        return found.some(({ waitingFor }) => waitingFor === 'hold') ? found : null;
      });
      const common = { hasRecord, attempt: 1, priority: 'normal', completedAt: null, error: null };
      expect(all).toEqual([
        {
          ...{ key: runs.key, task: 'hold', state: 'running', ...common, when: expect.any(Date), worker: worker.name },
          ...{ startedAt: hasRecord ? expect.any(Date) : null, waitingFor: null },
        },
        {
          ...{ key: waits.key, task: 'hold', state: 'queued', ...common, when: expect.any(Date), worker: null },
          ...{ startedAt: null, waitingFor: 'hold' },
        },
        {
          ...{ key: later.key, task: 'note', state: 'scheduled', ...common, when: later.when, worker: null },
          ...{ startedAt: null, waitingFor: null },
        },
      ]);
      expect(keysOf(await listed({ state: 'running' }))).toEqual([runs.key]);
      expect(keysOf(await listed({ state: 'queued' }))).toEqual([waits.key]);
      expect(keysOf(await listed({ state: ['scheduled', 'running'] }))).toEqual([runs.key, later.key]);
      expect(keysOf(await listed({ task: hold, where: { n: 2 } }))).toEqual([waits.key]);
      ending.resolve();
      await docket.clear();
    },
  );

  test.each([{ executionTtl: '1m' }, { executionTtl: 0 }] as const)(
    'finds them by task and by arguments, compared as strikes compare them: %o',
    async (options) => {
      const docket = stage.docket(options);
      for (const when of [{}, { when: '1h' }] as const) {
        await docket.add(note, { n: 1, who: 'ada' }, when);
        await docket.add(note, { n: 1n, who: 'bob' }, when);
        await docket.add(other, { n: 1 }, when);
      }
      expect(await listed({ task: 'note' })).toHaveLength(4);
      expect(await listed({ task: other })).toHaveLength(2);
      expect(await listed({ where: { n: 1 } })).toHaveLength(6);
      expect(await listed({ task: 'note', where: { n: 1n, who: 'bob' } })).toHaveLength(2);
      expect(await listed({ where: { n: '1' } })).toEqual([]);
      expect(await listed({ task: 'nobody' })).toEqual([]);
      await docket.clear();
    },
  );

  test('finds those that have ended by their records, and by arguments if they were kept', async () => {
    const docket = stage.docket();
    const shaky = task('shaky', { retry: retry({ attempts: 2 }) }, (_: { who: string }) => {
      throw new Error('no');
    });
    await docket.addMany([call(shaky, { who: 'ada' }, { key: 'a' }), call(shaky, { who: 'bob' }, { key: 'b' })]);
    await docket.add(note, { who: 'ada' }, { key: 'done' });
    await stage.finish({ shaky, note }, { keepArguments: true });
    await docket.add(note, { who: 'ada' }, { key: 'gone', when: '1h' });
    await docket.cancel('gone');
    const ended = await listed({ state: ['completed', 'failed', 'cancelled'] });
    expect(keysOf(ended).sort()).toEqual(['a', 'b', 'done', 'gone']);
    expect(ended.find(({ key }) => key === 'a')).toMatchObject({
      ...{ task: 'shaky', state: 'failed', attempt: 2, error: 'Error: no', hasRecord: true },
      completedAt: expect.any(Date),
    });
    expect(keysOf(await listed({ state: 'failed', where: { who: 'bob' } }))).toEqual(['b']);
    expect(keysOf(await listed({ state: 'completed' }))).toEqual(['done']);
    expect(await listed()).toEqual([]);
  });

  test('pages follow each other without a gap, though executions are removed between them', async () => {
    const docket = stage.docket();
    const when = new Date(Date.now() + 3_600_000); // all at one time, so that only the order of the keys tells them apart
    await docket.addMany(Array.from({ length: 40 }, (_, n) => call(note, { n }, { key: `later-${n}`, when })));
    await docket.addMany(Array.from({ length: 40 }, (_, n) => call(note, { n }, { key: `now-${n}` })));
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page: ListPage = await docket.listPage({ limit: 7, after });
      seen.push(...keysOf(page.executions));
      expect(page.executions.length).toBeLessThanOrEqual(7);
      const last = page.executions.at(-1);
      if (last) await docket.cancel(last.key); // the one behind which the next page begins
      after = page.next;
    } while (after !== null);
    expect(seen).toHaveLength(80);
    expect(new Set(seen).size).toBe(80);
  });

  test('pages with a filter for arguments end behind the last execution they list', async () => {
    const docket = stage.docket();
    const when = new Date(Date.now() + 3_600_000);
    const adds = Array.from({ length: 60 }, (_, n) =>
      call(note, { n: n % 2 }, { key: `k${n}`, ...(n % 3 === 0 && { when }) }),
    );
    await docket.addMany(adds);
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const page: ListPage = await docket.listPage({ limit: 4, where: { n: 1 }, after });
      expect(page.executions.length).toBeLessThanOrEqual(4);
      seen.push(...keysOf(page.executions));
      after = page.next;
    } while (after !== null);
    expect(seen.toSorted()).toEqual(adds.flatMap((_, n) => (n % 2 === 1 ? `k${n}` : [])).toSorted());
    await docket.clear();
  });

  test('ends at its limit, and when its signal aborts', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(note, { n })));
    expect(await listed({ limit: 250 })).toHaveLength(250);
    expect(await listed()).toHaveLength(100);
    const leaving = new AbortController();
    const seen = async () => {
      for await (const _ of docket.list({ limit: 300, signal: leaving.signal })) leaving.abort(new Error('enough'));
    };
    await expect(seen()).rejects.toThrow('enough');
    await docket.clear();
  });

  test('takes one page of a filter that matches nothing for a bounded number of executions', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    await docket.addMany(Array.from({ length: 12_000 }, (_, n) => call(note, { n })));
    const first = await docket.listPage({ where: { n: 11_999 } });
    expect(first).toEqual({ executions: [], lookedAt: expect.any(Number), next: expect.any(String) });
    const second = await docket.listPage({ where: { n: 11_999 }, after: first.next });
    expect(second).toMatchObject({ executions: [{ task: 'note' }], next: null });
    await docket.clear();
  });

  test('looks at no more for one page than it is told, and says at how many', async () => {
    const docket = stage.docket();
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(note, { n })));
    await docket.addMany(Array.from({ length: 300 }, (_, n) => call(note, { n }, { when: '1h' })));
    const filters = [{ task: 'other' }, { where: { n: -1 } }, { where: { n: -1 }, state: 'scheduled' }] as const;
    for (const filter of filters) {
      const looks: number[] = [];
      let after: string | null = null;
      do {
        const page: ListPage = await docket.listPage({ ...filter, lookAt: 100, after });
        looks.push(page.lookedAt);
        after = page.next;
      } while (after !== null);
      expect(Math.max(...looks)).toBeLessThanOrEqual(128 + 100); // the last script looks at 128 at most
      expect(looks.reduce((sum, count) => sum + count, 0)).toBe('state' in filter ? 300 : 600);
    }
    await docket.clear();
  });

  test('of many limits looks at a few for one page, however little waits at each', async () => {
    const docket = stage.docket();
    const [ending, hold] = [deferred(), deferred()];
    let started = 0;
    const each = task('each', { limits: [concurrencyLimit('n', { max: 1 })] }, async (_args: { n: number }) => {
      started += 1;
      if (started === 200) hold.resolve();
      await ending.promise;
    });
    const many = Array.from({ length: 200 }, (_, n) => call(each, { n }));
    await docket.addMany([...many, ...many]);
    stage.work({ each }, { concurrency: 500 });
    await hold.promise;
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 200);
    const onStreams = (await docket.listPage({ state: 'running', limit: 1_000 })).next;
    expect(onStreams).toBeNull();
    let [after, most, sum]: [string | null, number, number] = [null, 0, 0];
    do {
      const page: ListPage = await docket.listPage({ state: 'queued', where: { n: -1 }, lookAt: 64, after });
      after = page.next;
      if (page.lookedAt < 64) most = Math.max(most, page.lookedAt);
      sum += page.lookedAt;
    } while (after !== null);
    expect([most, sum]).toEqual([16, 400]);
    ending.resolve();
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 0);
  });

  test('refuses what it cannot use', async () => {
    const docket = stage.docket();
    const refused = async (options: object, message: RegExp) => {
      await expect(docket.listPage(options)).rejects.toThrow(InvalidOptionError);
      await expect(docket.listPage(options)).rejects.toThrow(message);
    };
    await refused({ limit: 0 }, /limit/);
    await refused({ lookAt: 0 }, /lookAt/);
    await refused({ lookAt: 10_001 }, /lookAt: expected a whole number from 1 to 10000/);
    await refused({ limit: 1_001 }, /limit: expected a whole number from 1 to 1000/);
    await refused({ state: 'waiting' }, /state: expected one or more of scheduled, .* got 'waiting'/);
    await refused({ state: [] }, /state/);
    await refused({ task: '' }, /task/);
    await refused({ tasks: 'note' }, /tasks: there is no such option/);
    await refused({ where: { a: {} } }, /where\.a/);
    const positions = [
      { place: 'work', id: 'x' },
      { place: 'work' },
      { place: 'ended', scan: '0', key: '' },
      { place: 'work', id: `${2n ** 64n}-0` },
      { place: 'limits', scan: `${2n ** 64n}`, limit: '', score: '', member: '' },
      { place: 'schedule', score: '', member: 'ka' },
      { place: 'schedule', score: '1 2', member: 'ka' },
      { place: 'limits', scan: '-1', limit: '', score: '', member: '' },
      { place: 'elsewhere' },
      7,
      null,
    ];
    const texts = positions.map((position) => Buffer.from(JSON.stringify(position)).toString('base64url'));
    for (const after of ['', 'x', 'x'.repeat(10_000), 7, ...texts])
      await refused({ after }, /^after: expected the 'next'/);
    expect(() => docket.list({ limit: 1.5 })).toThrow(InvalidOptionError);
  });
});

describeOnRedis('a listing', (url) => {
  const stage = setStage(url);

  test('goes through the lines of many limits, however short its pages are', async () => {
    const docket = stage.docket();
    const ending = deferred();
    const hold = task(
      'hold',
      { limits: [concurrencyLimit('n', { max: 1 })] },
      async (_: { n: number; second: boolean }) => {
        await ending.promise;
      },
    );
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    await docket.addMany(numbers.map((n) => call(hold, { n, second: false })));
    stage.work({ hold }, { concurrency: 100 });
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.running === 40);
    await docket.addMany(
      numbers.flatMap((n) => [1, 2, 3].map((i) => call(hold, { n, second: true }, { key: `${n}-${i}` }))),
    );
    await waitFor(async () => (await docket.snapshot({ limit: 0 })).totals.waiting === 120);
    const seen = new Set<string>();
    let after: string | null = null;
    do {
      const page: ListPage = await docket.listPage({ state: 'queued', limit: 5, after });
      for (const { key, waitingFor } of page.executions) {
        expect([seen.has(key), waitingFor?.startsWith('hold:n:')]).toEqual([false, true]);
        seen.add(key);
      }
      after = page.next;
    } while (after !== null);
    expect(seen.size).toBe(120);
    ending.resolve();
    await docket.clear();
  });

  test('leaves out what is no execution, and never blocks on it', async () => {
    const docket = stage.docket();
    const redis = await stage.redis();
    await docket.add(note, {}, { key: 'good' });
    await redis.set(stage.key('run:text'), 'no record', 'PX', 60_000);
    await redis.xadd(stage.key('work'), '*', 'k', 'text', 'm', 'junk');
    await redis.xadd(stage.key('work'), '*', 'm', 'junk');
    await redis.zadd(stage.key('schedule'), Date.now() + 3_600_000, 'ktext', Date.now() + 3_600_000, 'lgone');
    const { executions } = await docket.listPage({ state: ['scheduled', 'queued', 'completed', 'failed'] });
    expect(executions).toMatchObject([{ key: 'good' }, { task: '', hasRecord: false }]);
    expect((await docket.listPage({ where: { a: 1 } })).executions).toEqual([]);
    await redis.del(stage.key('work'), stage.key('schedule'), stage.key('run:good'));
  });
});
