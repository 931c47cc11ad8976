/** Redis goes away, forgets or is slow: a worker recovers by itself, and runs nothing twice that no fault has hit. */
import { describe, expect, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const QUICK = { redeliveryTimeout: '1s', threads: 1 } as const;

describeOnOwnRedis('after an outage', (redis) => {
  async function expectRuns(fleet: Fleet, prefix: string): Promise<void> {
    const keys = Array.from({ length: 20 }, (_, i) => `${prefix}${i}`);
    const { probe } = fleet;
    // What was in flight when the link broke is answered with an error; a key makes it safe to ask again.
    await waitFor(async () => {
      for (const key of keys) await fleet.docket.add('counted', { probe }, { key });
      return true;
    });
    await expect.poll(() => fleet.counts()).toMatchObject(Object.fromEntries(keys.map((key) => [key, 1])));
    await expect.poll(() => fleet.pending()).toBe(0);
  }

  describe.each<[string, (fleet: Fleet) => Promise<unknown>]>([
    ['FLUSHALL', ({ redis: commands }) => commands.flushall()],
    ['SCRIPT FLUSH', ({ redis: commands }) => commands.script('FLUSH')],
    [
      'XGROUP DESTROY',
      ({ redis: commands, key }) =>
        Promise.all([
          commands.xgroup('DESTROY', key('work'), 'workers'),
          commands.xgroup('DESTROY', key('front'), 'workers'),
        ]),
    ],
    [
      'DEL of both streams',
      ({ redis: commands, key, leavesWork }) => {
        leavesWork(); // the records of what was on them
        return commands.del(key('work'), key('front'));
      },
    ],
  ])('(%s)', (_, strike) => {
    test('an idle worker heals, and later work runs', async () => {
      const fleet = await openFleet(redis().url);
      await fleet.worker(QUICK);
      await expectRuns(fleet, 'before');
      await strike(fleet);
      await expectRuns(fleet, 'after');
    });

    test('a busy worker heals, and later work runs', async () => {
      const fleet = await openFleet(redis().url);
      const { worker } = await fleet.worker({ ...QUICK, concurrency: 2 });
      await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
      await fleet.step('start held 1');
      await strike(fleet);
      await fleet.release();
      await expectRuns(fleet, 'after');
      await waitFor(async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '-1')).length === 1);
      expect((await fleet.consumers()).every((consumer) => consumer.startsWith(worker.name))).toBe(true);
    });
  });

  test('(CLIENT KILL of every connection) what runs ends once, and later work runs', async () => {
    const fleet = await openFleet(redis().url);
    const { lines } = await fleet.worker({ ...QUICK, concurrency: 2 });
    const held = await fleet.docket.add('hold', { probe: fleet.probe, value: 'done' }, { key: 'held' });
    await fleet.step('start held 1');
    const killer = await openConnection(redis().url, 'producer');
    for (const type of ['normal', 'pubsub']) await killer.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    await closeConnection(killer);
    await fleet.release();
    expect(await retried(() => held.result())).toBe('done');
    await expectRuns(fleet, 'after');
    expect(await fleet.steps()).toEqual(['start held 1', 'end held 1']);
    expect(lines.filter(({ message }) => /lost|fell silent/.test(message))).toEqual([]);
  });

  test('(CLIENT PAUSE, longer than the lease) what ran on is fenced at worst, and everything ends', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker(QUICK);
    await fleet.worker(QUICK);
    const held = await fleet.docket.add('hold', { probe: fleet.probe, value: 'done' }, { key: 'held' });
    await fleet.step('start held 1');
    const admin = await openConnection(redis().url, 'commands', { silenceMs: 10_000 });
    await admin.call('CLIENT', 'PAUSE', '2000', 'ALL');
    await admin.ping();
    await closeConnection(admin);
    await fleet.release();
    expect(await held.result()).toBe('done');
    await expectRuns(fleet, 'after');
    expect((await fleet.steps()).filter((step) => step.startsWith('start')).length).toBeLessThanOrEqual(2);
  });

  test('(a restart) what ran is settled or runs again, and later work runs', async () => {
    const fleet = await openFleet(redis().url);
    const { lines } = await fleet.worker({ ...QUICK, concurrency: 2 });
    const held = await fleet.docket.add('hold', { probe: fleet.probe, value: 'done' }, { key: 'held' });
    await fleet.step('start held 1');
    await redis().kill();
    await redis().start();
    await fleet.release();
    expect(await retried(() => held.result())).toBe('done');
    await expectRuns(fleet, 'after');
    await held.sync();
    expect(held).toMatchObject({ state: 'completed', attempt: 1 });
    // However many links broke, and however often it was tried again.
    const told = (words: RegExp) => lines.filter(({ message }) => words.test(message)).map(({ level }) => level);
    await waitFor(() => told(/^Redis at .* answers again, after \d+\.\d s$/).length > 0);
    expect([told(/^the link to Redis at .* broke/), told(/answers again/)]).toEqual([['warn'], ['info']]);
  });

  test('(a server that was away for longer than the lease) what its worker still runs is not delivered again', async () => {
    const fleet = await openFleet(redis().url);
    const options = { threads: 1, redeliveryTimeout: '3s', reconnectionDelay: '500ms' } as const;
    const workers = [await fleet.worker(options), await fleet.worker(options), await fleet.worker(options)];
    const { docket, probe } = fleet;
    const held = await Promise.all(workers.map((_, i) => docket.add('hold', { probe }, { key: `held${i}` })));
    for (const { key } of held) await fleet.step(`start ${key} 1`);
    workers.push(await fleet.worker(options)); // to run what the others lose
    await redis().kill();
    const awaySinceMs = performance.now();
    await waitFor(() => performance.now() - awaySinceMs > 5_000);
    await redis().start();
    await waitFor(async () => {
      const pending = await fleet.redis.xpending(fleet.key('work'), 'workers', '-', '+', 10);
      return (pending as [string, string, number][]).every(([, , idleMs]) => idleMs < 2_500); // all are renewed
    });
    await fleet.release();
    for (const one of held) await retried(() => one.result());
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(held.length);
    expect(workers.flatMap(({ lines }) => lines).filter(({ message }) => /lost|fell silent/.test(message))).toEqual([]);
  });

  test('(CLIENT PAUSE, shorter than the lease) nothing runs twice', async () => {
    const fleet = await openFleet(redis().url);
    const lease = { threads: 1, redeliveryTimeout: '8s' } as const;
    const workers = [await fleet.worker(lease), await fleet.worker(lease)];
    const { docket, probe } = fleet;
    const held = await docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
    await Promise.all(keys.map((key) => docket.add('counted', { probe }, { key })));
    const admin = await openConnection(redis().url, 'commands', { silenceMs: 10_000 });
    await admin.call('CLIENT', 'PAUSE', '2000', 'ALL');
    await admin.ping(); // answered when it is over
    await closeConnection(admin);
    await fleet.release();
    await held.result();
    await waitFor(async () => Object.keys(await fleet.counts()).length === keys.length);
    await waitFor(async () => (await fleet.pending()) === 0);
    expect(await fleet.counts()).toEqual(Object.fromEntries(keys.map((key) => [key, 1])));
    expect(await fleet.steps()).toEqual(['start held 1', 'end held 1']);
    expect(workers.flatMap(({ lines }) => lines).filter(({ message }) => /lost|fell silent/.test(message))).toEqual([]);
  });
});

/** The first answer that is no error of the connection. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  return (await waitFor(async () => [await ask()]))[0]!;
}
