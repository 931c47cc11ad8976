/** At most so many at once: for each value, for a task, for a scope; in the whole fleet. */
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../../support/fleet.js';
import { waitFor } from '../../support/wait.js';
import {
  addHolder,
  addInOrder,
  describeEachWayAndMode,
  ended,
  holding,
  LIMITED,
  peaksOf,
  startsIn,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
  untilWaiting,
  visits,
} from './visits.js';

/** Waits until exactly so many run and so many wait. */
async function untilSplit(fleet: Fleet, running: number, waitingCount: number): Promise<void> {
  await untilWaiting(fleet, waitingCount);
  await waitFor(async () => (await startsOf(fleet)).length === running);
  expect(await holding(fleet)).toBe(running);
}

describeEachWayAndMode('a concurrency limit', (url, { threads, options, keepsState }) => {
  test('lets its maximum run at once for each value, and no more, on two workers', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads, threads);
    const values = ['a', 'b', 'c'];
    const held = values.flatMap((value) => Array.from({ length: 4 }, () => ({ value, how: 'hold' })));
    await addInOrder(fleet, 'pair', held);
    await untilSplit(fleet, 6, 6);
    await Promise.all(
      Array.from({ length: 60 }, (_, i) => fleet.docket.add('pair', { probe: fleet.probe, value: values[i % 3] })),
    );
    await fleet.release();
    expect(peaksOf(await ended(fleet, 72))).toEqual({ 'pair=a': 2, 'pair=b': 2, 'pair=c': 2 });
    await untilNothingIsHeld(fleet);
    expect(new Set(await startsOf(fleet)).size).toBe(72);
    expect(await visits(fleet)).toHaveLength(2 * 72);
  });

  test('without a parameter counts the whole task, and no other task', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    await addInOrder(
      fleet,
      'three',
      Array.from({ length: 7 }, (_, value) => ({ value, how: 'hold' })),
    );
    await untilSplit(fleet, 3, 4);
    await addInOrder(fleet, 'free', [{}, {}, {}, {}]);
    await ended(fleet, 4);
    await fleet.release();
    expect(peaksOf((await ended(fleet, 11)).filter(({ subject }) => subject === 'three'))).toEqual({ three: 3 });
    await untilNothingIsHeld(fleet);
  });

  test('counts tasks of one scope together, whatever their arguments are called', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    for (const host of ['x', 'y']) {
      await docket.add('crawl', { probe, host, how: 'hold' });
      await docket.add('fetchOne', { probe, site: host, how: 'hold' });
    }
    await untilSplit(fleet, 4, 0);
    for (const host of ['x', 'y']) {
      await docket.add('fetchOne', { probe, site: host });
      await docket.add('crawl', { probe, host });
    }
    await untilSplit(fleet, 4, 4);
    await fleet.release();
    expect(peaksOf(await ended(fleet, 8))).toEqual({ 'host=x': 2, 'host=y': 2 });
    await untilNothingIsHeld(fleet);
  });

  test('distinguishes values by type, and long ones by their whole text', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const long = 'x'.repeat(100);
    const different = [1, '1', 1n, true, 'true', null, 'null', new Date(1), 0, 1.5, '', ' ', `${long}a`, `${long}b`];
    await addInOrder(
      fleet,
      'each',
      different.map((value) => ({ value, how: 'hold' })),
    );
    await untilSplit(fleet, different.length, 0);
    const same = [1, '1', 1n, true, 'true', null, 'null', new Date(1), -0, 1.5, '', ' ', `${long}a`, `${long}b`];
    await addInOrder(
      fleet,
      'each',
      same.map((value) => ({ value })),
    );
    await untilSplit(fleet, different.length, same.length);
    await fleet.release();
    await ended(fleet, 2 * same.length);
    await untilNothingIsHeld(fleet);
  });

  test('can be stacked: a running execution has a permit of each, and a waiter has none', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const groups = [
      ['a', 'g'],
      ['a', 'g'],
      ['b', 'g'],
      ['c', 'g'],
      ['d', 'h'],
      ['e', 'h'],
    ] as const;
    await addInOrder(
      fleet,
      'stacked',
      groups.map(([value, group]) => ({ value, group, how: 'hold' })),
    );
    // Run: a and b of g, d of h. The second a waits for its value, c for its group, e for the whole.
    await untilSplit(fleet, 3, 3);
    await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        fleet.docket.add('stacked', { probe: fleet.probe, value: 'abcde'[i % 5], group: 'gh'[i % 2] }),
      ),
    );
    await fleet.release();
    const peaks = peaksOf(await ended(fleet, 46));
    expect(peaks.all).toBe(3);
    for (const [subject, peak] of Object.entries(peaks)) {
      const max = subject.startsWith('value=') ? 1 : 2;
      if (subject !== 'all') expect([subject, peak <= max]).toEqual([subject, true]);
    }
    await untilNothingIsHeld(fleet);
  });

  test.each([
    ['missing', {}, 'is missing'],
    ['undefined', { value: undefined }, 'which is'],
    ['a record', { value: { id: 1 } }, 'which is'],
    ['a list', { value: [1] }, 'which is'],
  ])('fails an execution whose argument is %s, once, and names the arguments it has', async (_, args, problem) => {
    const fleet = await openFleet(url(), options);
    const { lines } = await fleet.worker({ tasks: LIMITED, threads });
    const execution = await fleet.docket.add('eachAgain', { probe: fleet.probe, other: 1, ...args });
    const line = (await waitFor(() => lines.find(({ message }) => message.includes('LimitArgumentError'))))!;
    expect(line.message).toContain("limited by its argument 'value'");
    expect(line.message).toContain(problem);
    expect(line.message).toContain('probe, other');
    if (keepsState) {
      await expect(execution.result()).rejects.toMatchObject({
        name: 'LimitArgumentError',
        code: 'DOCKET_LIMIT_ARGUMENT',
        argument: 'value',
        names: expect.arrayContaining(['probe', 'other']),
      });
      await execution.sync();
      expect(execution).toMatchObject({ state: 'failed', attempt: 1 });
    }
    await untilNothingIsHeld(fleet);
    // Whoever has it goes on as if nothing had been.
    await addInOrder(fleet, 'eachAgain', [{ value: 1 }]);
    await ended(fleet, 1);
    expect(await startsOf(fleet)).toHaveLength(1);
    expect(lines.filter(({ message }) => message.includes('LimitArgumentError'))).toHaveLength(1);
  });

  test('that a deploy widens serves its waiters, and then has more room', async () => {
    const fleet = await openFleet(url(), options);
    const before = await fleet.worker({ tasks: `${LIMITED}:narrow`, threads, concurrency: 10 });
    await addHolder(fleet, 'deployed');
    const waiters = await addInOrder(fleet, 'deployed', [{}, {}, {}]);
    await untilWaiting(fleet, 3);
    const stopped = before.stop();
    await fleet.worker({ tasks: `${LIMITED}:wide`, threads, concurrency: 10 });
    await fleet.release();
    await stopped;
    const started = (await startsOf(fleet)).slice(1);
    expect(started).toEqual(waiters.slice(0, started.length));
    expect(peaksOf(await ended(fleet, 4))).toEqual({ deployed: 1 });
    await untilNothingIsHeld(fleet);
    await addInOrder(fleet, 'deployed', Array(5).fill({ how: 'rest' }));
    await untilWaiting(fleet, 2);
    await waitFor(async () => (await startsOf(fleet)).length === 7);
    for (const key of (await startsOf(fleet)).slice(4)) await fleet.docket.cancel(key);
    await waitFor(async () => (await startsOf(fleet)).length === 9);
    for (const key of (await startsOf(fleet)).slice(7)) await fleet.docket.cancel(key);
    expect(peaksOf(await ended(fleet, 9))).toEqual({ deployed: 3 });
    await untilNothingIsHeld(fleet);
  });

  test('that a deploy narrows holds for executions that come from then on', async () => {
    const fleet = await openFleet(url(), options);
    const before = await fleet.worker({ tasks: `${LIMITED}:wide`, threads, concurrency: 10 });
    await addInOrder(fleet, 'deployed', Array(5).fill({ how: 'hold' }));
    await untilSplit(fleet, 3, 2);
    const stopped = before.stop();
    await fleet.worker({ tasks: `${LIMITED}:narrow`, threads, concurrency: 10 });
    await addInOrder(fleet, 'deployed', Array(5).fill({}));
    await untilWaiting(fleet, 7);
    await fleet.release();
    await stopped;
    const all = await ended(fleet, 10);
    expect(peaksOf(all).deployed).toBe(3);
    expect(new Set(all.map(({ key }) => key)).size).toBe(10);
    await untilNothingIsHeld(fleet);
  });

  test('that a deploy removes leaves no waiter behind', async () => {
    const fleet = await openFleet(url(), options);
    const before = await fleet.worker({ tasks: `${LIMITED}:narrow`, threads, concurrency: 10 });
    await addHolder(fleet, 'deployed');
    await addInOrder(fleet, 'deployed', [{}, {}, {}]);
    await untilWaiting(fleet, 3);
    const stopped = before.stop();
    await fleet.worker({ tasks: `${LIMITED}:unlimited`, threads, concurrency: 10 });
    await fleet.release();
    await stopped;
    expect(new Set(startsIn(await ended(fleet, 4))).size).toBe(4);
    await untilNothingIsHeld(fleet);
  });
});
