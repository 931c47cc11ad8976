/** Executions that are cancelled, replaced, struck or paused between the steps in which a worker moves them. */
import { concurrencyLimit, type Docket, type Execution, task } from 'docket';
import { describe, expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { anyTime, divide, entriesOfAll, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const { place, readDeparting, removeDeparted } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');
const { internalsOf } = await importBuilt<typeof import('../../../src/client/internals.js')>('client/internals.js');
type Departing = import('../../../src/redis/move-store.js').Departing;

const COUNT = 2;
/** It counts in partition 1, and a producer that knows only its name leaves it in partition 0. */
const RIGHT = 1;
const CUSTOMER = keyIn(RIGHT, COUNT, 'charge:s=').slice('charge:s='.length);
const KEY = keyIn(0, COUNT);

describeEachServer('an execution that a worker moves to its partition', (url) => {
  const stage = setStage(url);
  const ran: number[] = [];
  const charge = task('charge', { limits: [concurrencyLimit('customer')] }, (args: { customer: string; n: number }) => {
    ran.push(args.n);
  });

  /** Adds an execution where it does not belong. */
  async function misplaced(): Promise<Misplaced> {
    ran.length = 0;
    const docket = stage.docket();
    await divide(docket, COUNT);
    const redis = await stage.redis();
    const handle = await docket.add('charge', { customer: CUSTOMER, n: 1 }, { key: KEY });
    const [from, to] = keysOfAll(stage.name, COUNT) as [Keys, Keys];
    const token = (await redis.hget(from.record(KEY), 'e')) as `w${string}`;
    const delivery = { token, key: KEY, from: '', to: '1' };
    return {
      docket,
      handle,
      read: async () => (await readDeparting(redis, from, delivery))!,
      arrive: async (departing) => await place(redis, to, departing, await anyTime(redis, to)),
      depart: () => removeDeparted(redis, from, token),
    };
  }

  async function runRest(): Promise<number[]> {
    await stage.finish({ charge });
    expect(await entriesOfAll(await stage.redis(), stage.name, COUNT)).toEqual([0, 0]);
    return ran;
  }

  describe('is cancelled', () => {
    test('before it is placed there: the move places nothing', async () => {
      const { docket, handle, read, arrive, depart } = await misplaced();
      const departing = await read();
      expect(await docket.cancel(KEY)).toEqual({ state: 'queued', outcome: 'removed' });
      expect(await arrive(departing)).toBe('stopped');
      expect(await depart()).toBe('gone');
      expect(await runRest()).toEqual([]);
      await expect(handle.result()).rejects.toThrow(/cancelled/);
    });

    test('when it is placed there and not removed here', async () => {
      const { docket, handle, read, arrive, depart } = await misplaced();
      expect(await arrive(await read())).toBe('placed');
      expect(await docket.cancel(KEY)).toEqual({ state: 'queued', outcome: 'removed' });
      await depart();
      expect(await runRest()).toEqual([]);
      await expect(handle.result()).rejects.toThrow(/cancelled/);
    });

    test('while the partition where it belongs was asked before it came, and the other one after it had gone', async () => {
      const { docket, read, arrive, depart } = await misplaced();
      const departing = await read();
      betweenPartitions(docket, { asked: RIGHT, later: 0 }, async () => {
        expect(await arrive(departing)).toBe('placed');
        expect(await depart()).toBe('removed');
      });
      expect(await docket.cancel(KEY)).toEqual({ state: 'queued', outcome: 'removed' });
      expect(await runRest()).toEqual([]);
    });

    test('by a filter, before it is placed there', async () => {
      const { docket, read, arrive } = await misplaced();
      const departing = await read();
      expect(await docket.cancelMany({ task: 'charge' })).toMatchObject({ removed: 1, missed: 0 });
      expect(await arrive(departing)).toBe('stopped');
      expect(await runRest()).toEqual([]);
    });

    test('by whoever dies once the move is stopped: the worker that moves it ends it', async () => {
      const { handle, read } = await misplaced();
      const { move } = await read();
      await (await stage.redis()).set(keysOfAll(stage.name, COUNT)[1]!.arrived(move), '0');
      expect(await runRest()).toEqual([]);
      await handle.sync();
      expect(handle.state).toBe('cancelled');
    });

    test('after its move has failed: it is cancelled as any other', async () => {
      const { docket, read } = await misplaced();
      await read();
      expect(await docket.cancel(KEY)).toEqual({ state: 'queued', outcome: 'removed' });
      await docket.add('charge', { customer: CUSTOMER, n: 2 }, { key: KEY });
      expect(await runRest()).toEqual([2]);
    });

    test('without a record, by its id: it stays here until it is cancelled there', async () => {
      ran.length = 0;
      const docket = stage.docket({ executionTtl: 0 });
      await divide(docket, COUNT);
      const redis = await stage.redis();
      const keys = keysOfAll(stage.name, COUNT);
      const wrong = async () => (await entriesOfAll(redis, stage.name, COUNT))[0]! > 0;
      let handle: Execution<unknown>;
      do handle = await docket.add('charge', { customer: CUSTOMER, n: 1 });
      while (!(await wrong()));
      await clearOf(redis, keys[1]!.work);
      const [id] = (await redis.xrange(keys[0]!.work, '-', '+'))[0]!;
      const delivery = { token: `w${id}` as const, key: handle.key, from: '', to: '1' };
      const departing = (await readDeparting(redis, keys[0]!, delivery))!;
      await docket.cancel(handle.key);
      expect(await place(redis, keys[1]!, departing, await anyTime(redis, keys[1]!))).toBe('placed');
      expect(await removeDeparted(redis, keys[0]!, delivery.token)).toBe('cancelled');
      await stage.finish({ charge }, { partitions: [0] });
      expect(await entriesOfAll(redis, stage.name, COUNT)).toEqual([0, 1]);
      expect(await runRest()).toEqual([]);
    });
  });

  describe('is cleared', () => {
    test('before it is placed there: the move places nothing', async () => {
      const { docket, handle, read, arrive, depart } = await misplaced();
      const departing = await read();
      expect(await docket.clear()).toBe(1);
      expect(await arrive(departing)).toBe('stopped');
      expect(await depart()).toBe('gone');
      expect(await runRest()).toEqual([]);
      await expect(handle.result()).rejects.toThrow(/cancelled/);
    });

    test('while the partition where it belongs was cleared before it came', async () => {
      const { docket, read, arrive } = await misplaced();
      const departing = await read();
      betweenPartitions(docket, { asked: RIGHT, later: 0 }, async () => {
        expect(await arrive(departing)).toBe('placed');
      });
      expect(await docket.clear()).toBe(1);
      expect(await runRest()).toEqual([]);
    });

    test('when it is placed there and not removed here: it counts once', async () => {
      const { docket, handle, read, arrive } = await misplaced();
      expect(await arrive(await read())).toBe('placed');
      expect(await docket.clear()).toBe(1);
      expect(await runRest()).toEqual([]);
      await expect(handle.result()).rejects.toThrow(/cleared/);
    });

    test('when it has ended there and is not removed here: it stays what it became', async () => {
      const { docket, handle, read, arrive } = await misplaced();
      expect(await arrive(await read())).toBe('placed');
      await stage.finish({ charge }, { partitions: [RIGHT] });
      expect(await docket.clear()).toBe(0);
      expect(await runRest()).toEqual([1]);
      await handle.result();
      expect(handle.state).toBe('completed');
    });

    test('when it runs there and is not removed here: it goes on', async () => {
      const { docket, handle, read, arrive } = await misplaced();
      expect(await arrive(await read())).toBe('placed');
      const [begun, released] = [deferred(), deferred()];
      const held = task('charge', { limits: [concurrencyLimit('customer')] }, async (_: { customer: string }) => {
        begun.resolve();
        await released.promise;
        return 'done';
      });
      stage.work({ charge: held }, { partitions: [RIGHT] });
      await begun.promise;
      expect(await docket.clear()).toBe(0);
      released.resolve();
      await stage.finish({ charge });
      expect(await handle.result()).toBe('done');
    });
  });

  describe('is replaced', () => {
    const note = task('note', (_args: {}) => void ran.push(9));
    test.each([
      ['in the partition that it leaves', (docket: Docket) => docket.replace(note, {}, { key: KEY })],
      [
        'in the one to which it goes',
        (docket: Docket) => docket.replace(charge, { customer: CUSTOMER, n: 9 }, { key: KEY }),
      ],
    ])('%s, at any step: only the new one runs', async (_, replace) => {
      const { docket, read, arrive, depart } = await misplaced();
      const departing = await read();
      await replace(docket);
      expect(await arrive(departing)).toBe('stopped');
      await depart();
      await stage.finish({ charge, note });
      expect(ran).toEqual([9]);

      ran.length = 0;
      await docket.add('charge', { customer: CUSTOMER, n: 1 }, { key: KEY });
      const redis = await stage.redis();
      const [from, to] = keysOfAll(stage.name, COUNT);
      const token = (await redis.hget(from!.record(KEY), 'e')) as `w${string}`;
      const again = await readDeparting(redis, from!, { token, key: KEY, from: '', to: '1' });
      expect(await place(redis, to!, again!, await anyTime(redis, to!))).toBe('placed');
      await replace(docket);
      await removeDeparted(redis, from!, token);
      await stage.finish({ charge, note });
      expect(ran).toEqual([9]);
    });

    test('while one partition was asked before it came, and the other one after it had gone', async () => {
      ran.length = 0;
      const docket = stage.docket();
      await divide(docket, 3);
      const redis = await stage.redis();
      const keys = keysOfAll(stage.name, 3);
      const key = keyIn(2, 3);
      await docket.add('charge', { customer: CUSTOMER, n: 1 }, { key });
      const token = (await redis.hget(keys[2]!.record(key), 'e')) as `w${string}`;
      const departing = (await readDeparting(redis, keys[2]!, { token, key, from: '2', to: '1' }))!;
      betweenPartitions(docket, { asked: 1, later: 2 }, async () => {
        expect(await place(redis, keys[1]!, departing, await anyTime(redis, keys[1]!))).toBe('placed');
        expect(await removeDeparted(redis, keys[2]!, token)).toBe('removed');
      });
      const limit = concurrencyLimit('customer');
      const other = task('other', { limits: [limit] }, (_args: { customer: string }) => void ran.push(9));
      const customer = keyIn(0, 3, 'other:s=').slice('other:s='.length);
      await docket.replace(other, { customer }, { key });
      expect(await placesOf(redis, stage.name, 3, key)).toEqual([0]);
      await stage.finish({ charge, other });
      expect(ran).toEqual([9]);
    });
  });

  test('and is paused meanwhile waits there, and runs once when it is resumed', async () => {
    const { docket, read, arrive, depart } = await misplaced();
    const departing = await read();
    await docket.pause('charge');
    expect(await arrive(departing)).toBe('placed');
    await depart();
    const worker = stage.work({ charge });
    await waitFor(async () => (await docket.snapshot()).totals.paused === 1);
    expect(ran).toEqual([]);
    await docket.resume('charge');
    await waitFor(() => ran.length === 1);
    await worker.close();
    expect(await placesOf(await stage.redis(), stage.name, COUNT, KEY)).toEqual([RIGHT]);
    expect(await runRest()).toEqual([1]);
  });

  test('and is struck meanwhile does not run', async () => {
    const { docket, read, arrive, depart } = await misplaced();
    const departing = await read();
    await docket.strike('charge');
    expect(await arrive(departing)).toBe('placed');
    await depart();
    expect(await runRest()).toEqual([]);
    expect((await docket.getExecution(KEY))?.state).toBe('cancelled');
  });

  test('is redelivered and moved again when it was paused between two tries, and runs once', async () => {
    const { docket, read, arrive } = await misplaced();
    expect(await arrive(await read())).toBe('placed');
    await docket.pause('charge');
    const worker = stage.work({ charge });
    await waitFor(async () => (await docket.snapshot()).totals.paused === 2); // it is in both partitions
    await docket.resume('charge');
    await waitFor(() => ran.length === 1);
    await worker.close();
    expect(await runRest()).toEqual([1]);
  });
});

type Keys = import('../../../src/redis/keys.js').Keys;

interface Misplaced {
  readonly docket: Docket;
  readonly handle: Execution<unknown>;
  read(): Promise<Departing>;
  arrive(departing: Departing): Promise<string>;
  depart(): Promise<string>;
}

/** Takes steps once, after the first script for one partition and before that for another one. */
function betweenPartitions(docket: Docket, order: { asked: number; later: number }, steps: () => Promise<void>): void {
  const { known } = internalsOf(docket).partitions;
  const [first, second] = [known[order.asked]!, known[order.later]!];
  const [askFirst, askSecond] = [first.run.bind(first), second.run.bind(second)];
  const asked = deferred();
  let taken: Promise<void> | undefined;
  const runFirst: typeof first.run = async (commands) => {
    const result = await askFirst(commands);
    asked.resolve();
    return result;
  };
  const runSecond: typeof second.run = async (commands) => {
    taken ??= asked.promise.then(steps);
    await taken;
    return await askSecond(commands);
  };
  Object.assign(first, { run: runFirst });
  Object.assign(second, { run: runSecond });
}

/** Removes the entries of a stream. */
async function clearOf(redis: import('ioredis').Redis, stream: string): Promise<void> {
  await redis.xtrim(stream, 'MAXLEN', 0);
}
