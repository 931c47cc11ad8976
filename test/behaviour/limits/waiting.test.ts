/** Who waits for a permit: in which order, as what, and what can happen to it meanwhile. */
import { describe, expect, test } from 'vitest';
import { openFleet } from '../../support/fleet.js';
import { describeEachMode } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';
import {
  addHolder,
  addInOrder,
  describeEachWay,
  ended,
  LIMITED,
  peaksOf,
  started,
  startsIn,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
  untilWaiting,
  visits,
  waiting,
} from './visits.js';

describeEachWay('a waiter', (url, { threads, options }) => {
  test('is served in the order of arrival, on whatever worker', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const holder = await addHolder(fleet, 'one');
    const waiters = await addInOrder(fleet, 'one', Array(25).fill({}));
    await untilWaiting(fleet, 25);
    await fleet.release();
    const all = await ended(fleet, 26);
    expect(startsIn(all)).toEqual([holder.key, ...waiters]);
    expect(peaksOf(all)).toEqual({ one: 1 });
    await untilNothingIsHeld(fleet);
  });

  test('is never passed by a newcomer', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    await addHolder(fleet, 'one');
    const waiters = await addInOrder(fleet, 'one', Array(12).fill({}));
    await untilWaiting(fleet, 12);
    const released = fleet.release();
    const newcomers = await addInOrder(fleet, 'one', Array(30).fill({}));
    await released;
    const all = await ended(fleet, 43);
    expect(startsIn(all).slice(1, 13)).toEqual(waiters);
    expect(startsIn(all).slice(13).sort()).toEqual(newcomers.sort());
    expect(peaksOf(all)).toEqual({ one: 1 });
    await untilNothingIsHeld(fleet);
  });

  test('leaves the line at once when it is cancelled, and those behind it go on', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const holder = await addHolder(fleet, 'one');
    const [first, second, third] = await addInOrder(fleet, 'one', [{}, {}, {}]);
    await untilWaiting(fleet, 3);
    await fleet.docket.cancel(second!);
    expect(await waiting(fleet)).toBe(2);
    await fleet.docket.cancel(second!);
    await fleet.release();
    expect(startsIn(await ended(fleet, 3))).toEqual([holder.key, first, third]);
    await untilNothingIsHeld(fleet);
  });

  test('lets one that needs less pass when it is cancelled at the head of its line', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const args = (value: string, group: string) => ({ value, group, how: 'rest' });
    const [a, b] = await addInOrder(fleet, 'stacked', [args('a', 'g'), args('b', 'g')]);
    await waitFor(async () => (await startsOf(fleet)).length === 2);
    const [c, , e] = await addInOrder(fleet, 'stacked', [args('c', 'g'), args('d', 'g'), args('e', 'h')]);
    await started(fleet, e!);
    expect(await waiting(fleet)).toBe(2);
    await fleet.docket.cancel(c!);
    expect(await waiting(fleet)).toBe(1);
    for (const key of [a!, b!, e!]) await fleet.docket.cancel(key);
    await waitFor(async () => (await startsOf(fleet)).length === 4);
    await fleet.docket.cancel((await startsOf(fleet))[3]!);
    expect(startsIn(await ended(fleet, 4))).not.toContain(c);
    await untilNothingIsHeld(fleet);
  });

  test('that fails waits for its next attempt like any other', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    await addHolder(fleet, 'oneAgain');
    const keys = await addInOrder(fleet, 'oneAgain', Array(8).fill({ how: 'failTwice' }));
    await untilWaiting(fleet, 8);
    await fleet.release();
    const all = await ended(fleet, 1 + 3 * 8);
    expect(peaksOf(all)).toEqual({ oneAgain: 1 });
    for (const key of keys) {
      const attempts = all.filter((visit) => visit.key === key && visit.kind === 'start').map(({ attempt }) => attempt);
      expect(attempts).toEqual([1, 2, 3]);
    }
    await untilNothingIsHeld(fleet);
  });

  test('follows a holder that failed', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const keys = await addInOrder(fleet, 'one', Array(10).fill({ how: 'fail' }));
    const all = await ended(fleet, 10);
    expect(startsIn(all).sort()).toEqual(keys.sort());
    expect(peaksOf(all)).toEqual({ one: 1 });
    await untilNothingIsHeld(fleet);
  });

  test('follows a holder that was cancelled while it ran', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const [holder] = await addInOrder(fleet, 'one', [{ how: 'rest' }]);
    await started(fleet, holder!);
    const waiters = await addInOrder(fleet, 'one', [{}, {}]);
    await untilWaiting(fleet, 2);
    await fleet.docket.cancel(holder!);
    const all = await ended(fleet, 3);
    expect(startsIn(all)).toEqual([holder, ...waiters]);
    expect(peaksOf(all)).toEqual({ one: 1 });
    await untilNothingIsHeld(fleet);
  });

  test('does not overtake a requeued holder, which keeps its permit', async () => {
    const fleet = await openFleet(url(), options);
    const room = { tasks: LIMITED, threads, concurrency: 10 };
    const first = await fleet.worker({ ...room, drainTimeout: '1s', abortGrace: '900ms' });
    const holder = await addHolder(fleet, 'one');
    const waiters = await addInOrder(fleet, 'one', [{}, {}]);
    await untilWaiting(fleet, 2);
    await fleet.worker(room);
    await first.stop();
    await fleet.release();
    const all = await ended(fleet, 4); // the holder twice: it was cut short
    expect(startsIn(all)).toEqual([holder.key, holder.key, ...waiters]);
    expect(peaksOf(all)).toEqual({ one: 1 });
    expect(all.every(({ attempt }) => attempt === 1)).toBe(true);
    await untilNothingIsHeld(fleet);
  });

  test('outlives the workers that made it wait', async () => {
    const fleet = await openFleet(url(), options);
    const first = await fleet.worker({ tasks: LIMITED, threads, concurrency: 10 });
    await addHolder(fleet, 'one');
    const waiters = await addInOrder(fleet, 'one', [{}, {}, {}]);
    await untilWaiting(fleet, 3);
    const stopped = first.stop();
    await fleet.release();
    await stopped;
    await fleet.worker({ tasks: LIMITED, threads });
    expect(startsIn(await ended(fleet, 4)).slice(1)).toEqual(waiters);
    await untilNothingIsHeld(fleet);
  });

  test('with a key has that key', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    await addHolder(fleet, 'one');
    const waiter = await docket.add('one', { probe }, { key: 'k' });
    await untilWaiting(fleet, 1);
    expect((await docket.getExecution('k'))?.state).toBe('queued');
    const second = await docket.add('one', { probe }, { key: 'k' });
    expect([waiter.disposition, second.disposition]).toEqual(['scheduled', 'already_scheduled']);
    expect(await waiting(fleet)).toBe(1);
    await fleet.release();
    expect(startsIn(await ended(fleet, 2)).slice(1)).toEqual(['k']);
    await untilNothingIsHeld(fleet);
    expect((await docket.add('one', { probe }, { key: 'k' })).disposition).toBe('scheduled');
    await ended(fleet, 3);
  });

  test('that is replaced is gone, and its successor stands at the end of the line', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    await addHolder(fleet, 'one');
    for (const key of ['a', 'b', 'c']) await docket.add('one', { probe }, { key });
    await untilWaiting(fleet, 3);
    await docket.replace('one', { probe, value: 'new' }, { key: 'a' });
    await untilWaiting(fleet, 3);
    await waitFor(async () => (await fleet.redis.hget(fleet.key('run:a'), 'l')) !== null);
    await fleet.release();
    expect(startsIn(await ended(fleet, 4)).slice(1)).toEqual(['b', 'c', 'a']);
    await untilNothingIsHeld(fleet);
  });

  test('that is replaced by an execution for later leaves the line', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    await addHolder(fleet, 'one');
    await docket.add('one', { probe }, { key: 'a' });
    await untilWaiting(fleet, 1);
    await docket.replace('one', { probe }, { key: 'a', when: '1h' });
    expect(await waiting(fleet)).toBe(0);
    expect((await docket.getExecution('a'))?.state).toBe('scheduled');
    await docket.cancel('a');
    await fleet.release();
    await ended(fleet, 1);
    await untilNothingIsHeld(fleet);
  });

  test('waits for a holder that was replaced while it ran', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    await docket.add('one', { probe, how: 'hold' }, { key: 'k' });
    await started(fleet, 'k');
    await docket.replace('one', { probe }, { key: 'k' });
    await untilWaiting(fleet, 1);
    await fleet.release();
    const all = await ended(fleet, 2);
    expect(all.map(({ kind }) => kind)).toEqual(['start', 'end', 'start', 'end']);
    await untilNothingIsHeld(fleet);
    expect(await fleet.redis.exists(fleet.key('superseded'))).toBe(0);
  });
});

describeEachMode('an execution that waits for a permit', (url, threads) => {
  test('is queued, then running, and ends like any other', async () => {
    const fleet = await openFleet(url());
    await twoWorkers(fleet, threads);
    const holder = await addHolder(fleet, 'one', { value: 'first' });
    const waiter = await fleet.docket.add('one', { probe: fleet.probe, value: 'second' });
    await untilWaiting(fleet, 1);
    await waiter.sync();
    expect(waiter).toMatchObject({ state: 'queued', attempt: 1, worker: null, startedAt: null });
    await fleet.release();
    expect(await Promise.all([holder.result(), waiter.result()])).toEqual(['first', 'second']);
    await waiter.sync();
    expect(waiter).toMatchObject({ state: 'completed', attempt: 1 });
    expect(waiter.startedAt!.getTime()).toBeGreaterThanOrEqual(waiter.when.getTime());
  });

  test('rejects its result when it is cancelled or replaced', async () => {
    const fleet = await openFleet(url());
    await twoWorkers(fleet, threads);
    const { docket, probe } = fleet;
    await addHolder(fleet, 'one');
    const [cancelled, replaced] = [
      await docket.add('one', { probe }, { key: 'cancelled' }),
      await docket.add('one', { probe }, { key: 'replaced' }),
    ];
    await untilWaiting(fleet, 2);
    const outcomes = Promise.allSettled([cancelled.result(), replaced.result()]);
    await cancelled.cancel();
    const successor = await docket.replace('one', { probe, value: 'new' }, { key: 'replaced' });
    expect((await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.name)).toEqual([
      'ExecutionCancelledError',
      'ExecutionSupersededError',
    ]);
    await cancelled.sync();
    expect(cancelled.state).toBe('cancelled');
    await fleet.release();
    expect(await successor.result()).toBe('new');
    expect(startsIn(await visits(fleet)).filter((key) => key === 'replaced')).toHaveLength(1);
  });

  describe('whose holder has to be ended with its thread', () => {
    test.runIf(threads > 0)('gets its permit when that has happened', async () => {
      const fleet = await openFleet(url());
      await twoWorkers(fleet, threads);
      const { docket, probe } = fleet;
      const holder = await docket.add('oneTimed', { probe, how: 'block' });
      await started(fleet, holder.key);
      const waiter = await docket.add('oneTimed', { probe, value: 'next' });
      await untilWaiting(fleet, 1);
      await expect(holder.result()).rejects.toThrow('longer than its timeout');
      expect(await waiter.result()).toBe('next');
      expect(startsIn(await visits(fleet))).toEqual([holder.key, waiter.key]);
      await untilNothingIsHeld(fleet);
    });
  });
});
