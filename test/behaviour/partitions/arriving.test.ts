/** Executions that a worker moves by a layout that is no longer in force. */
import { concurrencyLimit, task } from 'docket';
import { expect, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { anyTime, divide, entriesOfAll, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const { beginLayoutChange, endLayoutChange } =
  await importBuilt<typeof import('../../../src/redis/layout-store.js')>('redis/layout-store.js');
const { place, readDeparting } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');
const { seedChains } = await importBuilt<typeof import('../../../src/redis/chain-store.js')>('redis/chain-store.js');
const { encoderFor } = await importBuilt<typeof import('../../../src/wire/codec.js')>('wire/codec.js');
const { encodeEnvelope } = await importBuilt<typeof import('../../../src/wire/envelope.js')>('wire/envelope.js');
const { ArrivalVersions } =
  await importBuilt<typeof import('../../../src/worker/arrival-versions.js')>('worker/arrival-versions.js');

const COUNT = 2;
/** It counts in partition 1, and a producer that knows only its name leaves it in partition 0. */
const CUSTOMER = keyIn(1, COUNT, 'charge:s=').slice('charge:s='.length);
const KEY = keyIn(0, COUNT);

describeEachServer('an execution that is moved by an old layout', (url) => {
  const stage = setStage(url);
  const ran: number[] = [];
  const charge = task('charge', { limits: [concurrencyLimit('customer')] }, (args: { customer: string; n: number }) => {
    ran.push(args.n);
  });

  test('does not arrive in a partition that was removed, and runs where it is', async () => {
    ran.length = 0;
    const docket = stage.docket();
    await divide(docket, COUNT);
    const redis = await stage.redis();
    const [from, to] = keysOfAll(stage.name, COUNT);
    await docket.add('charge', { customer: CUSTOMER, n: 1 }, { key: KEY });
    const token = (await redis.hget(from!.record(KEY), 'e')) as `w${string}`;
    const terms = await anyTime(redis, to!); // as long as nothing changes
    const departing = await readDeparting(redis, from!, { token, key: KEY, from: '', to: '1' });
    await divide(docket, 1, { force: true });
    expect(await place(redis, to!, departing!, terms)).toBe('outdated');
    expect(await entriesOfAll(redis, stage.name, COUNT)).toEqual([1, 0]);
    await stage.finish({ charge });
    expect(ran).toEqual([1]);
  });

  test('finds no way into a partition that the docket does not have, or while its partitions change', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const redis = await stage.redis();
    const [first, second] = keysOfAll(stage.name, COUNT).map((keys) => ({ redis, keys }));
    const arrivals = new ArrivalVersions(first!);
    expect(await arrivals.of('1', second!)).toMatch(/^\d+$/);
    await divide(docket, 1);
    arrivals.forget('1');
    await expect(arrivals.of('1', second!)).rejects.toThrow("the docket has no partition '1' any more");
    await beginLayoutChange(redis, first!.keys, { token: 'mine', expiresMs: 60_000 });
    await expect(arrivals.of('', first!)).rejects.toThrow('are being changed');
    await endLayoutChange(redis, first!.keys, { token: 'mine' });
    expect(await arrivals.of('', first!)).toMatch(/^\d+$/);
  });

  test('nor does the chain of an automatic task start by the version of the strikes of an old layout', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const redis = await stage.redis();
    const [, removed] = keysOfAll(stage.name, COUNT);
    const { strikes } = await anyTime(redis, removed!);
    await divide(docket, 1);
    const message = encodeEnvelope(encoderFor({}, 'args'), 'sweep', 900_000, null, {});
    const seed = { task: 'sweep', fingerprint: 'every 1', dueMs: null, retimedInMs: 1_000, message, chain: '{}' };
    expect(await seedChains(redis, removed!, [seed], { isStarting: true, strikes })).toBe(null);
    expect(await redis.exists(removed!.record('sweep'), removed!.automatic)).toBe(0);
  });

  test('arrives all the same when nothing but the strikes has changed since the last move', async () => {
    ran.length = 0;
    const docket = stage.docket();
    await divide(docket, COUNT);
    stage.work({ charge });
    const keys = [keyIn(0, COUNT, 'a'), keyIn(0, COUNT, 'b')];
    for (const [n, key] of keys.entries()) {
      await docket.add('charge', { customer: CUSTOMER, n }, { key });
      await waitFor(() => ran.length === n + 1);
      await docket.strike(`another ${n}`);
    }
    for (const key of keys) expect(await placesOf(await stage.redis(), stage.name, COUNT, key)).toEqual([1]);
  });
});
