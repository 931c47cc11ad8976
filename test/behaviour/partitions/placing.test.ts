/** Where the executions of a docket with four partitions are, and how they are found again. */
import { call, concurrencyLimit, ExecutionSupersededError, perpetual, rateLimit, StrikeList, task } from 'docket';
import { expect, test } from 'vitest';
import { partitionOf } from '../../../src/client/routing.js';
import { importBuilt } from '../../support/built.js';
import { divide, entriesOfAll, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const { examine } = await importBuilt<typeof import('../../../src/doctor/examine.js')>('doctor/examine.js');

const COUNT = 4;
const ALL = [0, 1, 2, 3];

const note = task('note', (_args: { n?: number; customer?: string }) => {});
const charge = task(
  'charge',
  { limits: [concurrencyLimit('customer'), rateLimit('customer', { max: 5, per: '1m' })] },
  (_args: { customer: string }) => {},
);
const sweep = task('sweep', { limits: [concurrencyLimit({ max: 2 })] }, (_args: { n?: number }) => {});

describeEachServer('in a docket with four partitions,', (url) => {
  const stage = setStage(url);

  async function divided(executionTtl: string | number = '15m') {
    await divide(stage.docket(), COUNT);
    return {
      docket: stage.docket({ executionTtl: executionTtl as '15m' }),
      redis: await stage.redis(),
      name: stage.name,
    };
  }

  test('a key is in the partition to which it leads, and the first one wins, whoever adds it', async () => {
    const { docket, redis, name } = await divided();
    const keys = ALL.map((partition) => keyIn(partition, COUNT));
    await docket.addMany(keys.map((key) => call(note, {}, { key })));
    for (const [i, key] of keys.entries()) expect(await placesOf(redis, name, COUNT, key)).toEqual([i]);
    const again = await Promise.all(keys.map((key) => stage.docket().add(note, { n: 1 }, { key })));
    expect(again.map(({ disposition }) => disposition)).toEqual(keys.map(() => 'already_scheduled'));
    expect(await entriesOfAll(redis, name, COUNT)).toEqual([1, 1, 1, 1]);
  });

  test.each([['15m'], [0]])(
    'what has neither key nor limit goes round, in whole batches (executionTtl %s)',
    async (ttl) => {
      const { docket, redis, name } = await divided(ttl);
      await docket.addMany(Array.from({ length: 1_024 }, (_, n) => call(note, { n })));
      expect(await entriesOfAll(redis, name, COUNT)).toEqual([256, 256, 256, 256]);
      await Promise.all(Array.from({ length: 100 }, (_, n) => docket.add(note, { n })));
      const grown = (await entriesOfAll(redis, name, COUNT)).map((length) => length - 256).sort((a, b) => a - b);
      expect(grown).toEqual([0, 0, 0, 100]);
      for (const n of ALL) await docket.add(note, { n }); // one after the other
      expect(Math.min(...(await entriesOfAll(redis, name, COUNT)))).toBeGreaterThan(256);
    },
  );

  test('a task with limits is where its limits count: by the value, else by the task', async () => {
    const { docket, redis, name } = await divided();
    const customers = Array.from({ length: 20 }, (_, i) => `c-${i}`);
    const handles = await docket.addMany(
      customers.flatMap((customer) => [
        call(charge, { customer }),
        call(charge, { customer }, { key: `of ${customer}` }),
      ]),
    );
    for (const [i, { key }] of handles.entries()) {
      const place = partitionOf(`charge:s=${customers[Math.floor(i / 2)]}`, COUNT);
      expect(await placesOf(redis, name, COUNT, key)).toEqual([place]);
    }
    const sweeps = await docket.addMany([1, 2, 3].map((n) => call(sweep, { n })));
    for (const { key } of sweeps)
      expect(await placesOf(redis, name, COUNT, key)).toEqual([partitionOf('sweep', COUNT)]);
  });

  test('an execution is found by its key wherever it is: read, shown, cancelled, made due', async () => {
    const { docket } = await divided();
    const handles = await docket.addMany(
      ALL.map((n) => call(charge, { customer: `c-${n}` }, { key: `k${n}`, when: '1h' })),
    );
    for (const { key } of handles) {
      const found = await stage.docket().getExecution(key);
      expect(found).toMatchObject({ key, task: 'charge', state: 'scheduled' });
      expect(await stage.docket().show(key)).toMatchObject({ key, place: 'schedule' });
      expect(await stage.docket().runNow(key)).toBe(true);
      await found!.sync();
      expect(found!.when.getTime()).toBeLessThan(Date.now() + 60_000);
      expect(await stage.docket().cancel(key)).toEqual({ state: 'scheduled', outcome: 'removed' });
      await found!.sync();
      expect(found!.state).toBe('cancelled');
    }
    expect(await docket.getExecution('nobody')).toBe(null);
    expect(await docket.show('nobody')).toBe(null);
    expect(await docket.runNow('nobody')).toBe(false);
    expect(await docket.cancel('nobody')).toEqual({ state: null, outcome: 'unknown' });
  });

  test('an execution without a record is cancelled by its id', async () => {
    const { docket } = await divided(0);
    const later = await docket.addMany(ALL.map((n) => call(note, { n }, { when: '1h' })));
    for (const { key } of later) expect(await docket.cancel(key)).toEqual({ state: 'scheduled', outcome: 'removed' });
    expect((await docket.snapshot()).totals.scheduled).toBe(0);
  });

  test('replace removes what had the key in another partition', async () => {
    const { docket, redis, name } = await divided();
    const [first, second] = ['c-0', 'c-1', 'c-2', 'c-3', 'c-4'].filter(
      (customer, i, all) =>
        i === 0 || partitionOf(`charge:s=${customer}`, COUNT) !== partitionOf(`charge:s=${all[0]}`, COUNT),
    ) as [string, string];
    const old = await docket.add(charge, { customer: first }, { key: 'k', when: '1h' });
    const replaced = await docket.replace(charge, { customer: second }, { key: 'k' });
    expect(replaced.disposition).toBe('scheduled');
    expect(await placesOf(redis, name, COUNT, 'k')).toEqual([partitionOf(`charge:s=${second}`, COUNT)]);
    expect((await docket.snapshot()).totals).toMatchObject({ queued: 1, scheduled: 0 });
    await expect(old.sync()).rejects.toThrow(ExecutionSupersededError);
    await docket.replace(note, {}, { key: 'k' });
    expect(await placesOf(redis, name, COUNT, 'k')).toEqual([partitionOf('k', COUNT)]);
    expect((await docket.snapshot()).totals).toMatchObject({ queued: 1, scheduled: 0 });
  });

  test('a snapshot, a listing and a clearing are about all partitions', async () => {
    const { docket } = await divided();
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    await docket.addMany(keys.map((key, n) => call(note, { n }, { key, ...(n % 2 === 0 && { when: '1h' }) })));
    const { totals, queued, future } = await docket.snapshot({ limit: 15 });
    expect([totals.queued, totals.scheduled, queued.length, future.length]).toEqual([20, 20, 15, 15]);
    const listed: string[] = [];
    for await (const { key } of docket.list()) listed.push(key);
    expect(listed.toSorted()).toEqual(keys.toSorted());
    const paged: string[] = [];
    for (let after: string | null = null, begun = false; after !== null || !begun; begun = true) {
      const page = await stage.docket().listPage({ limit: 7, ...(after !== null && { after }) });
      paged.push(...page.executions.map(({ key }) => key));
      after = page.next;
    }
    expect(paged).toEqual(listed);
    expect(await docket.cancelMany({ task: note, where: { n: 3 } })).toEqual({ removed: 1, stopping: 0, missed: 0 });
    expect(await docket.clear()).toBe(39);
    expect((await docket.snapshot()).totals).toMatchObject({ queued: 0, scheduled: 0 });
  });

  test('schedules are listed in the order of their keys', async () => {
    const { docket } = await divided();
    const keys = Array.from({ length: 12 }, (_, i) => `s${String(i).padStart(2, '0')}`);
    await docket.addMany(
      keys.toReversed().map((key) => call(note, {}, { key, perpetual: perpetual({ every: '1h' }) })),
    );
    const listed: string[] = [];
    for await (const { key } of stage.docket().schedules({ limit: 10 })) listed.push(key);
    expect(listed).toEqual(keys.slice(0, 10));
  });

  test('a strike and a pause are in every partition once they resolve, and are listed once', async () => {
    const { docket, redis, name } = await divided();
    await docket.strike(note, 'customer', '==', 'c-1');
    await docket.pause(note, { reason: 'because' });
    for (const keys of keysOfAll(name, COUNT)) {
      expect(await redis.hlen(keys.strikes)).toBe(2); // with the version
      expect(await redis.hlen(keys.paused)).toBe(2);
    }
    expect(await docket.strikes()).toHaveLength(1);
    expect(await docket.pauses()).toMatchObject([{ task: 'note', reason: 'because' }]);
    for (const partition of ALL) {
      const key = keyIn(partition, COUNT);
      expect((await docket.add(note, { customer: 'c-1' }, { key })).disposition).toBe('struck');
    }
    expect([await docket.restore(note, 'customer', '==', 'c-1'), await docket.resume(note)]).toEqual([true, true]);
    expect([await docket.restore(note, 'customer', '==', 'c-1'), await docket.resume(note)]).toEqual([false, false]);
    for (const partition of ALL) {
      const key = keyIn(partition, COUNT);
      expect((await docket.add(note, { customer: 'c-1' }, { key })).disposition).toBe('scheduled');
    }
  });

  test('a StrikeList strikes in every partition, too', async () => {
    const { docket, redis, name } = await divided();
    const list = new StrikeList({ name, url: stage.url });
    try {
      await list.connect();
      await list.strike(note);
      for (const keys of keysOfAll(name, COUNT)) expect(await redis.hlen(keys.strikes)).toBe(2);
      expect(list.isStricken(note)).toBe(true);
      expect((await docket.add(note, {}, { key: keyIn(3, COUNT) })).disposition).toBe('struck');
      expect([await list.restore(note), await list.restore(note), list.isStricken(note)]).toEqual([true, false, false]);
      for (const keys of keysOfAll(name, COUNT)) expect(await redis.hlen(keys.strikes)).toBe(1);
    } finally {
      await list.close();
    }
  });

  test('the doctor looks at every partition, and names those in which something is wrong', async () => {
    const { docket } = await divided();
    const worker = stage.work({ note });
    await waitFor(async () => (await docket.workers()).length === 1);
    const findings = async () => (await examine(docket)).filter(({ check }) => check.includes('partition'));
    await waitFor(async () => (await findings()).every(({ status }) => status === 'ok'));
    expect(await findings()).toMatchObject([{ check: 'partitions', status: 'ok' }]);
    await worker.close();
    const wrong = (await findings()).map(({ check, status }) => [check, status]);
    expect(wrong).toEqual([1, 2, 3].map((tag) => [`partition ${tag}: workers`, 'warn']));
  });
});
