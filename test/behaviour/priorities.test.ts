/** Which executions start first, and that each keeps its priority wherever it goes. */
import { Agenda, call, concurrencyLimit, type Execution, perpetual, type Task, task } from 'docket';
import { expect, test } from 'vitest';
import type { Entry } from '../../src/redis/entry.js';
import { importBuilt } from '../support/built.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { ensureGroups, redeliver, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { PriorityReader } = await importBuilt<typeof import('../../src/worker/intake/priority-reader.js')>(
  'worker/intake/priority-reader.js',
);
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');

type Priority = 'high' | 'normal' | 'low';
const LETTER = { high: 'h', normal: 'w', low: 'b' } as const;

describeEachServer('priorities', (url) => {
  const stage = setStage(url);

  /** A task that tells in which order its executions start, and one that keeps the only place until it may end. */
  function orderly() {
    const order: string[] = [];
    const [holding, ending] = [deferred(), deferred()];
    const note = task('note', ({ name }: { name: string }) => void order.push(name));
    const gate = task('gate', async () => {
      holding.resolve();
      await ending.promise;
    });
    return { order, note, gate, holding, open: () => ending.resolve() };
  }

  test.each(['15m', 0] as const)('high ones start first, low ones last (executionTtl %s)', async (executionTtl) => {
    const { order, note, gate, holding, open } = orderly();
    const docket = stage.docket({ executionTtl });
    stage.work({ note, gate }, { concurrency: 1 });
    await docket.add(gate);
    await holding.promise;
    const named = (name: string, priority: Priority) => call(note, { name }, { priority });
    await docket.addMany([named('low 1', 'low'), named('1', 'normal'), named('high 1', 'high'), named('low 2', 'low')]);
    await docket.addMany([named('high 2', 'high'), named('2', 'normal')]);
    open();
    await waitFor(() => order.length === 6);
    expect(order).toEqual(['high 1', 'high 2', '1', '2', 'low 1', 'low 2']);
  });

  test('behind a long backlog, a high one starts among the next, and a low one need not wait for its end', async () => {
    const { order, gate, holding, open } = orderly();
    const note = task('note', async ({ name }: { name: string }) => {
      order.push(name);
      await new Promise((resolve) => setTimeout(resolve, 1));
    });
    const docket = stage.docket({ executionTtl: 0 });
    stage.work({ note, gate }, { concurrency: 1 });
    await docket.add(gate);
    await holding.promise;
    await docket.addMany(Array.from({ length: 1_000 }, (_, i) => call(note, { name: String(i) })));
    await docket.add(note, { name: 'low' }, { priority: 'low' });
    open();
    await waitFor(() => order.length > 50);
    const before = order.length;
    await docket.add(note, { name: 'high' }, { priority: 'high' });
    await waitFor(() => order.includes('high'));
    expect(order.indexOf('high') - before).toBeLessThan(500);
    await waitFor(() => order.includes('low'));
    expect(order.indexOf('low')).toBeGreaterThan(15);
    expect(order.length).toBeLessThan(1_002);
  });

  /** Reads what is there as a worker does that has room for `count`, until so many entries were read; returns the reads. */
  async function readAll(count: number, total: number, inAll = 10_000): Promise<Entry[][]> {
    const [redis, keys] = [await stage.redis(), keysOf(stage.name)];
    await ensureGroups(redis, keys);
    const reader = new PriorityReader({ blocking: redis, keys, consumer: 'reader', longestReadMs: 50 });
    const reads: Entry[][] = [];
    let [hasBacklog, left] = [true, total];
    while (left > 0) {
      const read = await reader.read({
        count,
        inAll,
        hasBacklog,
        claim: () => null,
        mayGoOn: () => true,
        standBy: () => count,
      });
      reads.push([...read.entries]);
      left -= read.entries.length;
      hasBacklog = read.hasBacklog;
    }
    return reads;
  }

  test.each([1, 20, 60, 100])('low ones are one in 32 of what is read in a backlog, %d at a time', async (count) => {
    const note = task('note', () => {});
    const docket = stage.docket({ executionTtl: 0 });
    await docket.addMany(Array.from({ length: 1_200 }, () => call(note)));
    await docket.addMany(Array.from({ length: 100 }, () => call(note, {}, { priority: 'low' })));
    const read = (await readAll(count, 900)).flat();
    const low = read.filter(({ token }) => token.startsWith(LETTER.low)).length;
    expect(low).toBeGreaterThanOrEqual(Math.floor((read.length - count) / 32) - 1); // none with the first read
    expect(low).toBeLessThanOrEqual(Math.ceil(read.length / 32) + 1);
    await docket.clear();
  });

  test('a backlog of low ones alone is read in as few reads as any other', async () => {
    const note = task('note', () => {});
    const docket = stage.docket({ executionTtl: 0 });
    await docket.addMany(Array.from({ length: 1_000 }, () => call(note, {}, { priority: 'low' })));
    const reads = await readAll(100, 1_000);
    expect(reads.filter((entries) => entries.length > 0).length).toBeLessThanOrEqual(11);
    await docket.clear();
  });

  test.each([1, 10, 100])(
    'a read of several streams brings no more than there is room for in all, here %d',
    async (inAll) => {
      const note = task('note', () => {});
      const docket = stage.docket({ executionTtl: 0 });
      for (const priority of ['normal', 'high', 'low'] as const)
        await docket.addMany(Array.from({ length: 150 }, () => call(note, {}, { priority })));
      const reads = await readAll(100, 450, inAll);
      expect(Math.max(...reads.map(({ length }) => length))).toBeLessThanOrEqual(Math.max(inAll, 4)); // one of each stream at least
      await docket.clear();
    },
  );

  test('a task has a priority, and an add can say something else', async () => {
    const noop = (_args: { n?: number }) => {};
    const [urgent, plain] = [task('urgent', { priority: 'high' }, noop), task('plain', noop)];
    const docket = stage.docket();
    const letter = async ({ key }: Execution<unknown>) => (await stage.record(key)).e![0];
    const letters = [
      await docket.add(urgent),
      await docket.add(urgent, {}, { priority: 'low' }),
      await docket.add(plain),
      await docket.add(plain, {}, { priority: 'high' }),
      await docket.replace(plain, {}, { key: 'k', priority: 'low' }),
      ...(await new Agenda().add(plain, {}, { priority: 'high' }).scatter(docket, { over: 1, start: new Date(0) })),
    ].map(letter);
    expect(await Promise.all(letters)).toEqual(['h', 'b', 'w', 'h', 'b', 'h']);
  });

  test('what is no priority is refused before anything is written', async () => {
    const plain = task('plain', () => {});
    const docket = stage.docket();
    const wrong = { priority: 'urgent' as 'high' };
    await expect(docket.add(plain, {}, wrong)).rejects.toThrow("priority: expected 'high', 'normal' or 'low'");
    await expect(docket.replace(plain, {}, { key: 'k', ...wrong })).rejects.toThrow("got 'urgent'");
    expect(() => task('other', wrong, () => {})).toThrow("got 'urgent'");
    expect(await stage.keys()).toEqual([]);
  });

  for (const priority of ['high', 'low', 'normal'] as const) {
    for (const executionTtl of ['15m', 0] as const) {
      test(`${priority} (executionTtl ${executionTtl}): redelivered, requeued, retried, scheduled, and in its next run`, async () => {
        const redis = await stage.redis();
        const keys = keysOf(stage.name);
        await ensureGroups(redis, keys);
        const docket = stage.docket({ executionTtl });
        const plain = task('plain', () => {});
        const read = async () => {
          const [entry, ...more] = await readEntries(redis, keys, { consumer: 'me', count: 10, blockMs: null });
          expect(more).toEqual([]);
          expect(entry!.priority).toBe(priority);
          return entry!;
        };
        const added = await docket.add(plain, {}, { priority, when: 1 });
        await waitFor(async () => (await moveDue(redis, keys)).count === 1);
        const first = await read();
        expect(first.token[0]).toBe(LETTER[priority]);
        await waitFor(async () => (await redeliver(redis, keys, 1, [first.token])) === 1);
        const redelivered = await read();
        expect(redelivered.token[0]).toBe(priority === 'low' ? 'b' : 'f');

        const { key: id } = added;
        const moved = { kind: 'moved', id, ttlMs: 900_000, message: null, keepsDue: true, deliveries: 0 } as const;
        const rest = { charges: 0, reroutes: 0, admissionStage: null } as const;
        const move = async (token: typeof first.token, to: { stream: 'work' | 'front' } | { delayMs: number }) => {
          await settle(redis, keys, [{ ...moved, ...rest, token, to }]);
          if ('delayMs' in to) await waitFor(async () => (await moveDue(redis, keys)).count === 1);
          return await read();
        };
        const requeued = await move(redelivered.token, { stream: 'front' });
        expect(requeued.token[0]).toBe(priority === 'low' ? 'b' : 'f');
        const retried = await move(requeued.token, { stream: 'work' });
        expect(retried.token[0]).toBe(LETTER[priority]);
        const later = await move(retried.token, { delayMs: 1 });
        expect(later.token[0]).toBe(LETTER[priority]);

        const { token, record, message } = later;
        const next = { kind: 'followed', state: 'completed', due: { delayMs: 0 }, id, ttlMs: 900_000 } as const;
        const chain = { errorLine: '', chain: '{"everyMs":1}' };
        await settle(redis, keys, [{ ...next, ...chain, token, record, message: message!, priority: later.priority }]);
        expect((await read()).token[0]).toBe(LETTER[priority]);
      });
    }
  }

  test('a chain keeps the priority that it was added with', async () => {
    const letters: string[] = [];
    const ticks = task(
      'ticks',
      { perpetual: perpetual({ every: 1 }) },
      async (_args: {}, { key, perpetual: chain }) => {
        letters.push((await stage.record(key)).e![0]!);
        if (letters.length === 3) chain.cancel();
      },
    );
    await stage.docket().add(ticks, {}, { key: 'k', priority: 'low' });
    stage.work({ ticks });
    await waitFor(() => letters.length === 3);
    expect(letters).toEqual(['b', 'b', 'b']);
  });

  test('in line for a permit, a high one is served first and a low one last', async () => {
    const order: string[] = [];
    const [started, ending] = [deferred(), deferred()];
    const one = task('one', { limits: [concurrencyLimit({ max: 1 })] }, async ({ name }: { name: string }) => {
      order.push(name);
      started.resolve();
      await ending.promise;
    });
    const docket = stage.docket();
    stage.work({ one }, { concurrency: 10 });
    await docket.add(one, { name: 'holder' });
    await started.promise;
    for (const [name, priority] of [
      ['low', 'low'],
      ['1', 'normal'],
      ['2', 'normal'],
      ['high', 'high'],
    ] as const) {
      await docket.add(one, { name }, { priority });
    }
    await waitFor(async () => (await docket.snapshot()).totals.waiting === 4);
    ending.resolve();
    await waitFor(() => order.length === 5);
    expect(order).toEqual(['holder', 'high', '1', '2', 'low']);
  });

  test('cancel, snapshot, clear and a run until all is done know all streams', async () => {
    const ran: string[] = [];
    const note: Task<'note', { name: string }, void> = task(
      'note',
      ({ name }: { name: string }) => void ran.push(name),
    );
    const docket = stage.docket();
    const lean = stage.docket({ executionTtl: 0 });
    const names = ['high', 'normal', 'low'] as const;
    const addAll = () =>
      Promise.all(
        [docket, lean].flatMap((one) => names.map((priority) => one.add(note, { name: priority }, { priority }))),
      );
    const [first] = await addAll();
    expect((await docket.snapshot()).totals.queued).toBe(6);
    expect((await docket.snapshot()).queued).toHaveLength(6);
    await docket.cancel(first!.key);
    await first!.sync();
    expect(first!.state).toBe('cancelled');
    expect(await docket.clear()).toBe(5);
    expect((await docket.snapshot()).totals.queued).toBe(0);
    await addAll();
    await stage.finish({ note });
    expect(ran.sort()).toEqual(['high', 'high', 'low', 'low', 'normal', 'normal']);
  });
});
