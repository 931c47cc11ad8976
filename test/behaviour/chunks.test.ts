/** Quick tasks travel in chunks; nobody pays for that with a wait. */
import { call, task } from 'docket';
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnAnyServer } from '../support/suites.js';

interface Ran {
  label: string;
  started: number;
  ended: number;
}

/** Added by these names; the code is the worker's. */
const mixed = task('mixed', (_args: { ms: number; label: string }) => {});
const hold = task('hold', (_args: object) => {});

describeOnAnyServer('tasks that travel together', (url) => {
  test('do not wait for a slow one among them while another thread is idle', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 2, concurrency: 2 });
    const add = (label: string, ms: number) => fleet.docket.add('mixed', { ms, label });
    // The name is known for quick, so the slow one shares its chunk with others.
    await Promise.all((await Promise.all(Array.from({ length: 100 }, () => add('first', 0)))).map((e) => e.result()));
    const executions = await Promise.all(
      Array.from({ length: 300 }, (_, i) => (i === 40 ? add('slow', 3_000) : add(`${i}`, 0))),
    );
    const ran = (await Promise.all(executions.map((execution) => execution.result()))) as Ran[];
    const slow = ran.find(({ label }) => label === 'slow')!;
    const quick = ran.filter(({ label }) => label !== 'slow');
    expect(quick).toHaveLength(299);
    expect(Math.max(...quick.map(({ ended }) => ended))).toBeLessThan(slow.ended);
  });

  test('to a thread with places for all do not wait for one that blocks it while another thread is idle', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 2, concurrency: 40 });
    // Nothing is known of the task, so all 40 are sent at once, half of them to each thread.
    const executions = await fleet.docket.addMany(
      Array.from({ length: 40 }, (_, i) => call(mixed, { ms: i === 7 ? 3_000 : 0, label: `${i}` })),
    );
    const ran = (await Promise.all(executions.map((execution) => execution.result()))) as unknown as Ran[];
    const slow = ran[7]!;
    expect(ran.every((one) => one === slow || one.ended < slow.ended)).toBe(true);
  });

  test('to threads with places for all start at once', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 2, concurrency: 30 });
    const { probe } = fleet;
    const executions = await fleet.docket.addMany(Array.from({ length: 30 }, () => call(hold, { probe })));
    await expect.poll(async () => (await fleet.steps()).length, { timeout: 20_000 }).toBe(30); // all have started
    await fleet.release();
    await Promise.all(executions.map((execution) => execution.result()));
  });

  test('go to another worker when every thread here is stuck', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1, name: 'stuck' });
    const add = (label: string, ms: number) => fleet.docket.add('mixed', { ms, label });
    await Promise.all((await Promise.all(Array.from({ length: 50 }, () => add('first', 0)))).map((e) => e.result()));
    const slow = await add('slow', 4_000);
    const quick = await Promise.all(Array.from({ length: 60 }, (_, i) => add(`${i}`, 0)));
    await fleet.worker({ threads: 1, name: 'free' });
    const ran = (await Promise.all(quick.map((execution) => execution.result()))) as Ran[];
    const { ended } = (await slow.result()) as Ran;
    expect(Math.max(...ran.map((one) => one.ended))).toBeLessThan(ended);
  });

  test('are not requeued again and again while every thread of the only worker is stuck', async () => {
    const fleet = await openFleet(url(), { executionTtl: 0 });
    await fleet.worker({ threads: 1 });
    const { probe } = fleet;
    const add = (ms: number, key: string) => fleet.docket.add('blocked', { ms, probe }, { key });
    await Promise.all(Array.from({ length: 200 }, (_, i) => fleet.docket.add('noop', {}, { key: `n${i}` })));
    await add(1_500, 'slow');
    const before = await entriesAdded(fleet.redis, fleet.key('front'));
    await Promise.all(Array.from({ length: 100 }, (_, i) => fleet.docket.add('noop', {}, { key: `m${i}` })));
    await add(0, 'last');
    await expect.poll(() => fleet.counts(), { timeout: 25_000 }).toEqual({ slow: 1, last: 1 });
    // Each was handed back once at most while the slow one ran.
    expect((await entriesAdded(fleet.redis, fleet.key('front'))) - before).toBeLessThanOrEqual(202);
  });
});

/** How many entries a stream has ever had, by the counter in front of its ids' last one; 0 for none. */
async function entriesAdded(redis: { xinfo(...args: never[]): Promise<unknown> }, stream: string): Promise<number> {
  const info = (await (redis.xinfo as (...args: unknown[]) => Promise<unknown[]>)('STREAM', stream)) as unknown[];
  return Number(info[info.indexOf('entries-added') + 1] ?? 0);
}
