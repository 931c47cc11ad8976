/** Permits of holders that are lost, and what waiting costs: nothing. On a real Redis, since processes share it. */
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../../support/fleet.js';
import { describeOnAnyServer, describeOnRedis } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';
import {
  addHolder,
  addInOrder,
  callNamed,
  ended,
  holding,
  LIMITED,
  peaksOf,
  started,
  startsOf,
  twoWorkers,
  untilNothingIsHeld,
  untilWaiting,
  type Visit,
  waiting,
} from './visits.js';

describeOnRedis('a permit whose holder was lost', (url) => {
  test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
    'with its process goes to a waiter, and the holder waits in its turn (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      const command = fleet.command(['--tasks', LIMITED, '--threads', '2', '--redelivery-timeout', '1s']);
      await command.ready();
      const holder = await addHolder(fleet, 'one');
      await fleet.worker({ tasks: LIMITED, threads: 2, concurrency: 10, redeliveryTimeout: '1s' });
      const waiters = await addInOrder(fleet, 'one', [{}, {}]);
      await untilWaiting(fleet, 2);
      command.process.kill('SIGKILL');
      await started(fleet, waiters[0]!);
      await fleet.release();
      await ended(fleet, 3);
      const starts = await startsOf(fleet);
      expect(starts.slice(0, 2)).toEqual([holder.key, waiters[0]]);
      expect(starts.slice(2).sort()).toEqual([holder.key, waiters[1]!].sort());
      await untilNothingIsHeld(fleet);
      fleet.leavesWork(); // the consumer of the killed process is kept for a lease
    },
  );
});

describeOnAnyServer('a permit whose entry was deleted by hand', (url) => {
  test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
    'is released by the next sweep (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      await fleet.worker({ tasks: LIMITED, threads: 1, concurrency: 10, redeliveryTimeout: '600ms' });
      await addHolder(fleet, 'one');
      const waiters = await addInOrder(fleet, 'one', [{}, {}]);
      await untilWaiting(fleet, 2);
      await fleet.redis.del(fleet.key('work'));
      await started(fleet, waiters[1]!);
      await fleet.release();
      expect((await startsOf(fleet)).slice(1).sort()).toEqual(waiters.sort());
      await ended(fleet, 3);
      await untilNothingIsHeld(fleet);
      fleet.leavesWork(); // the record of the one that was deleted
    },
  );
});

describeOnRedis('waiting for a permit', (url) => {
  test('costs no command: a fleet of waiters is as quiet as one with nothing to do', async () => {
    const fleet = await openFleet(url());
    const options = { tasks: LIMITED, threads: 1, concurrency: 10, minimumCheckInterval: '1s' } as const;
    await Promise.all([fleet.worker(options), fleet.worker(options)]);
    const idle = await commandsWithin(fleet, 2_000);
    const [holder] = await addInOrder(fleet, 'one', [{ how: 'rest' }]);
    await started(fleet, holder!);
    const waiters = await Promise.all(
      Array.from({ length: 300 }, () => fleet.docket.add('one', { probe: fleet.probe })),
    );
    await untilWaiting(fleet, 300);
    const blocked = await commandsWithin(fleet, 2_000);
    expect(blocked).toBeLessThan(3 * idle + 30); // three hundred that polled once a second would take 600
    for (const { key } of waiters) await fleet.docket.cancel(key);
    expect([await waiting(fleet), await holding(fleet)]).toEqual([0, 1]);
    await fleet.docket.cancel(holder!);
    await untilNothingIsHeld(fleet);
  });
});

/** How many commands the server was sent within a time, those in scripts included. */
async function commandsWithin({ redis }: Fleet, ms: number): Promise<number> {
  const total = async () => {
    const stats = await redis.info('commandstats');
    const counts = [...stats.matchAll(/^cmdstat_(?!info|time)\S+:calls=(\d+)/gm)];
    return counts.reduce((sum, [, calls]) => sum + Number(calls), 0);
  };
  const before = await total();
  const until = performance.now() + ms;
  await waitFor(() => performance.now() >= until); // what is measured is a stretch of time
  return (await total()) - before;
}

describeOnRedis('executions with limits', (url) => {
  const VALUES = 20;

  /** Holds all permits of all values, queues behind them, and lets go. */
  async function queueAndRelease(fleet: Fleet, each: number, behind: () => Promise<unknown>): Promise<string[]> {
    const values = Array.from({ length: VALUES }, (_, value) => value);
    const { docket, probe } = fleet;
    const keys: string[] = [];
    for (let i = 0; i < 2; i++) {
      for (const value of values) {
        keys.push((await docket.add('pair', { probe, value, how: 'hold' }, { key: `${value}-h${i}` })).key);
      }
    }
    await waitFor(async () => (await startsOf(fleet)).length === 2 * VALUES);
    const calls = Array.from({ length: VALUES * each }, (_, i) =>
      callNamed('pair', { probe, value: i % VALUES }, { key: `${i % VALUES}-${Math.floor(i / VALUES)}` }),
    );
    keys.push(...(await docket.addMany(calls)).map(({ key }) => key));
    await untilWaiting(fleet, VALUES * each);
    await behind();
    await fleet.release();
    return keys;
  }

  /**
   * What `max: 2` and first in, first out come to: whoever starts has at most one before it that has not ended. It is exact,
   * since an end is recorded before its permit is released.
   */
  function expectOrder(all: readonly Visit[], keys: readonly string[]): void {
    for (let value = 0; value < VALUES; value++) {
      const line = keys.filter((key) => key.startsWith(`${value}-`));
      const over = new Set<string>();
      let running = 0;
      for (const { kind, key } of all.filter(({ subject }) => subject === `pair=${value}`)) {
        running += kind === 'start' ? 1 : -1;
        expect(running).toBeLessThanOrEqual(2);
        if (kind === 'end') over.add(key);
        else {
          const before = line.slice(0, line.indexOf(key)).filter((earlier) => !over.has(earlier));
          expect(before.length, `${before} came before ${key}`).toBeLessThanOrEqual(1);
        }
      }
      expect(over.size).toBe(line.length);
    }
  }

  test('run two at once for each of twenty values, in order of arrival', async () => {
    const fleet = await openFleet(url());
    await twoWorkers(fleet, 2, 2);
    const keys = await queueAndRelease(fleet, 50, async () => {});
    const began = performance.now();
    const all = await ended(fleet, keys.length);
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(all).toHaveLength(2 * keys.length);
    expectOrder(all, keys);
    await untilNothingIsHeld(fleet);
  });

  test('do not wait behind a hundred thousand others that came after them', async () => {
    const fleet = await openFleet(url());
    await twoWorkers(fleet, 2, 2);
    const others = 100_000;
    const lean = fleet.with({ executionTtl: 0 });
    const keys = await queueAndRelease(fleet, 3, () =>
      lean.addMany(Array.from({ length: others }, () => callNamed('brief', {}))),
    );
    const all = await ended(fleet, keys.length);
    expect(all).toHaveLength(2 * keys.length);
    expect(Math.max(...Object.values(peaksOf(all)))).toBe(2);
    expect(await fleet.redis.xlen(fleet.key('work'))).toBeGreaterThan(0); // some of the others have not even been read
    await fleet.redis.del(fleet.key('work')); // nobody waits for the rest
    fleet.leavesWork();
  });
});
