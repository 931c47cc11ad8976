/** Callers that wait for an execution while a worker moves it to another partition. */
import { concurrencyLimit, type Docket, type Execution, task } from 'docket';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { anyTime, divide, keyIn, keysOfAll, placesOf } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeEachServer } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

const { place, readDeparting, removeDeparted } =
  await importBuilt<typeof import('../../../src/redis/move-store.js')>('redis/move-store.js');
const { LISTENER_RENEWAL_MS } =
  await importBuilt<typeof import('../../../src/redis/producer-store.js')>('redis/producer-store.js');

const COUNT = 2;
const CUSTOMER = keyIn(1, COUNT, 'charge:s=').slice('charge:s='.length);
const KEY = keyIn(0, COUNT);

// At each renewal of its marker, a listener makes all waits look. Without renewals, only events do.
beforeEach(() => {
  const { setInterval } = globalThis;
  vi.spyOn(globalThis, 'setInterval').mockImplementation(((
    ...[callback, ms, ...args]: Parameters<typeof setInterval>
  ) => setInterval(ms === LISTENER_RENEWAL_MS ? () => {} : callback, ms, ...args)) as typeof setInterval);
});
afterEach(() => void vi.restoreAllMocks());

describeEachServer('a caller that waits for an execution that is moved to its partition', (url) => {
  const stage = setStage(url);
  const charge = task('charge', { limits: [concurrencyLimit('customer')] }, (_: { customer: string }) => 'charged');

  /** Adds an execution in partition 0, which belongs in partition 1. */
  async function misplaced(docket: Docket): Promise<Execution<unknown>> {
    return await docket.add('charge', { customer: CUSTOMER }, { key: KEY });
  }

  async function isListening(): Promise<boolean> {
    const redis = await stage.redis();
    const [from] = keysOfAll(stage.name, COUNT);
    const [, listeners] = await redis.pubsub('NUMSUB', from!.events(KEY));
    return Number(listeners) > 0 && (await redis.exists(from!.listeners)) === 1;
  }

  test('gets the result with the event of its end there', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const execution = await misplaced(docket);
    const result = execution.result();
    await waitFor(isListening);
    await stage.finish({ charge });
    expect(await placesOf(await stage.redis(), stage.name, COUNT, KEY)).toEqual([1]);
    expect(await result).toBe('charged');
  });

  test('gets the result when it was moved before the wait began', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const execution = await misplaced(docket);
    await moveAway();
    const result = execution.result();
    await waitFor(async () => (await listenersThere()) > 0);
    await stage.finish({ charge });
    expect(await result).toBe('charged');
  });

  test('gets the result although the docket was divided meanwhile', async () => {
    const docket = stage.docket();
    const execution = await misplaced(docket);
    const result = execution.result();
    await waitFor(isListening);
    await divide(stage.docket(), COUNT, { force: true });
    await stage.finish({ charge });
    expect(await result).toBe('charged');
  });

  test('sees in a subscription what becomes of it there', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const execution = await misplaced(docket);
    const states: string[] = [];
    const ended = (async () => {
      for await (const event of execution.subscribe()) if (event.type === 'state') states.push(event.state);
    })();
    await waitFor(() => states.length === 1);
    await moveAway();
    await waitFor(async () => (await listenersThere()) > 0);
    await stage.finish({ charge });
    await ended;
    expect(states).toEqual(['queued', 'running', 'completed']);
  });

  test('changes its progress where it is', async () => {
    const docket = stage.docket();
    await divide(docket, COUNT);
    const execution = await misplaced(docket);
    await moveAway();
    await execution.progress.setTotal(7);
    expect(execution.progress.total).toBe(7);
    expect((await stage.docket().getExecution(KEY))?.progress.total).toBe(7);
  });

  async function moveAway(): Promise<void> {
    const redis = await stage.redis();
    const [from, to] = keysOfAll(stage.name, COUNT);
    const token = (await redis.hget(from!.record(KEY), 'e')) as `w${string}`;
    const departing = await readDeparting(redis, from!, { token, key: KEY, from: '', to: '1' });
    expect(await place(redis, to!, departing!, await anyTime(redis, to!))).toBe('placed');
    expect(await removeDeparted(redis, from!, token)).toBe('removed');
  }

  async function listenersThere(): Promise<number> {
    const redis = await stage.redis();
    const [, to] = keysOfAll(stage.name, COUNT);
    return Number((await redis.pubsub('NUMSUB', to!.events(KEY)))[1]);
  }
});
