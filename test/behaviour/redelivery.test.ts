/** Workers that die or fall silent in the middle: what they had runs elsewhere, what they had finished does not. */

import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { redeliver } = await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

const LEASE = ['--redelivery-timeout', '500ms'];
const SOON = { redeliveryTimeout: '500ms' } as const;

describeOnRedis('a worker that dies', (url) => {
  test('loses nothing: another worker runs what it ran and held, but not what it had settled', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const first = fleet.command(['--threads', '2', ...LEASE]);
    const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
    const count = (keys: string[]) => Promise.all(keys.map((key) => docket.add('counted', { probe }, { key })));
    const settled = await count(names('settled', 100));
    await Promise.all(settled.map((execution) => execution.result()));
    const running = await Promise.all(['x', 'y'].map((key) => docket.add('whoEnds', { probe }, { key })));
    await waitFor(async () => (await fleet.steps()).length === 2);
    const queued = await count(names('queued', 100));

    first.process.kill('SIGKILL');
    await first.ended;
    await fleet.release();
    const { worker, lines } = await fleet.worker(SOON);
    const expected = { worker: worker.name, redelivered: true };
    expect(await Promise.all(running.map((execution) => execution.result()))).toEqual([expected, expected]);
    await Promise.all(queued.map((execution) => execution.result()));
    expect(await fleet.counts()).toEqual(Object.fromEntries([...settled, ...queued].map(({ key }) => [key, 1])));
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(4);
    expect(lines.some(({ message }) => message.includes('fell silent'))).toBe(true);
    for (const execution of running) {
      await execution.sync();
      expect(execution).toMatchObject({ state: 'completed', attempt: 1, worker: worker.name });
    }
    // Its consumer goes once nothing is pending on it.
    await waitFor(async () => (await fleet.consumers()).every((consumer) => consumer.startsWith(`${worker.name}:`)));
  });

  test.each<[string, (fleet: Fleet) => Promise<unknown>]>([
    ['is tracked', ({ docket, probe }) => docket.add('counted', { probe }, { key: 'k' })],
    [
      'has a key and keeps nothing',
      ({ probe, ...fleet }) => fleet.with({ executionTtl: 0 }).add('counted', { probe }, { key: 'k' }),
    ],
    [
      'has no key and keeps nothing',
      ({ probe, ...fleet }) => fleet.with({ executionTtl: 0 }).add('counted', { probe }),
    ],
  ])('between read and settle leaves an execution that %s to another worker', async (_, add) => {
    const fleet = await openFleet(url());
    await (await fleet.worker({ threads: 0 })).stop(); // has made the group
    await add(fleet);
    const [reply] = (await fleet.redis.xreadgroup(
      ...(['GROUP', 'workers', 'dead:1', 'COUNT', '9', 'STREAMS', fleet.key('work'), '>'] as const),
    )) as [string, unknown[]][];
    expect(reply![1]).toHaveLength(1);
    await fleet.worker({ threads: 0, redeliveryTimeout: '200ms' });
    await waitFor(async () => Object.values(await fleet.counts())[0] === 1);
    await waitFor(async () => (await fleet.pending()) === 0);
    expect(await fleet.redis.xlen(fleet.key('work'))).toBe(0);
    await waitFor(async () => !(await fleet.consumers()).includes('dead:1'));
  });

  test('is no reason to hurry for a worker with a longer lease', async () => {
    const fleet = await openFleet(url());
    const patient = await fleet.worker({ threads: 1, redeliveryTimeout: '60s' });
    const hasty = await fleet.worker({ threads: 1, redeliveryTimeout: '100ms' });
    const held = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k' });
    await fleet.step('start k 1');
    for (let sweeps = 0; sweeps < 10; sweeps++) {
      await waitFor(async () => (await fleet.redis.exists(fleet.key('sweeper'))) === 1);
      await fleet.redis.del(fleet.key('sweeper'));
    }
    await fleet.release();
    await held.result();
    expect(await fleet.steps()).toEqual(['start k 1', 'end k 1']);
    expect([...patient.lines, ...hasty.lines].filter(({ level }) => level === 'warn')).toEqual([]);
  });
});

describeOnRedis('a worker that is stopped for longer than its lease', (url) => {
  test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
    'writes nothing of what its successor has taken over, and logs that (executionTtl $executionTtl)',
    async (options) => {
      const fleet = await openFleet(url(), options);
      const stopped = fleet.command(['--threads', '1', '--name', 'stopped', ...LEASE]);
      await stopped.ready();
      const execution = await fleet.docket.add('whoEnds', { probe: fleet.probe }, { key: 'k' });
      await fleet.step('start k stopped');
      stopped.process.kill('SIGSTOP');
      await fleet.worker({ threads: 1, name: 'successor', ...SOON });
      await fleet.step('start k successor');
      await fleet.release();
      await fleet.step('end k successor');
      await waitFor(async () => (await fleet.pending()) === 0);
      const before = await fleet.redis.hgetall(fleet.key('run:k'));

      stopped.process.kill('SIGCONT');
      await fleet.step('end k stopped');
      await waitFor(() => stopped.lines.some(({ message }) => /leases were lost|lease had passed on/.test(message)));
      stopped.process.kill('SIGTERM');
      expect(await stopped.ended).toEqual({ code: 0, signal: null });
      expect(await fleet.redis.hgetall(fleet.key('run:k'))).toEqual(before);
      if (options.executionTtl !== 0) {
        expect(await execution.result()).toEqual({ worker: 'successor', redelivered: true });
      }
    },
  );
});

describeOnRedis('a worker that cannot renew for a while', (url) => {
  test('interrupts what runs on without a lease, and discards its outcome', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ threads: 1, redeliveryTimeout: '300ms', name: 'late' });
    const execution = await fleet.docket.add('patient', { probe: fleet.probe, how: 'loop' }, { key: 'k' });
    await fleet.step('waits k');
    await fleet.release();
    // Somebody else decides that it is dead: the entry goes on without it.
    const [[id]] = (await fleet.redis.xpending(fleet.key('work'), 'workers', '-', '+', 1)) as [[string]];
    await waitFor(async () => (await redeliver(fleet.redis, keysOf(fleet.name), 1, [`w${id}`])) === 1);
    // The busy loop ends because its lease was lost; then this worker, the only one, runs it anew.
    expect(await execution.result()).toMatchObject({ attempt: 1 });
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(2);
    expect(lines.some(({ message: line }) => line.includes('leases were lost'))).toBe(true);
  });
});
