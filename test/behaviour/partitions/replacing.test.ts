/** Replaces by producers that know a task by its name alone: a worker moves what they place while they remove the rest. */
import { concurrencyLimit, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { anyTime, divide, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';

const { place, readDeparting, removeDeparted } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');
const { replace, vacate } =
  await importBuilt<typeof import('../../../src/redis/producer-store.js')>('redis/producer-store.js');
const { REPLACING_MS } = await importBuilt<typeof import('../../../src/redis/schema.js')>('redis/schema.js');
const { loadStrikes } = await importBuilt<typeof import('../../../src/redis/strike-store.js')>('redis/strike-store.js');
const { encoderFor } = await importBuilt<typeof import('../../../src/wire/codec.js')>('wire/codec.js');
const { encodeEnvelope } = await importBuilt<typeof import('../../../src/wire/envelope.js')>('wire/envelope.js');

const COUNT = 4;
describeEachServer('a replace in a docket with four partitions', (url) => {
  const stage = setStage(url);
  const charge = task(
    'charge',
    { limits: [concurrencyLimit('customer')] },
    ({ n }: { customer: string; n: number }) => n,
  );

  /** Returns the partition where the limit of the customer counts, and another one. */
  async function partitionsOf(customer: string) {
    const probe = await stage.docket().add(charge, { customer, n: 0 });
    const [right] = await placesOf(await stage.redis(), stage.name, COUNT, probe.key);
    await stage.docket().cancel(probe.key);
    return { right: right!, wrong: (right! + 1) % COUNT };
  }

  /** Takes the steps of a replace and those of a worker one by one. */
  async function stepwise() {
    await divide(stage.docket(), COUNT);
    const redis = await stage.redis();
    const { right, wrong } = await partitionsOf('c');
    const key = keyIn(wrong, COUNT);
    const [there, here] = [right, wrong].map((partition) => keysOfAll(stage.name, COUNT)[partition]!);
    const args = { customer: 'c', n: 1 };
    const message = encodeEnvelope(encoderFor(args, 'args'), 'charge', 60_000, null, args);
    const { version } = await loadStrikes(redis, here!);
    const terms = { strikes: version, isElsewhere: true };
    const tagOf = (partition: number) => (partition === 0 ? '' : String(partition));
    return {
      key,
      record: (partition: 'here' | 'there') => redis.hgetall((partition === 'here' ? here! : there!).record(key)),
      addThere: () => stage.docket().add(charge, { customer: 'c', n: 0 }, { key, when: '1h' }),
      replaceHere: async () => (await replace(redis, here!, { key, task: 'charge', due: null, message }, terms))!,
      vacateThere: (generation: number) => vacate(redis, there!, { key, except: generation }),
      async arrive(options: { readonly isLate?: boolean } = {}) {
        const token = (await redis.hget(here!.record(key), 'e')) as `w${string}`;
        const delivery = { token, key, from: tagOf(wrong), to: tagOf(right) };
        if (options.isLate) await redis.hincrby(here!.record(key), 'f', -REPLACING_MS);
        const departing = await readDeparting(redis, here!, delivery);
        return await place(redis, there!, departing!, await anyTime(redis, there!));
      },
      depart: async () =>
        await removeDeparted(redis, here!, (await redis.hget(here!.record(key), 'e')) as `w${string}`),
    };
  }

  test('does not remove the execution that it has placed when a worker has moved it there', async () => {
    const { replaceHere, arrive, depart, vacateThere, record } = await stepwise();
    const { generation } = await replaceHere();
    expect(await arrive()).toBe('placed');
    expect(await vacateThere(generation)).toMatchObject({ wasThere: false });
    expect(await depart()).toBe('removed');
    expect((await record('there')).g).toBe(String(generation));
    expect(await record('here')).toEqual({});
    expect(await vacateThere(generation + 1)).toMatchObject({ wasThere: true }); // of the next replace
  });

  test('has what it places wait to be moved until what it replaces is removed', async () => {
    const { addThere, replaceHere, arrive, depart, vacateThere, record } = await stepwise();
    await addThere();
    const { generation } = await replaceHere();
    expect(await arrive()).toBe('leaving');
    expect(await vacateThere(generation)).toMatchObject({ wasThere: true });
    expect(await arrive()).toBe('placed');
    expect(await depart()).toBe('removed');
    expect((await record('there')).g).toBe(String(generation));
  });

  test('has it wait for a minute only: then its producer has died, and the first one under the key goes on', async () => {
    const { addThere, replaceHere, arrive } = await stepwise();
    await addThere();
    await replaceHere();
    expect(await arrive({ isLate: true })).toBe('taken');
  });

  test('runs, however soon a worker moves it', async () => {
    await divide(stage.docket(), COUNT);
    const [knowing, unknowing] = [stage.docket(), stage.docket()];
    const { wrong } = await partitionsOf('c');
    const keys = Array.from({ length: 20 }, (_, i) => keyIn(wrong, COUNT, `k${i}-`));
    const isTaken = (n: number) => n % 2 === 0;
    await Promise.all(
      keys
        .filter((_, n) => isTaken(n))
        .map((key) => knowing.add(charge, { customer: 'c', n: -1 }, { key, when: '1h' })),
    );
    stage.work({ charge }, { concurrency: 8 });
    const replaced = await Promise.all(
      keys.map((key, n) => unknowing.replace('charge', { customer: 'c', n }, { key })),
    );
    const results = await Promise.all(replaced.map((handle) => handle.result({ timeout: '25s' })));
    expect(results).toEqual(keys.map((_, n) => n));
    expect((await knowing.snapshot()).totals).toMatchObject({ queued: 0, scheduled: 0 });
  });
});
