/** What only threads of their own give: the coordinator stays free, and cores are used side by side. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

interface Ran {
  label: number;
  started: number;
  ended: number;
}

describeOnAnyServer('a worker with threads', (url) => {
  test('runs blocking tasks side by side, none in the main thread', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 2 });
    const executions = await Promise.all([0, 1].map((label) => fleet.docket.add('mixed', { ms: 300, label })));
    const [a, b] = (await Promise.all(executions.map((execution) => execution.result()))) as [Ran, Ran];
    expect(Math.max(a.started, b.started)).toBeLessThan(Math.min(a.ended, b.ended));
  });

  test('uses every thread', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 3 });
    const executions = await Promise.all(
      Array.from({ length: 3 }, () => fleet.docket.add('about', { more: {}, probe: fleet.probe })),
    );
    const ids = await Promise.all(executions.map((execution) => execution.result()));
    expect(new Set(ids.map((about) => (about as { threadId: number }).threadId)).size).toBe(3);
  });

  test('heartbeats and reads while all threads are busy', async () => {
    const fleet = await openFleet(url(), { heartbeatInterval: '20ms' });
    await fleet.worker({ threads: 2 });
    const busy = await Promise.all([0, 1].map((label) => fleet.docket.add('mixed', { ms: 600, label })));
    const consumer = await waitFor(async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '-1'))[0]);
    await waitFor(async () => (await fleet.redis.hget(fleet.key(`worker:${consumer}`), 'running')) === '2');
    const seen = new Set<string>();
    await waitFor(async () => {
      seen.add(String(await fleet.redis.zscore(fleet.key('workers'), consumer!)));
      return seen.size >= 5;
    });
    await busy[0]!.sync();
    expect(busy[0]!.state).toBe('running'); // five heartbeats while it was busy
    await Promise.all(busy.map((execution) => execution.result()));
  });

  test('runs several executions on one thread when they wait', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1, concurrency: 5 });
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const held = await Promise.all(keys.map((key) => fleet.docket.add('hold', { probe: fleet.probe }, { key })));
    await Promise.all(keys.map((key) => fleet.step(`start ${key} 1`)));
    expect((await fleet.steps()).filter((step) => step.startsWith('end'))).toEqual([]);
    await fleet.release();
    await Promise.all(held.map((execution) => execution.result()));
  });

  test('has no more threads than it runs executions', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ threads: 4, concurrency: 1 });
    expect(lines.find(({ message }) => message.endsWith('is ready'))?.fields).toMatchObject({
      threads: 1,
      concurrency: 1,
    });
  });
});
