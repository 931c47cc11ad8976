/** Schedules that are made at run time: the list is exact, whatever becomes of a chain, and one can be run at once. */
import { cron, perpetual, retry } from 'docket';
import { expect, test } from 'vitest';
import { CHAINS, endAll, left, pendingMs, ran, runsOf, scheduled, schedulesOf } from '../support/chains.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeEachServer, describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HOUR = 3_600_000;
const HOURLY = { perpetual: perpetual({ every: '1h' }), when: '1h' } as const;
const K = { key: 'k' } as const;

/** The keys that are listed. Listing removes from the index what it does not find, so ask for the index first. */
const keysOf = async (fleet: Fleet) => (await schedulesOf(fleet.docket)).map(({ key }) => key);
/** The keys in the index itself. */
const indexOf = (fleet: Fleet) => fleet.redis.zrange(fleet.key('chains'), '0', '-1');

describeEachServer('the list of schedules', (url) => {
  test('tells of each what it runs, when, and how far it has come', async () => {
    const fleet = await openFleet(url());
    const when = new Date(Date.now() + HOUR);
    const until = new Date(when.getTime() + 1.5 * HOUR);
    const monthly = cron('0 9 1 * *', { timezone: 'Europe/Berlin' });
    const chains = [
      await fleet.docket.add('once', {}, { key: 'b', perpetual: perpetual({ every: '1h' }), when, until, times: 7 }),
      await fleet.docket.add('hourly', {}, { key: 'a', perpetual: monthly }),
    ];
    const [a, b] = await schedulesOf(fleet.docket);
    expect(b).toEqual({
      ...{ key: 'b', task: 'once', policy: { kind: 'perpetual', everyMs: HOUR }, description: 'every 1h' },
      nextRuns: [when, new Date(when.getTime() + HOUR)],
      ...{ lastOutcome: null, runsLeft: 7, until, isAutomatic: false },
    });
    expect(a).toMatchObject({
      ...{ key: 'a', task: 'hourly', description: 'At 09:00, on day 1 of the month', runsLeft: null, until: null },
      policy: { kind: 'cron', expression: '0 9 1 * *', timezone: 'Europe/Berlin' },
    });
    const inBerlin = (date: Date) =>
      date.toLocaleString('sv-SE', { timeZone: 'Europe/Berlin', day: 'numeric', hour: 'numeric', minute: 'numeric' });
    expect(a!.nextRuns.map(inBerlin)).toEqual(Array(3).fill(inBerlin(new Date('2026-12-01T08:00:00Z'))));
    expect(a!.nextRuns[0]!.getTime()).toBe(await pendingMs(fleet, { key: 'a' }));
    await endAll(fleet, chains);
  });

  test('has all of them, in the order of their keys, and those of one task or the first few', async () => {
    const fleet = await openFleet(url());
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    const taskOf = (i: number) => (i % 100 === 7 ? 'monthly' : 'once');
    await Promise.all(keys.map((key, i) => fleet.docket.add(taskOf(i), {}, { ...HOURLY, key })));
    await fleet.docket.add('once', {}, { key: 'k', when: '1h' }); // no schedule
    expect(await keysOf(fleet)).toEqual([...keys].sort());
    expect((await schedulesOf(fleet.docket, { task: 'monthly' })).map(({ key }) => key)).toEqual([
      'k107',
      'k207',
      'k7',
    ]);
    expect((await schedulesOf(fleet.docket, { limit: 2 })).map(({ key }) => key)).toEqual(['k0', 'k1']);
    expect(() => fleet.docket.schedules({ limit: 0 })).toThrow(/limit: expected a whole number >= 1/);
    expect(await fleet.docket.clear()).toBe(301);
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([[], []]);
  });

  test('has none that was cancelled, cleared, or replaced by what runs once, and the index has none either', async () => {
    const fleet = await openFleet(url());
    const { docket } = fleet;
    const adds = () => Promise.all(['a', 'b', 'c'].map((key) => docket.add('once', {}, { ...HOURLY, key })));
    await adds();
    await docket.cancel('a');
    await docket.replace('once', {}, { key: 'b', when: '1h' });
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([['c'], ['c']]);
    expect(await docket.clear()).toBe(2);
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([[], []]);
    await adds(); // their keys are free, and what was kept of those before says nothing of these
    expect(await keysOf(fleet)).toEqual(['a', 'b', 'c']);
    await docket.add('once', {}, { ...HOURLY, key: 'a', perpetual: perpetual({ every: '2h' }) }); // it is taken
    expect((await schedulesOf(docket))[0]!.description).toBe('every 1h');
    await docket.replace('once', {}, { ...HOURLY, key: 'a', perpetual: perpetual({ every: '2h' }) });
    expect((await schedulesOf(docket))[0]!.description).toBe('every 2h');
    await docket.clear();
    for (const when of [HOUR, 0]) {
      await docket.add('once', {}, { key: 'd', perpetual: perpetual(), when }); // scheduled, and queued
      expect(await keysOf(fleet)).toEqual(['d']);
      expect(await docket.clear()).toBe(1);
      expect(await indexOf(fleet)).toEqual([]);
    }
  });

  test('has one whose state is not kept, under the key that it was given or not', async () => {
    const fleet = await openFleet(url());
    const lean = fleet.with({ executionTtl: 0 });
    const chains = [await lean.add('once', {}, { ...HOURLY, key: 'k' }), await lean.add('once', {}, HOURLY)];
    expect(await keysOf(fleet)).toEqual(chains.map(({ key }) => key).sort());
    await endAll(fleet, chains);
    expect([await indexOf(fleet), await fleet.redis.exists(fleet.key('run:k'))]).toEqual([[], 0]);
  });

  test('leaves out those whose records were deleted, and forgets them', async () => {
    const fleet = await openFleet(url());
    await fleet.docket.add('once', {}, { ...HOURLY, ...K });
    await fleet.redis.del(fleet.key('run:k'), fleet.key('schedule'));
    expect(await indexOf(fleet)).toEqual(['k']);
    expect([await keysOf(fleet), await indexOf(fleet)]).toEqual([[], []]);
  });

  test('loses those whose records were deleted even if nobody asks for it', async () => {
    const fleet = await openFleet(url());
    await fleet.docket.add('once', {}, { ...HOURLY, ...K });
    await fleet.redis.del(fleet.key('run:k'), fleet.key('schedule'));
    await fleet.worker({ tasks: CHAINS, threads: 0, redeliveryTimeout: '500ms' });
    await waitFor(async () => (await indexOf(fleet)).length === 0);
    expect(await keysOf(fleet)).toEqual([]);
  });
});

describeWithoutThreads('a schedule', (url, threads) => {
  const work = (fleet: Fleet) => fleet.worker({ tasks: CHAINS, threads, concurrency: 8 });

  test('that runs is listed with its last outcome, and not once it has ended, however it ended', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await work(fleet);
    await docket.add('once', { probe, fails: 1 }, { ...K, perpetual: perpetual({ every: '1h' }), times: 2 });
    const before = Date.now();
    const last = await waitFor(async () => (await schedulesOf(docket))[0]?.lastOutcome);
    expect(last).toMatchObject({ state: 'failed', errorLine: 'Error: attempt 1 fails' });
    expect(Math.abs(last!.at.getTime() - before)).toBeLessThan(60_000);
    expect(await docket.runNow('k')).toBe(true);
    await waitFor(async () => (await docket.getExecution('k'))?.state === 'failed');
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([[], []]);
    await docket.add('once', { probe }, { ...K, perpetual: perpetual(), times: 1 });
    await waitFor(async () => (await docket.getExecution('k'))?.state === 'completed');
    expect(await indexOf(fleet)).toEqual([]);
  });

  test('is not listed from the moment in which its running run is cancelled, and does not come back', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    await work(fleet);
    await docket.add('once', { probe, how: 'hold' }, { ...K, perpetual: perpetual({ every: '1h' }) });
    await ran(fleet, K);
    const [running] = await schedulesOf(docket);
    const next = (await runsOf(fleet, 'k'))[0]!.dueMs + HOUR;
    expect(Math.abs(running!.nextRuns[0]!.getTime() - next)).toBeLessThanOrEqual(10); // its entry may be a little older
    await docket.cancel('k');
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([[], []]);
    await fleet.release();
    await waitFor(async () => (await left(fleet)) === 0);
    expect([await indexOf(fleet), await keysOf(fleet)]).toEqual([[], []]);
  });

  test('of a task that declares it is listed when its first run has ended, and at once where the task is known', async () => {
    const fleet = await openFleet(url());
    await fleet.docket.add('hourly', { probe: fleet.probe }, { ...K, when: '50ms' });
    expect(await keysOf(fleet)).toEqual([]);
    await work(fleet);
    await ran(fleet, K);
    await waitFor(async () => (await keysOf(fleet)).includes('k'));
    await endAll(fleet, [K]);
    expect(await indexOf(fleet)).toEqual([]);
  });

  test('that is run now runs in addition, and goes on at the next match or the next point of its grid', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const monthly = await docket.add('once', { probe }, { key: 'm', perpetual: cron('0 0 1 * *') });
    const when = new Date(Date.now() + 1.5 * HOUR);
    const hourly = await docket.add('once', { probe }, { key: 'h', perpetual: perpetual({ every: '1h' }), when });
    const pending = await Promise.all([scheduled(fleet, monthly), scheduled(fleet, hourly)]);
    expect([await docket.runNow('m'), await docket.runNow('h')]).toEqual([true, true]);
    await work(fleet);
    await Promise.all([ran(fleet, monthly), ran(fleet, hourly)]);
    expect(await waitFor(() => pendingMs(fleet, monthly))).toBe(pending[0]);
    // The run counts as due half an hour ago, so the next one is due in half an hour.
    expect(await waitFor(() => pendingMs(fleet, hourly))).toBe(pending[1]! - HOUR);
    expect((await runsOf(fleet, 'h'))[0]!.dueMs).toBe(pending[1]! - 2 * HOUR);
    expect(await runsOf(fleet)).toHaveLength(2);
    await endAll(fleet, [monthly, hourly]);
  });
});

describeWithoutThreads('running now', (url, threads) => {
  test('makes due whatever is scheduled: with or without a record, and a retry that waits', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const lean = fleet.with({ executionTtl: 0 });
    const later = { when: '1h' } as const;
    const executions = [
      await docket.add('once', { probe }, later),
      await lean.add('once', { probe }, later),
      await lean.add('once', { probe }, { ...later, key: 'k' }),
    ];
    for (const { key } of executions) expect(await docket.runNow(key)).toBe(true);
    await fleet.worker({ tasks: CHAINS, threads });
    for (const execution of executions) await ran(fleet, execution);
    const policy = { retry: retry({ attempts: 2, delay: '1h' }) };
    const failing = await docket.add('once', { probe, fails: 1 }, policy);
    await ran(fleet, failing);
    await waitFor(async () => await docket.runNow(failing.key));
    expect(await failing.result()).toBeNull();
  });

  test('does nothing where nothing is scheduled', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    expect(await docket.runNow('unknown')).toBe(false);
    const added = await docket.add('once', { probe, how: 'hold' }, K);
    expect(await docket.runNow('k')).toBe(false); // queued
    await fleet.worker({ tasks: CHAINS, threads });
    await ran(fleet, K);
    expect(await docket.runNow('k')).toBe(false); // running
    await fleet.release();
    await added.result();
    expect(await docket.runNow('k')).toBe(false); // ended
    await expect(docket.runNow('')).rejects.toMatchObject({ option: 'key' });
  });
});

describeWithoutThreads('an automatic chain', (url, threads) => {
  const worker = async (fleet: Fleet, tasks: string) => {
    process.env.CHAINS_PROBE = JSON.stringify(fleet.probe);
    return await fleet.worker({ tasks: `${CHAINS}:${tasks}`, threads });
  };
  const SWEEP = { key: 'sweep' } as const;
  const end = async (fleet: Fleet) => {
    await endAll(fleet, [SWEEP]);
    await fleet.redis.del(fleet.key('automatic'), fleet.key('ended'));
  };

  test('is listed as one, with the new policy once a deploy has changed it', async () => {
    const fleet = await openFleet(url());
    await worker(fleet, 'beatingYearly');
    await scheduled(fleet, SWEEP);
    const policy = { kind: 'cron', expression: '0 0 1 1 *', timezone: 'UTC' };
    expect(await schedulesOf(fleet.docket)).toMatchObject([{ key: 'sweep', policy, isAutomatic: true }]);
    await worker(fleet, 'beatingMonthly');
    await waitFor(async () => (await schedulesOf(fleet.docket))[0]!.description === 'At 00:00, on day 1 of the month');
    await end(fleet);
    expect(await indexOf(fleet)).toEqual([]);
  });

  test('that was replaced by a schedule of its own keeps it through a deploy, and stays ended', async () => {
    const fleet = await openFleet(url());
    await worker(fleet, 'beatingYearly');
    await scheduled(fleet, SWEEP);
    await fleet.docket.replace('sweep', {}, { ...SWEEP, ...HOURLY, times: 1 });
    const dueMs = await scheduled(fleet, SWEEP);
    await worker(fleet, 'beatingMonthly');
    await waitFor(async () => (await fleet.redis.hget(fleet.key('automatic'), 'sweep')) === 'cron 0 0 1 * * UTC');
    expect(await pendingMs(fleet, SWEEP)).toBe(dueMs);
    await fleet.docket.runNow('sweep');
    await waitFor(async () => (await fleet.docket.getExecution('sweep'))?.state === 'completed');
    expect(await fleet.redis.hexists(fleet.key('ended'), 'sweep')).toBe(1);
    await end(fleet);
  });
});
