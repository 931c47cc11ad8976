/** What looks for executions finds those of each priority, and what holds them back or runs them again keeps it. */
import { concurrencyLimit, type Docket, type Execution, type Priority, perpetual, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { collect } from '../support/collect.js';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';
import { deferred, waitFor } from '../support/wait.js';
import { inHand, onStreams, placeOf, untilInLine } from './pause/pauses.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { countRemaining, moveDue } =
  await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { quarantine } = await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { measure } = await importBuilt<typeof import('../../src/redis/snapshot-store.js')>('redis/snapshot-store.js');

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];
const STREAM = { high: 'high', normal: 'work', low: 'low' } as const;
const LETTER = { high: 'h', normal: 'w', low: 'b' } as const;
type RawEntry = [id: Buffer, fields: [name: Buffer, message: Buffer]];

const TTLS = ['15m', 0] as const;

describeEachServer('an execution of any priority', (url) => {
  const stage = setStage(url);

  /** A task that tells in which order its executions start. */
  function ordered() {
    const order: string[] = [];
    return { order, note: task('note', ({ name }: { name: string }) => void order.push(name)) };
  }

  async function addEach(docket: Docket): Promise<Execution<unknown>[]> {
    const { note } = ordered();
    const added: Execution<unknown>[] = [];
    for (const priority of ['low', 'normal', 'high'] as const) {
      added.push(await docket.add(note, { name: priority }, { priority }));
    }
    return added;
  }

  /** How many entries each stream has. */
  async function lengths(): Promise<Record<string, number>> {
    const redis = await stage.redis();
    const streams = ['front', 'high', 'work', 'low'];
    const counts = await Promise.all(streams.map((stream) => redis.xlen(stage.key(stream))));
    return Object.fromEntries(streams.map((stream, i) => [stream, counts[i]!]));
  }

  /** The keys of all that is queued, read in pages of one. */
  async function onePerPage(docket: Docket): Promise<string[]> {
    const keys: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = await docket.listPage({ state: 'queued', limit: 1, ...(after && { after }) });
      keys.push(...page.executions.map(({ key }) => key));
      if (page.next === null) return keys;
      after = page.next;
    }
  }

  test.each(TTLS)('is listed, in the order of reading, and shown (executionTtl %s)', async (executionTtl) => {
    const docket = stage.docket({ executionTtl });
    const [low, normal, high] = await addEach(docket);
    const listed = await collect(docket.list({ task: 'note', state: 'queued' }));
    expect(listed.map(({ key }) => key)).toEqual([high, normal, low].map((one) => one!.key));
    expect(await onePerPage(docket)).toEqual(listed.map(({ key }) => key));
    for (const { key } of [low!, normal!, high!]) {
      expect(await docket.show(key)).toMatchObject({ key, task: 'note', state: 'queued' });
    }
    await docket.clear();
  });

  test.each(TTLS)('is cancelled by a filter (executionTtl %s)', async (executionTtl) => {
    const docket = stage.docket({ executionTtl });
    await addEach(docket);
    expect(await docket.cancelMany({ task: 'note' })).toMatchObject({ removed: 3, missed: 0 });
    expect(await lengths()).toEqual({ front: 0, high: 0, work: 0, low: 0 });
  });

  test('is among the holders of a permit, with its worker', async () => {
    const docket = stage.docket();
    const [holding, ending] = [deferred(), deferred()];
    const hold = task('hold', { limits: [concurrencyLimit({ max: 3 })] }, async () => {
      if ((await docket.limits())[0]?.taken === 3) holding.resolve();
      await ending.promise;
    });
    for (const priority of PRIORITIES) await docket.add(hold, {}, { priority, key: priority });
    const worker = stage.work({ hold }, { concurrency: 3 });
    await holding.promise;
    const [limit] = await docket.limits();
    const holders = limit!.holders.map(({ key, worker: by }) => `${key} ${by}`);
    expect(holders.sort()).toEqual(PRIORITIES.map((priority) => `${priority} ${worker.name}`).sort());
    ending.resolve();
    await waitFor(async () => (await docket.limits()).length === 0);
  });

  test('counts when a worker asks whether anything is left', async () => {
    const docket = stage.docket();
    await addEach(docket);
    const remaining = await countRemaining(await stage.redis(), keysOf(stage.name));
    expect(remaining).toEqual({ queued: 3, scheduled: 0, paused: 0 });
    await docket.clear();
  });

  test('counts when the age of the oldest is measured', async () => {
    const docket = stage.docket();
    const [redis, keys] = [await stage.redis(), keysOf(stage.name)];
    const { note } = ordered();
    for (const priority of PRIORITIES) {
      expect((await measure(redis, keys)).oldestQueuedMs).toBe(0);
      await docket.add(note, { name: priority }, { priority });
      await waitFor(async () => (await measure(redis, keys)).oldestQueuedMs > 0);
      await docket.clear();
    }
  });

  const broken = task('broken', () => {
    throw new Error('broken');
  });

  test.each(PRIORITIES)('has it again when its failure is retried: %s', async (priority) => {
    const docket = stage.docket();
    await docket.add(broken, {}, { priority, key: 'k' });
    await stage.finish({ broken });
    expect((await docket.retry({ task: 'broken' })).retried).toMatchObject([{ key: 'k' }]);
    expect((await stage.record('k')).e![0]).toBe(LETTER[priority]);
    await docket.clear();
  });

  test.each(PRIORITIES)('has it again when its failure is retried, without a record: %s', async (priority) => {
    const docket = stage.docket({ executionTtl: 0 });
    await docket.add(broken, {}, { priority });
    await stage.finish({ broken });
    expect((await docket.retry({ task: 'broken' })).retried).toHaveLength(1);
    expect(await lengths()).toEqual({ front: 0, high: 0, work: 0, low: 0, [STREAM[priority]]: 1 });
    await docket.clear();
  });

  test.each(PRIORITIES)('has it again when it was put away with its record and is retried: %s', async (priority) => {
    const docket = stage.docket();
    const redis = await stage.redis();
    const { note, order } = ordered();
    await docket.add(note, { name: 'k' }, { priority, key: 'k' });
    await redis.del(stage.key('run:k'));
    await redis.set(stage.key('run:k'), 'no record');
    await stage.finish({ note });
    expect(order).toEqual([]);
    await redis.del(stage.key('run:k'));
    expect((await docket.retry({ task: 'note' })).retried).toHaveLength(1);
    expect((await stage.record('k')).e![0]).toBe(LETTER[priority]);
    await docket.clear();
  });

  test.each(PRIORITIES)('has it again when a worker put it away and it is retried: %s', async (priority) => {
    const docket = stage.docket({ executionTtl: 0 });
    const { note } = ordered();
    await docket.add(note, { name: 'lean' }, { priority });
    const [redis, keys] = [await stage.redis(), keysOf(stage.name)];
    const [[id]] = (await redis.xrangeBuffer(stage.key(STREAM[priority]), '-', '+')) as [RawEntry];
    await quarantine(redis, keys, { token: `${LETTER[priority]}${id}`, record: null, reason: 'unread' });
    expect(await lengths()).toEqual({ front: 0, high: 0, work: 0, low: 0 });
    expect((await docket.retry({ task: 'note' })).retried).toHaveLength(1);
    expect(await lengths()).toMatchObject({ front: 0, [STREAM[priority]]: 1 });
    await docket.clear();
  });

  test.each(TTLS)('waits for the end of a pause in a line by priority (executionTtl %s)', async (executionTtl) => {
    const docket = stage.docket({ executionTtl });
    const { note, order } = ordered();
    await docket.pause('note');
    const worker = stage.work({ note });
    const keys: string[] = [];
    for (const priority of ['low', 'normal', 'normal', 'high'] as const) {
      keys.push((await docket.add(note, { name: priority }, { priority })).key);
    }
    const place = await placeOf(stage);
    await untilInLine(place, 'note', 4);
    await worker.close();
    const [low, first, second, high] = keys;
    expect(await onePerPage(docket)).toEqual([high, first, second, low]);
    expect(await docket.resume('note')).toBe(true);
    await moveDue(place.redis, keysOf(stage.name)); // what a scheduler does
    expect(await lengths()).toEqual({ front: 3, high: 0, work: 0, low: 1 });
    const listed = (await collect(docket.list({ task: 'note' }))).map(({ key }) => key);
    expect(listed).toEqual([high, first, second, low]);
    await stage.finish({ note });
    expect(order).toHaveLength(4);
  });

  test('is given back to the streams of its priority when the docket is paused', async () => {
    const docket = stage.docket();
    const { note, order } = ordered();
    const [holding, ending] = [deferred(), deferred()];
    const gate = task('gate', async () => {
      holding.resolve();
      await ending.promise;
    });
    stage.work({ gate, note }, { concurrency: 1 });
    await docket.add(gate);
    await holding.promise;
    await addEach(docket);
    const place = await placeOf(stage);
    await docket.pause();
    await waitFor(async () => (await onStreams(place)) === 4 && (await inHand(place)) === 1);
    expect((await lengths()).low).toBe(1);
    ending.resolve();
    await waitFor(async () => (await inHand(place)) === 0);
    expect(order).toEqual([]);
    await docket.resume();
    await waitFor(() => order.length === 3);
    expect(order[2]).toBe('low');
  });

  test.each(PRIORITIES)('keeps it when it is run now, and so does the next run of its chain: %s', async (priority) => {
    const docket = stage.docket();
    const [redis, keys] = [await stage.redis(), keysOf(stage.name)];
    const { note, order } = ordered();
    const chain = { perpetual: perpetual({ every: '1h' }), times: 3 } as const;
    await docket.add(note, { name: 'k' }, { key: 'k', when: '1h', priority, ...chain });
    expect((await collect(docket.schedules())).map(({ key }) => key)).toEqual(['k']);
    expect(await docket.runNow('k')).toBe(true);
    expect((await moveDue(redis, keys)).count).toBe(1);
    expect((await stage.record('k')).e![0]).toBe(LETTER[priority]);
    stage.work({ note }, {}, docket);
    await waitFor(async () => order.length === 1 && (await stage.record('k')).s === 'scheduled');
    expect((await stage.record('k')).py).toBe(priority === 'normal' ? undefined : LETTER[priority]);
    await docket.cancel('k');
  });
});
