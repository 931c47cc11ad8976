/** One of many: the first with a cooldown, the last with a debounce. */
import { debounce, InvalidOptionError, task } from 'docket';
import { expect, test } from 'vitest';
import { openFleet } from '../../support/fleet.js';
import { waitFor } from '../../support/wait.js';
import {
  addInOrder,
  callNamed,
  describeEachWay,
  ended,
  LIMITED,
  startsIn,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
  visits,
} from './visits.js';

describeEachWay('a cooldown', (url, { threads, options, keepsState }) => {
  test('lets one run for each value, and drops the others within the window', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const keys = await addInOrder(fleet, 'cool', Array(6).fill({ value: 1 }));
    await addInOrder(fleet, 'cool', [{ value: '1' }, { value: 1n }]);
    await ended(fleet, 3);
    await untilNothingIsHeld(fleet);
    const starts = await startsOf(fleet);
    expect(starts).toHaveLength(3);
    expect(starts.filter((key) => keys.includes(key))).toHaveLength(1);
    if (!keepsState) return;
    const executions = await Promise.all(keys.map((key) => fleet.docket.getExecution(key)));
    const dropped = executions.filter((execution) => execution?.state === 'cancelled');
    expect(dropped).toHaveLength(5);
    expect(dropped[0]!.error).toMatch(/dropped by its cooldown/);
  });

  test.each(['cool', 'coolLater'])('admits the retries of the execution that it let run (%s)', async (name) => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const [first] = await addInOrder(fleet, name, [{ value: 1, how: 'failOnce' }]);
    await ended(fleet, 2);
    await addInOrder(fleet, name, [{ value: 1 }]);
    await untilNothingIsHeld(fleet);
    expect((await visits(fleet)).filter(({ kind }) => kind === 'start')).toMatchObject([
      { key: first, attempt: 1 },
      { key: first, attempt: 2 },
    ]);
  });

  test('lets the next execution run when the window is over', async () => {
    const fleet = await openFleet(url(), options);
    await fleet.worker({ tasks: LIMITED, threads });
    for (let i = 1; i <= 3; i++) {
      const [key] = await addInOrder(fleet, 'brisk', [{ value: 1 }]);
      await ended(fleet, i);
      expect((await startsOf(fleet)).at(-1)).toBe(key);
      await waitFor(async () => (await fleet.redis.keys(fleet.key('cooldown:*'))).length === 0);
    }
  });

  test('lets an interrupted execution run again', async () => {
    const fleet = await openFleet(url(), options);
    const first = await fleet.worker({ tasks: LIMITED, threads, drainTimeout: '1s', abortGrace: '900ms' });
    const [key] = await addInOrder(fleet, 'cool', [{ value: 1, how: 'hold' }]);
    await waitFor(async () => (await startsOf(fleet)).length === 1);
    await first.stop();
    await fleet.release();
    await fleet.worker({ tasks: LIMITED, threads });
    expect(startsIn(await ended(fleet, 2))).toEqual([key, key]);
  });
});

describeEachWay('a debounce', (url, { threads, options, keepsState }) => {
  test('runs the last submission of each value, once, when things have settled', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const beganMs = Date.now();
    const calls = Array.from({ length: 10 }, (_, n) =>
      callNamed('settled', { probe: fleet.probe, value: n % 2 === 0 ? 'a' : 'b', n }),
    );
    const keys = (await fleet.docket.addMany(calls)).map(({ key }) => key);
    const all = await ended(fleet, 2);
    await untilNothingIsHeld(fleet);
    const starts = (await visits(fleet)).filter(({ kind }) => kind === 'start');
    expect(starts.map(({ subject }) => subject).sort()).toEqual(['settled=a:8', 'settled=b:9']);
    expect(startsIn(all).sort()).toEqual(keys.slice(-2).sort());
    expect(await fleet.redis.keys(fleet.key('debounce:*'))).toEqual([]);
    if (!keepsState) return;
    const executions = await Promise.all(keys.map((key) => fleet.docket.getExecution(key)));
    expect(executions.map((execution) => execution!.state)).toEqual([
      ...Array(8).fill('cancelled'),
      ...Array(2).fill('completed'),
    ]);
    expect(executions[0]!.error).toMatch(/dropped by its debounce/);
    const last = executions.at(-1)!;
    expect(last.startedAt!.getTime()).toBeGreaterThanOrEqual(beganMs + 400 - 50); // two clocks on one machine
    await expect(executions[0]!.result()).rejects.toMatchObject({ name: 'ExecutionCancelledError' });
  });

  test('starts anew after its run, and admits retries', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    await addInOrder(fleet, 'settled', [{ value: 1, n: 1, how: 'failOnce' }]);
    await ended(fleet, 2);
    await addInOrder(fleet, 'settled', [{ value: 1, n: 2 }]);
    const starts = (await ended(fleet, 3)).filter(({ kind }) => kind === 'start');
    expect(starts.map(({ subject, attempt }) => [subject, attempt])).toEqual([
      ['settled=1:1', 1],
      ['settled=1:1', 2],
      ['settled=1:2', 1],
    ]);
    await untilNothingIsHeld(fleet);
  });

  test('forgets a winner that was cancelled: the next submission runs', async () => {
    const fleet = await openFleet(url(), options);
    await fleet.worker({ tasks: LIMITED, threads });
    const [cancelled] = await addInOrder(fleet, 'settled', [{ value: 1, n: 1 }]);
    await waitFor(async () => (await fleet.redis.keys(fleet.key('debounce:*'))).length === 1);
    await fleet.docket.cancel(cancelled!);
    expect(await fleet.redis.keys(fleet.key('debounce:*'))).toEqual([]);
    const [next] = await addInOrder(fleet, 'settled', [{ value: 1, n: 2 }]);
    expect(startsIn(await ended(fleet, 1))).toEqual([next]);
    await untilNothingIsHeld(fleet);
    expect(await startsOf(fleet)).toEqual([next]);
  });

  test('keeps one of many submissions, and nothing of the others', async () => {
    const fleet = await openFleet(url(), options);
    await twoWorkers(fleet, threads);
    const calls = Array.from({ length: 100 }, (_, n) => callNamed('settledLong', { probe: fleet.probe, value: 1, n }));
    const executions = await fleet.docket.addMany(calls);
    await waitFor(async () => (await fleet.redis.xlen(fleet.key('work'))) === 0);
    expect(await fleet.redis.zcard(fleet.key('schedule'))).toBe(1);
    const [member] = await fleet.redis.zrange(fleet.key('schedule'), '0', '-1');
    if (keepsState) expect(member).toBe(`k${executions.at(-1)!.key}`);
    await fleet.docket.cancel(member!.slice(1));
    await untilNothingIsHeld(fleet);
    expect(await fleet.redis.keys(fleet.key('debounce:*'))).toEqual([]);
  });

  test('refuses a key, which all submissions would share', async () => {
    const fleet = await openFleet(url(), options);
    const save = task('save', { limits: [debounce({ settle: '1s' })] }, (_args: {}) => {});
    await expect(fleet.docket.add(save, {}, { key: 'k' })).rejects.toThrow(InvalidOptionError);
    const docket = fleet.with({ tasks: { save } as never });
    await expect(docket.add('save', {}, { key: 'k' })).rejects.toMatchObject({ option: 'key' });
    await expect(docket.addMany([callNamed('save', {}, { key: 'k' })])).rejects.toThrow(InvalidOptionError);
    expect(await fleet.redis.exists(fleet.key('work'))).toBe(0);
  });
});
