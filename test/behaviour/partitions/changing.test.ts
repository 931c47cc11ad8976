/** The number of partitions changes while producers add, with old views of it. */
import { call, concurrencyLimit, type Docket, type Execution, task } from 'docket';
import { expect, test } from 'vitest';
import { partitionOf } from '../../../src/client/routing.js';
import { importBuilt } from '../../support/built.js';
import { anyTime, divide, entriesOfAll, keyIn, keysOfAll, partitionsOf, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer, describeOnRedis } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const { beginLayoutChange, endLayoutChange, loadLayout, setLayout } =
  await importBuilt<typeof import('../../../src/redis/layout-store.js')>('redis/layout-store.js');
const { place, readDeparting, removeDeparted } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');

const note = task('note', (_args: { n?: number }) => {});
const MINE = { token: 'mine', expiresMs: 60_000 };

describeEachServer('a change of the partitions', (url) => {
  const stage = setStage(url);
  const layoutOf = async () => await loadLayout(await stage.redis(), keysOfAll(stage.name, 1)[0]!);

  test('reaches a producer with its next add, which is placed where it belongs now', async () => {
    const producer = stage.docket();
    await producer.add(note, {}, { key: 'before' });
    await divide(stage.docket(), 4, { force: true });
    const keys = [0, 1, 2, 3].map((partition) => keyIn(partition, 4));
    for (const key of keys) await producer.add(note, {}, { key });
    const redis = await stage.redis();
    for (const [i, key] of keys.entries()) expect(await placesOf(redis, stage.name, 4, key)).toEqual([i]);
    await divide(stage.docket(), 2, { force: true });
    const further = [0, 1].map((partition) => keyIn(partition, 2, 'later'));
    await Promise.all(further.map((key) => producer.add(note, {}, { key })));
    for (const [i, key] of further.entries()) expect(await placesOf(redis, stage.name, 4, key)).toEqual([i]);
    expect(await layoutOf()).toMatchObject({ tags: ['', '1'], draining: ['2', '3'] });
  });

  test('makes adds wait while it goes on, and lets them go on by the new layout', async () => {
    const [producer, redis] = [stage.docket(), await stage.redis()];
    const [keys] = keysOfAll(stage.name, 1);
    await producer.add(note, {});
    await beginLayoutChange(redis, keys!, MINE);
    const states = { add: 'pending', many: 'pending', replace: 'pending' };
    const key = keyIn(3, 4, 'late');
    const adding = [
      producer.add(note, {}, { key }).then(() => (states.add = 'done')),
      producer.addMany([call(note, {}, { key: keyIn(2, 4, 'many') })]).then(() => (states.many = 'done')),
      producer.replace(note, {}, { key: keyIn(1, 4, 'new') }).then(() => (states.replace = 'done')),
    ];
    for (let i = 0; i < 10; i++) await producer.strikes(); // on the same connection: more round trips than an add takes
    expect(states).toEqual({ add: 'pending', many: 'pending', replace: 'pending' });
    await setLayout(redis, keys!, { tags: ['', '1', '2', '3'], draining: [] }, { ...MINE, versionBefore: '' });
    expect(states).toEqual({ add: 'pending', many: 'pending', replace: 'pending' });
    await endLayoutChange(redis, keys!, MINE);
    await Promise.all(adding);
    expect(await entriesOfAll(redis, stage.name, 4)).toEqual([1, 1, 1, 1]);
  });

  test('that dies lets adds go on by the old layout when its mark expires', async () => {
    const [producer, redis] = [stage.docket(), await stage.redis()];
    const [keys] = keysOfAll(stage.name, 1);
    await beginLayoutChange(redis, keys!, { ...MINE, expiresMs: 300 });
    await producer.add(note, {}, { key: keyIn(3, 4) });
    expect(await placesOf(redis, stage.name, 4, keyIn(3, 4))).toEqual([0]);
  });

  test('is refused while another goes on, and changes nothing', async () => {
    const redis = await stage.redis();
    const [keys] = keysOfAll(stage.name, 1);
    await beginLayoutChange(redis, keys!, MINE);
    await expect(divide(stage.docket(), 4)).rejects.toThrow(/somebody else/);
    expect(await layoutOf()).toMatchObject({ version: '' });
    await endLayoutChange(redis, keys!, MINE);
    await divide(stage.docket(), 4);
    expect(await layoutOf()).toMatchObject({ tags: ['', '1', '2', '3'] });
  });

  test.each([
    ['is on a stream', {}],
    ['is on the schedule', { when: '1h' }],
  ] as const)('is refused while an execution under a key %s, unless it is forced', async (_, options) => {
    await stage.docket().addMany([call(note, {}), call(note, {}, { key: 'mine', ...options }), call(note, {})]);
    await expect(divide(stage.docket(), 2)).rejects.toThrow(/under the key 'mine'/);
    expect(await layoutOf()).toMatchObject({ version: '' });
    expect((await stage.docket().add(note, {})).disposition).toBe('scheduled'); // adds do not wait for the marks to expire
    await divide(stage.docket(), 2, { force: true });
    expect(await layoutOf()).toMatchObject({ tags: ['', '1'] });
  });

  test('does not wait for executions without keys, with and without records', async () => {
    const redis = await stage.redis();
    for (const docket of [stage.docket(), stage.docket({ executionTtl: 0 })]) {
      await docket.addMany([call(note, {}), call(note, {}, { when: '1h' })]);
    }
    await divide(stage.docket(), 2);
    expect((await stage.docket().snapshot()).totals).toMatchObject({ queued: 2, scheduled: 2 });
    expect(await entriesOfAll(redis, stage.name, 2)).toEqual([2, 0]);
  });

  test('is refused while an execution is between the steps of a move, and could be moved to a third partition, too', async () => {
    const customer = keyIn(1, 2, 'charge:s=').slice('charge:s='.length);
    const redis = await stage.redis();
    const docket = stage.docket();
    await divide(docket, 2);
    const [from, to] = keysOfAll(stage.name, 2);
    for (const outcome of ['moved', 'cancelled']) {
      const execution = await waitFor(async () => {
        const added = await docket.add('charge', { customer }); // it may go to either partition
        const isMisplaced = (await redis.exists(from!.record(added.key))) === 1;
        if (!isMisplaced) await added.cancel();
        return isMisplaced && added;
      });
      const { key } = execution as Execution<unknown>;
      const token = (await redis.hget(from!.record(key), 'e')) as `w${string}`;
      const departing = await readDeparting(redis, from!, { token, key, from: '', to: '1' });
      if (outcome === 'moved') {
        expect(await place(redis, to!, departing!, await anyTime(redis, to!))).toBe('placed');
      }
      await expect(divide(stage.docket(), 3)).rejects.toThrow(/on its way/);
      if (outcome === 'moved') expect(await removeDeparted(redis, from!, token)).toBe('removed');
      else expect(await docket.cancel(key)).toMatchObject({ outcome: 'removed' });
    }
    await divide(stage.docket(), 3);
  });

  test('is refused while executions hold permits', async () => {
    const [started, ending] = [deferred(), deferred()];
    const hold = task('hold', { limits: [concurrencyLimit({ max: 1 })] }, async (_args: {}) => {
      started.resolve();
      await ending.promise;
    });
    const execution = await stage.docket().add(hold, {});
    stage.work({ hold });
    await started.promise;
    await expect(divide(stage.docket(), 2)).rejects.toThrow(/permits/);
    ending.resolve();
    await execution.result();
    await divide(stage.docket(), 2);
  });

  test('gives new partitions the strikes and the pauses, and takes away those of an earlier life', async () => {
    const docket = stage.docket();
    await divide(docket, 2);
    await docket.strike(note);
    await docket.pause(note, { reason: 'then' });
    await divide(docket, 1);
    await divide(docket, 1);
    expect(await layoutOf()).toMatchObject({ tags: [''], draining: [] });
    await docket.restore(note);
    await docket.resume(note);
    await docket.strike('other');
    await docket.pause('other', { reason: 'now' });
    await divide(docket, 3);
    const redis = await stage.redis();
    for (const keys of keysOfAll(stage.name, 3)) {
      const [strikes, pauses] = [await redis.hkeys(keys.strikes), await redis.hkeys(keys.paused)];
      expect(strikes.sort()).toEqual(['["other"]', 'version']);
      expect(pauses.sort()).toEqual(['#other now', 'version']);
    }
    await docket.resume('other');
  });

  test('keeps a partition that was removed until nothing is left in it', async () => {
    const docket = stage.docket();
    await divide(docket, 2);
    const key = keyIn(1, 2);
    await docket.add(note, {}, { key });
    await divide(docket, 1, { force: true });
    expect(await layoutOf()).toMatchObject({ tags: [''], draining: ['1'] });
    expect(await stage.docket().getExecution(key)).toMatchObject({ key, state: 'queued' });
    await docket.strike('other');
    expect(await (await stage.redis()).hlen(keysOfAll(stage.name, 2)[1]!.strikes)).toBe(2);
    await divide(docket, 1);
    expect(await layoutOf()).toMatchObject({ draining: ['1'] });
    expect(await docket.cancel(key)).toEqual({ state: 'queued', outcome: 'removed' });
    await divide(docket, 1);
    expect(await layoutOf()).toMatchObject({ draining: [] });
  });

  test('lets an execution with `once` run no second time, wherever the record of the first one is', async () => {
    const echo = task('echo', ({ n }: { n: number }) => n);
    const keys = [0, 1, 2, 3].map((partition) => keyIn(partition, 4));
    const addAll = async (docket: Docket, n: number) => [
      await docket.add(echo, { n }, { key: keys[0]!, once: true }),
      ...(await docket.addMany(keys.slice(1).map((key) => call(echo, { n }, { key, once: true })))),
    ];
    const [producer, before] = [stage.docket(), stage.docket()];
    await addAll(before, 0);
    await stage.finish({ echo });
    await divide(producer, 4);
    const check = async (docket: Docket) => {
      const again = await addAll(docket, 1);
      expect(again.map(({ disposition }) => disposition)).toEqual(keys.map(() => 'already_scheduled'));
      expect(await Promise.all(again.map((handle) => handle.result()))).toEqual([0, 0, 0, 0]);
    };
    await check(producer);
    await check(before); // learns of the partitions with this add
    const fresh = keyIn(3, 4, 'fresh');
    expect((await producer.add(echo, { n: 2 }, { key: fresh, once: true })).disposition).toBe('scheduled');
    await stage.finish({ echo });
    await divide(producer, 1); // what is in drained partitions counts, too
    expect((await producer.add(echo, { n: 3 }, { key: fresh, once: true })).disposition).toBe('already_scheduled');
    await check(producer);
  });

  test('is refused when another one was made since it has read the partitions, so that none of them is lost', async () => {
    const [slow, redis] = [stage.docket(), await stage.redis()];
    await stage.docket().add(note, {});
    const partitions = partitionsOf(slow);
    const load = partitions.load.bind(partitions);
    let loads = 0;
    partitions.load = async () => {
      const loaded = await load();
      loads += 1;
      if (loads === 2) await divide(stage.docket(), 4); // while this one stands still
      return loaded;
    };
    await expect(divide(slow, 2)).rejects.toThrow(/changed meanwhile/);
    expect(await layoutOf()).toMatchObject({ tags: ['', '1', '2', '3'], draining: [] });
    for (const keys of keysOfAll(stage.name, 4)) expect(await redis.exists(keys.layoutChange)).toBe(0);
  });

  test('is refused when its marks have expired while it looked for keys, so that it misses none', async () => {
    const [slow, redis] = [stage.docket(), await stage.redis()];
    const [keys] = keysOfAll(stage.name, 1);
    const key = keyIn(1, 2);
    await slow.add(note, {});
    const { first } = partitionsOf(slow);
    const run = first.run.bind(first);
    first.run = async (commands) => {
      const result = await run(commands);
      if (result === null && (await redis.exists(keys!.layoutChange)) === 1) {
        await redis.del(keys!.layoutChange); // it has looked through all, and stands still until the marks expire
        await stage.docket().add(note, {}, { key });
      }
      return result;
    };
    await expect(divide(slow, 2)).rejects.toThrow(/too slow/);
    expect((await layoutOf()).tags).toEqual(['']);
    expect(await placesOf(redis, stage.name, 2, key)).toEqual([0]);
  });

  test('to the number there is changes nothing', async () => {
    await divide(stage.docket(), 1);
    expect(await layoutOf()).toMatchObject({ version: '' });
    await divide(stage.docket(), 3);
    const { version } = await layoutOf();
    await divide(stage.docket(), 3);
    expect((await layoutOf()).version).toBe(version);
  });
});

describeOnRedis('while the partitions change again and again,', (url) => {
  const stage = setStage(url);

  test('producers with old views lose nothing, place each key once, and place it where it belongs', async () => {
    const counts = [4, 1, 3, 2];
    const keysBy = new Map<number, string[]>();
    const redis = await stage.redis();
    for (const [round, count] of counts.entries()) {
      const added: Execution<unknown>[] = [];
      let isChanged = false;
      const produce = async (docket: Docket, name: string) => {
        for (let i = 0, after = 0; after < 10; i++, after += isChanged ? 1 : 0) {
          const batch = [1, 2, 3, 4, 5].map((n) => call(note, { n }, { key: `${round}-${name}-${i}-${n}` }));
          const adding = [docket.add(note, { n: i }), docket.addMany(batch)] as const;
          const [one, many] = await Promise.all(adding);
          added.push(one, ...many);
        }
      };
      const producers = [produce(stage.docket(), 'a'), produce(stage.docket(), 'b')];
      await waitFor(() => added.length > 100);
      await divide(stage.docket(), count, { force: true });
      isChanged = true;
      await Promise.all(producers);
      const last = added.slice(-10).filter(({ key }) => key.includes('-'));
      for (const { key } of last) expect(await placesOf(redis, stage.name, 4, key)).toEqual([partitionOf(key, count)]);
      keysBy.set(
        round,
        added.map(({ key }) => key),
      );
    }
    const all = [...keysBy.values()].flat();
    expect(new Set(all).size).toBe(all.length);
    const places = await Promise.all(all.map((key) => placesOf(redis, stage.name, 4, key)));
    expect(places.filter(({ length }) => length !== 1)).toEqual([]);
    const entries = await entriesOfAll(redis, stage.name, 4);
    expect(entries.reduce((sum, length) => sum + length, 0)).toBe(all.length);
  });
});
