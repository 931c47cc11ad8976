/** Chains that workers start by themselves: once, again when they were lost, and not once they were ended. */

import { expect, test } from 'vitest';
import type { Seed } from '../../src/redis/chain-store.js';
import { importBuilt } from '../support/built.js';
import { CHAINS, left, pendingMs, ran, runsOf, scheduled } from '../support/chains.js';
import { type Fleet, openFleet as open } from '../support/fleet.js';
import { describeEachServer, describeOnRedis, describeWithoutThreads } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { seedChains } = await importBuilt<typeof import('../../src/redis/chain-store.js')>('redis/chain-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { encoderFor } = await importBuilt<typeof import('../../src/wire/codec.js')>('wire/codec.js');
const { encodeEnvelope } = await importBuilt<typeof import('../../src/wire/envelope.js')>('wire/envelope.js');

const HOUR = 3_600_000;
const SWEEP = { key: 'sweep' } as const;

/** A docket whose automatic tasks know where to record to. */
async function openFleet(url: string): Promise<Fleet> {
  const fleet = await open(url);
  process.env.CHAINS_PROBE = JSON.stringify(fleet.probe);
  return fleet;
}

/** Ends the chain, and forgets that it ever was. */
async function end(fleet: Fleet): Promise<void> {
  await fleet.docket.cancel('sweep');
  await waitFor(async () => (await left(fleet)) === 0);
  await fleet.redis.del(fleet.key('automatic'), fleet.key('ended'));
}

/** The run is recorded, and the next one scheduled. */
async function swept(fleet: Fleet, times: number): Promise<number> {
  const run = (await ran(fleet, SWEEP, times)).at(-1)!;
  await waitFor(async () => ((await pendingMs(fleet, SWEEP)) ?? 0) > run.dueMs);
  return (await pendingMs(fleet, SWEEP))! - run.dueMs;
}

describeWithoutThreads('an automatic task', (url, threads) => {
  const worker = (fleet: Fleet, tasks: string, options = {}) =>
    fleet.worker({ tasks: `${CHAINS}:${tasks}`, threads: Math.min(threads, 1), ...options });

  test('is started at once, and only once by workers that start together', async () => {
    const fleet = await openFleet(url());
    await Promise.all([1, 2, 3].map(() => worker(fleet, 'sweeping')));
    expect(await swept(fleet, 1)).toBe(HOUR);
    expect(await left(fleet)).toBe(1);
    expect(await fleet.docket.getExecution('sweep')).toMatchObject({ task: 'sweep', state: 'scheduled', args: {} });
    await worker(fleet, 'sweeping');
    expect(await runsOf(fleet)).toHaveLength(1);
    await end(fleet);
  });

  test('is started again when its record has vanished', async () => {
    const fleet = await openFleet(url());
    const first = await worker(fleet, 'sweeping');
    await swept(fleet, 1);
    await first.stop();
    await fleet.redis.del(fleet.key('run:sweep'), fleet.key('schedule'));
    await worker(fleet, 'sweeping');
    await swept(fleet, 2);
    expect(await left(fleet)).toBe(1);
    await end(fleet);
  });

  test.each([
    ['by its body', 'sweepingOnce', async () => {}],
    ['by its body, which then fails', 'sweepingAndFailing', async () => {}],
    ['as it waits', 'sweeping', (fleet: Fleet) => fleet.docket.cancel('sweep')],
    ['as it runs', 'sweepingSlowly', (fleet: Fleet) => fleet.docket.cancel('sweep')],
  ])('that was ended %s stays ended until it is added or has another policy', async (_, tasks, cancel) => {
    const fleet = await openFleet(url());
    const first = await worker(fleet, tasks);
    if (tasks === 'sweeping') await swept(fleet, 1);
    else await ran(fleet, SWEEP);
    await cancel(fleet);
    await waitFor(async () => (await left(fleet)) === 0);
    await first.stop();

    const second = await worker(fleet, 'sweeping');
    expect(await left(fleet)).toBe(0);
    await fleet.docket.add('sweep', {}, SWEEP);
    await swept(fleet, 2);
    await second.stop();
    // It was added: it is started again where it vanishes.
    const third = await worker(fleet, 'sweeping');
    await third.stop();
    await fleet.redis.del(fleet.key('run:sweep'), fleet.key('schedule'));
    const fourth = await worker(fleet, 'sweeping');
    await swept(fleet, 3);
    await fleet.docket.cancel('sweep');
    await fourth.stop();

    await worker(fleet, 'sweepingMore');
    expect(await swept(fleet, 4)).toBe(HOUR / 2);
    await end(fleet);
  });

  test('has its pending run moved when a worker starts with another policy, and only then', async () => {
    const fleet = await openFleet(url());
    const old = await worker(fleet, 'sweeping');
    await swept(fleet, 1);
    const before = Date.now();
    await worker(fleet, 'sweepingMore');
    const movedMs = await waitFor(async () => {
      const pending = (await pendingMs(fleet, SWEEP))!;
      return pending < before + HOUR - 60_000 ? pending : null;
    });
    expect(movedMs).toBeGreaterThan(before + HOUR / 2 - 10_000);
    expect((await fleet.docket.getExecution('sweep'))!.when.getTime()).toBe(movedMs);
    await old.stop();
    await worker(fleet, 'sweepingMore');
    expect(await pendingMs(fleet, SWEEP)).toBe(movedMs);
    expect(await runsOf(fleet)).toHaveLength(1);
    await end(fleet);
  });

  test('is not started by a worker that leaves that to others, but is run by it', async () => {
    const fleet = await openFleet(url());
    await worker(fleet, 'sweeping', { scheduleAutomaticTasks: false });
    const proof = await fleet.docket.add('once', { probe: fleet.probe, value: 'proof' });
    await proof.result();
    expect(await fleet.redis.exists(fleet.key('automatic'), fleet.key('run:sweep'))).toBe(0);
    await worker(fleet, 'sweeping');
    await swept(fleet, 1);
    await end(fleet);
  });

  test('keeps its key: an add finds it taken, and replacing it keeps it going', async () => {
    const fleet = await openFleet(url());
    await worker(fleet, 'sweeping');
    await swept(fleet, 1);
    expect((await fleet.docket.add('sweep', {}, SWEEP)).disposition).toBe('already_scheduled');
    await fleet.docket.replace('sweep', {}, SWEEP);
    expect(await swept(fleet, 2)).toBe(HOUR);
    expect(await left(fleet)).toBe(1);
    await end(fleet);
  });
});

describeOnRedis('an automatic task whose worker is killed', (url) => {
  test('goes on with the next worker, whose start does not double it', async () => {
    const fleet = await openFleet(url());
    const env = { CHAINS_PROBE: JSON.stringify(fleet.probe) };
    const args = ['--tasks', `${CHAINS}:sweepingSlowly`, '--threads', '1', '--redelivery-timeout', '500ms'];
    const first = fleet.command(args, env);
    await ran(fleet, SWEEP);
    first.process.kill('SIGKILL');
    await first.ended;
    await fleet.release();
    await fleet.worker({ tasks: `${CHAINS}:sweepingSlowly`, threads: 1, redeliveryTimeout: '500ms' });
    const runs = await ran(fleet, SWEEP, 2);
    expect(await scheduled(fleet, SWEEP)).toBe(runs[0]!.dueMs + HOUR);
    expect(runs).toHaveLength(2);
    expect(await left(fleet)).toBe(1);
    await end(fleet);
  });

  test('is left alone by a docket-worker that leaves it to others', async () => {
    const fleet = await openFleet(url());
    const command = fleet.command(['--tasks', `${CHAINS}:sweeping`, '--threads', '1', '--no-schedule-automatic-tasks']);
    await command.ready();
    await (await fleet.docket.add('once', { probe: fleet.probe })).result();
    expect(await fleet.redis.exists(fleet.key('automatic'), fleet.key('run:sweep'))).toBe(0);
  });
});

describeEachServer('seeding', (url) => {
  const EVERY = { fingerprint: 'every 1', dueMs: null, retimedInMs: HOUR, chain: '{}' };

  async function seeding() {
    const fleet = await openFleet(url());
    const message = encodeEnvelope(encoderFor({}, 'args'), 'sweep', 900_000, null, {});
    const seed = async (isStarting: boolean, how: Partial<Seed> = {}) => {
      const seeds = [{ task: 'sweep', message, ...EVERY, ...how }];
      return (await seedChains(fleet.redis, keysOf(fleet.name), seeds, { isStarting, strikes: null }))!.tasks;
    };
    return { fleet, seed };
  }

  test('starts a chain once, and again when it has vanished', async () => {
    const { fleet, seed } = await seeding();
    expect(await seed(true)).toEqual(['sweep']);
    for (const isStarting of [true, false]) expect(await seed(isStarting)).toEqual([]);
    expect(await left(fleet)).toBe(1);
    await fleet.redis.del(fleet.key('run:sweep'), fleet.key('work'));
    expect(await seed(false)).toEqual(['sweep']);
    expect(await left(fleet)).toBe(1);
    await end(fleet);
  });

  test('places a first run that is due later, and leaves the pending one where it is', async () => {
    const { fleet, seed } = await seeding();
    const dueMs = Date.now() + HOUR;
    expect(await seed(true, { dueMs })).toEqual(['sweep']);
    expect(await pendingMs(fleet, SWEEP)).toBe(dueMs);
    expect(await seed(true, { dueMs: dueMs + 1 })).toEqual([]);
    expect(await seed(false, { dueMs: dueMs + 1, fingerprint: 'other' })).toEqual([]); // nobody starts
    expect(await pendingMs(fleet, SWEEP)).toBe(dueMs);
    expect(await seed(true, { dueMs: dueMs + 1, retimedInMs: null, fingerprint: 'other' })).toEqual(['sweep']);
    expect(await pendingMs(fleet, SWEEP)).toBe(dueMs + 1);
    await end(fleet);
  });

  test('with the old policy does not bring back a chain that was ended under the new one', async () => {
    const { fleet, seed } = await seeding();
    await seed(true);
    await seed(true, { fingerprint: 'new' });
    await fleet.docket.cancel('sweep');
    for (let times = 0; times < 3; times++) {
      expect(await seed(false)).toEqual([]);
      expect(await seed(false, { fingerprint: 'new' })).toEqual([]);
    }
    expect(await seed(true, { fingerprint: 'new' })).toEqual([]);
    expect(await seed(true, { fingerprint: 'newer' })).toEqual(['sweep']);
    await end(fleet);
  });

  test('sees that a chain that was ended has been added again, even while it runs', async () => {
    const { fleet, seed } = await seeding();
    await seed(true);
    await fleet.docket.cancel('sweep');
    await fleet.docket.add('sweep', {}, SWEEP);
    await fleet.redis.hset(fleet.key('run:sweep'), 's', 'running');
    expect(await seed(false)).toEqual([]);
    await fleet.redis.del(fleet.key('run:sweep'), fleet.key('work'));
    expect(await seed(false)).toEqual(['sweep']);
    await end(fleet);
  });

  test('does not take a running chain that was cancelled for one that was added again', async () => {
    const { fleet, seed } = await seeding();
    await seed(true);
    await fleet.redis.hset(fleet.key('run:sweep'), 's', 'running');
    await fleet.docket.cancel('sweep');
    expect(await seed(false)).toEqual([]);
    await fleet.redis.del(fleet.key('run:sweep'), fleet.key('work'));
    for (const isStarting of [true, false]) expect(await seed(isStarting)).toEqual([]);
    await end(fleet);
  });
});
