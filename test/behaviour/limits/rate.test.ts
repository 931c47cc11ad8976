/** At most so many starts within a period: what is too much waits for its place, or is dropped. */
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../../support/fleet.js';
import { describeOnEmbedded, describeOnRedis } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';
import {
  addHolder,
  addInOrder,
  describeEachWay,
  ended,
  LIMITED,
  startsIn,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
} from './visits.js';

/** Waits until nothing is on its way any more. */
async function untilQuiet(fleet: Fleet): Promise<void> {
  await untilNothingIsHeld(fleet);
}

describeEachWay('a rate limit', (url, { threads, options, keepsState }) => {
  test.each([
    ['each at its place, in order of arrival for each value', 1],
    ['each at its place, on whatever worker', 2],
  ])('that delays runs all executions, %s', async (_, workers) => {
    const fleet = await openFleet(url(), options);
    if (workers === 2) await twoWorkers(fleet, threads);
    else await fleet.worker({ tasks: LIMITED, threads, concurrency: 40 });
    const { docket, probe } = fleet;
    const executions = [];
    for (let i = 0; i < 12; i++) executions.push(await docket.add('paced', { probe, value: i % 2 === 0 ? 'a' : 'b' }));
    const all = await ended(fleet, 12);
    expect(startsIn(all).sort()).toEqual(executions.map(({ key }) => key).sort());
    if (!keepsState) return;
    for (const value of [0, 1]) {
      const line = executions.filter((_, i) => i % 2 === value);
      await waitFor(async () => {
        await Promise.all(line.map((execution) => execution.sync()));
        return line.every(({ state }) => state === 'completed');
      });
      const startMs = line.map(({ startedAt }) => startedAt!.getTime());
      // Which of two workers is first at the gate is open; one has them in the order in which they were added.
      if (workers === 2) startMs.sort((a, b) => a - b);
      // The place of each is a period after that of the second before it, so this is exact; how late it starts is not.
      startMs.forEach((ms, i) => {
        expect(ms).toBeGreaterThanOrEqual(startMs[0]! + Math.floor(i / 2) * 250);
      });
      expect(startMs.at(-1)! - startMs[0]!).toBeLessThan(10_000);
    }
  });

  test('shows a delayed execution as scheduled for its booking, where it can be cancelled', async () => {
    const fleet = await openFleet(url(), options);
    await fleet.worker({ tasks: LIMITED, threads });
    const keys = await addInOrder(fleet, 'paced', Array(7).fill({ value: 'a' }));
    const last = keys.at(-1)!;
    await waitFor(async () => {
      const member = `${keepsState ? 'k' : 'l'}${last}`;
      return (await fleet.redis.zscore(fleet.key('schedule'), member)) !== null;
    });
    if (keepsState) expect((await fleet.docket.getExecution(last))?.state).toBe('scheduled');
    await fleet.docket.cancel(last);
    await ended(fleet, 6);
    await untilQuiet(fleet);
    expect((await startsOf(fleet)).sort()).toEqual(keys.slice(0, -1).sort());
  });

  test('that drops runs as many executions as it may, and cancels the others', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const keys = await addInOrder(fleet, 'metered', Array(8).fill({ value: 1 }));
    await addInOrder(fleet, 'metered', [{ value: '1' }]);
    await ended(fleet, 3);
    await untilQuiet(fleet);
    expect(await startsOf(fleet)).toHaveLength(3);
    if (!keepsState) return;
    const executions = await Promise.all(keys.map((key) => fleet.docket.getExecution(key)));
    expect(executions.map((execution) => execution?.state).sort()).toEqual([
      ...Array(6).fill('cancelled'),
      ...Array(2).fill('completed'),
    ]);
    const dropped = executions.find((execution) => execution?.state === 'cancelled')!;
    expect(dropped.error).toMatch(/dropped by its rate/);
    await expect(dropped.result()).rejects.toMatchObject({ name: 'ExecutionCancelledError' });
  });

  test('counts attempts', async () => {
    const fleet = await openFleet(url(), options);
    await fleet.worker({ tasks: LIMITED, threads });
    const [paced] = await addInOrder(fleet, 'pacedAgain', [{ how: 'failTwice' }]);
    const began = performance.now();
    const [metered] = await addInOrder(fleet, 'meteredAgain', [{ how: 'failTwice' }]);
    const all = await ended(fleet, 5);
    expect(performance.now() - began).toBeLessThan(15_000);
    await untilQuiet(fleet);
    const attempts = (key: string) => all.filter((visit) => visit.key === key && visit.kind === 'end');
    expect(attempts(paced!).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(attempts(metered!).map(({ attempt }) => attempt)).toEqual([1, 2]); // there is no place for a third
    if (keepsState) expect((await fleet.docket.getExecution(metered!))?.state).toBe('cancelled');
  });
});

describeOnRedis('a rate limit whose bookings come late', (url) => {
  const PROCESS = ['--tasks', LIMITED, '--threads', '1', '--concurrency', '1'];

  test.each(['no worker was there', 'all threads were busy'])(
    'still limits the starts, in order, after %s',
    async (why) => {
      const fleet = await openFleet(url());
      const { docket, redis, key } = fleet;
      const first = fleet.command(PROCESS);
      await first.ready();
      const add = async (count: number) => {
        const executions = [];
        for (let i = 0; i < count; i++) executions.push(await docket.add('timed', {}));
        return executions;
      };
      const executions = await add(10);
      await waitFor(async () => (await redis.xlen(key('work'))) === 0 && (await redis.zcard(key('schedule'))) > 0);
      if (why === 'no worker was there') {
        first.process.kill('SIGTERM');
        await first.ended;
      } else {
        await addHolder(fleet, 'free');
      }
      const [, last = 0] = await redis.zrevrange(key('booked:timed'), 0, 0, 'WITHSCORES');
      const hasPassed = async () => Number((await redis.time())[0]) * 1_000 > Number(last) + 1_000;
      await waitFor(hasPassed, { timeoutMs: 20_000 });
      executions.push(...(await add(2)));
      if (why === 'no worker was there') await fleet.command(PROCESS).ready();
      else await fleet.release();
      const startMs = (await Promise.all(executions.map((execution) => execution.result()))) as number[];
      const inTime = [...startMs].sort((a, b) => a - b);
      for (let i = 2; i < 12; i++) {
        // Half of the period is left to the time between the claim and the start. Two of one period may change places.
        expect(inTime[i]! - inTime[i - 2]!).toBeGreaterThan(250);
        expect(startMs[i]!).toBeGreaterThan(startMs[i - 2]!);
      }
      expect(await redis.exists(key('booked:timed'))).toBe(0);
    },
  );
});

describeOnEmbedded('a rate limit', (url) => {
  test('holds even when the server is so slow that bookings come late', async () => {
    const { docket, worker, redis, key } = await openFleet(url());
    const first = await worker({ tasks: LIMITED, threads: 0, concurrency: 40 });
    const executions = [];
    for (let i = 0; i < 8; i++) executions.push(await docket.add('timed', {}));
    await waitFor(async () => (await redis.xlen(key('work'))) === 0 && (await redis.zcard(key('schedule'))) > 0);
    await first.stop();
    const [, last = 0] = await redis.zrevrange(key('booked:timed'), 0, 0, 'WITHSCORES');
    await waitFor(async () => Date.now() > Number(last));
    await worker({ tasks: LIMITED, threads: 0, concurrency: 40 });
    await Promise.all(executions.map((execution) => execution.result()));
    await Promise.all(executions.map((execution) => execution.sync()));
    const claimedMs = executions.map(({ startedAt }) => startedAt!.getTime()).sort((a, b) => a - b);
    for (let i = 2; i < 8; i++) expect(claimedMs[i]! - claimedMs[i - 2]!).toBeGreaterThanOrEqual(500);
  });
});
