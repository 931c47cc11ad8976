/** Tasks that run by the clock on the wall. How that meets a change of clocks is a matter of its own unit tests. */
import { expect, test } from 'vitest';
import { CHAINS, endAll, left, pendingMs, ran, runsOf, scheduled, watchLeft } from '../support/chains.js';
import { type Fleet, openFleet as open } from '../support/fleet.js';
import { describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const SWEEP = { key: 'sweep' } as const;

async function openFleet(url: string): Promise<Fleet> {
  const fleet = await open(url);
  process.env.CHAINS_PROBE = JSON.stringify(fleet.probe);
  return fleet;
}

async function end(fleet: Fleet): Promise<void> {
  await endAll(fleet, [SWEEP]);
  await fleet.redis.del(fleet.key('automatic'), fleet.key('ended'));
}

/** The first match of `0 0 1 <month or *> *` after now, in UTC. */
function nextFirst(isYearly: boolean): number {
  const now = new Date();
  return isYearly ? Date.UTC(now.getUTCFullYear() + 1, 0, 1) : Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}

describeWithoutThreads('a cron task', (url, threads) => {
  const worker = (fleet: Fleet, tasks: string) =>
    fleet.worker({ tasks: `${CHAINS}:${tasks}`, threads: Math.min(threads, 1) });

  test('runs at each match, once for all workers, and not before the first', async () => {
    const fleet = await openFleet(url());
    const before = Date.now();
    await Promise.all([1, 2, 3].map(() => worker(fleet, 'beating')));
    await waitFor(async () => (await left(fleet)) === 1);
    const watched = watchLeft(fleet, 1);
    const dues = (await ran(fleet, SWEEP, 3)).map(({ dueMs }) => dueMs);
    await watched();
    await end(fleet);
    expect(dues[0]!).toBeGreaterThan(before);
    expect(dues[0]! % 1_000).toBe(0);
    const matches = dues.map((due) => Math.floor(due / 1_000)); // a run that was placed late is due a little after its match
    for (const [i, match] of matches.slice(1).entries()) expect([1, 2]).toContain(match - matches[i]!); // 1, if not late
  });

  test('has its pending run moved by a deploy with another expression, and not by one with the same', async () => {
    const fleet = await openFleet(url());
    const first = await worker(fleet, 'beatingYearly');
    expect(await scheduled(fleet, SWEEP)).toBe(nextFirst(true));
    await worker(fleet, 'beatingYearly');
    expect(await pendingMs(fleet, SWEEP)).toBe(nextFirst(true));
    await worker(fleet, 'beatingMonthly');
    await waitFor(async () => (await pendingMs(fleet, SWEEP)) === nextFirst(false));
    await first.stop();
    expect(await runsOf(fleet)).toEqual([]);
    expect(await left(fleet)).toBe(1);
    await worker(fleet, 'beating');
    await ran(fleet, SWEEP);
    await end(fleet);
  });

  test('that is added first runs when it was added for, and then by its expression', async () => {
    const fleet = await openFleet(url());
    const lean = fleet.with({ executionTtl: 0 });
    const chains = [
      await fleet.docket.add('monthly', { probe: fleet.probe }, { key: 'k' }),
      await lean.add('monthly', { probe: fleet.probe, fails: 1 }),
      await lean.add('monthly', { probe: fleet.probe }, { when: '50ms' }),
    ];
    await fleet.worker({ tasks: CHAINS, threads });
    for (const chain of chains) {
      await ran(fleet, chain);
      expect(await waitFor(() => pendingMs(fleet, chain))).toBe(nextFirst(false));
    }
    await endAll(fleet, chains);
    expect(await runsOf(fleet)).toHaveLength(3);
  });
});
