/** Limits beside each other, chains with limits, and limits of a fallback. */
import { expect, test } from 'vitest';
import { openFleet } from '../../support/fleet.js';
import { waitFor } from '../../support/wait.js';
import {
  addHolder,
  addInOrder,
  describeEachWay,
  ended,
  LIMITED,
  peaksOf,
  startsIn,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
  untilWaiting,
  visits,
} from './visits.js';

describeEachWay('limits of one task', (url, { threads, options, keepsState }) => {
  test('are passed in one order, cooldown, rate, concurrency, and a dropped execution takes nothing of those behind', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const first = await addHolder(fleet, 'coolAndMetered', { value: 1 });
    await addInOrder(fleet, 'coolAndMetered', [{ value: 1 }, { value: 1 }, { value: 1 }]); // in the cooldown
    const [second] = await addInOrder(fleet, 'coolAndMetered', [{ value: 2 }]);
    await untilWaiting(fleet, 1);
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 1);
    const [third] = await addInOrder(fleet, 'coolAndMetered', [{ value: 3 }]); // over the rate, which counts who waits
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 1);
    await fleet.release();
    expect(startsIn(await ended(fleet, 2))).toEqual([first.key, second]);
    await untilNothingIsHeld(fleet);
    expect(await startsOf(fleet)).toHaveLength(2);
    if (keepsState) {
      await waitFor(async () => (await fleet.docket.getExecution(third!))?.state === 'cancelled');
      expect((await fleet.docket.getExecution(third!))?.error).toMatch(/dropped by its rate/);
    }
  });

  test('let the winner of a debounce wait for a permit', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const first = await addHolder(fleet, 'settledAndOne', { value: 'a', n: 1 });
    await addInOrder(fleet, 'settledAndOne', [{ value: 'b', n: 1 }]);
    await untilWaiting(fleet, 1);
    await fleet.release();
    expect(startsIn(await ended(fleet, 2))[0]).toBe(first.key);
    await untilNothingIsHeld(fleet);
  });

  test('let an execution with a booking wait for a permit', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const holder = await addHolder(fleet, 'pacedAndOne');
    const keys = await addInOrder(fleet, 'pacedAndOne', Array(5).fill({}));
    await untilWaiting(fleet, 5);
    await fleet.release();
    const all = await ended(fleet, 6);
    expect(startsIn(all)[0]).toBe(holder.key);
    // On a busy machine one may start too late for its place in the rate. It books another, and the next one goes first.
    expect(startsIn(all).slice(1).sort()).toEqual(keys.sort());
    expect(peaksOf(all)).toEqual({ pacedAndOne: 1 });
    await untilNothingIsHeld(fleet);
  });

  test('do not let the retry of a holder overtake waiters', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const keys = await addInOrder(
      fleet,
      'eachAgain',
      Array.from({ length: 20 }, (_, i) => ({ value: i % 4, how: 'failOnce' })),
    );
    const all = await ended(fleet, 40);
    expect(startsIn(all).sort()).toEqual([...keys, ...keys].sort());
    expect(Object.values(peaksOf(all)).every((peak) => peak === 1)).toBe(true);
    await untilNothingIsHeld(fleet);
  });

  test.each([true, false])('never end a chain that they hold up or drop (with a key: %s)', async (isKeyed) => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    const add = async (name: string) => (await docket.add(name, { probe }, isKeyed ? { key: name } : {})).key;
    const [metered, cool, permitted] = [await add('everyMetered'), await add('everyCool'), await add('everyOne')];
    // One run, and the next is dropped again and again; or every few; or none.
    const counts = async () => {
      const starts = await startsOf(fleet);
      return [metered, cool, permitted].map((key) => starts.filter((one) => one === key).length);
    };
    await waitFor(
      async () => {
        const [, ofCool, ofSlotted] = await counts();
        return ofCool! >= 2 && ofSlotted! >= 3;
      },
      { timeoutMs: 20_000 },
    );
    expect((await counts())[0]).toBe(1);
    const member = (key: string) => `${isKeyed || keepsState ? 'k' : 'l'}${key}`;
    await waitFor(async () => (await fleet.redis.zscore(fleet.key('schedule'), member(metered))) !== null);
    for (const key of [metered, cool, permitted]) {
      // What is on its way between two places is told to stop where it is met.
      await waitFor(async () => {
        await docket.cancel(key);
        return (await fleet.redis.zscore(fleet.key('schedule'), member(key))) === null;
      });
    }
    await untilNothingIsHeld(fleet);
  });

  test('of a fallback count for all the tasks that it runs', async () => {
    const fleet = await openFleet(url(), options);
    const room = { tasks: LIMITED, fallback: `${LIMITED}:fallback`, threads, concurrency: 10 };
    await Promise.all([fleet.worker(room), fleet.worker(room)]);
    const holder = await addHolder(fleet, 'unknown', { value: 1 });
    const keys = [
      ...(await addInOrder(fleet, 'unknown', [{ value: 1 }])),
      ...(await addInOrder(fleet, 'another', [{ value: 2 }])),
    ];
    await untilWaiting(fleet, 2);
    await fleet.release();
    const all = await ended(fleet, 3);
    expect(startsIn(all)).toEqual([holder.key, ...keys]);
    expect(peaksOf(await visits(fleet))).toEqual({ fallback: 1 });
    await untilNothingIsHeld(fleet);
  });
});
