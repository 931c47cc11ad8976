/** How an execution ended is told as soon as it did, and told right. */
import { call, RetriesExhaustedError, task } from 'docket';
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeEachMode, describeOnAnyServer } from '../support/suites.js';

/** Added by this name; the code is the worker's. */
const blocked = task('blocked', (_args: { ms: number }) => {});

describeOnAnyServer('an outcome in the same chunk as a task that holds its thread', (url) => {
  test('is reported while that one still runs', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    const add = (...ms: number[]) => fleet.docket.addMany(ms.map((one) => call(blocked, { ms: one })));
    // From now on the name is known for quick, and travels in chunks.
    await Promise.all((await add(...Array(50).fill(0))).map((execution) => execution.result()));
    const executions = await add(...Array(30).fill(0), 2_000, ...Array(10).fill(0));
    const slow = executions[30]!;
    await Promise.all(executions.slice(0, 30).map((execution) => execution.result()));
    await slow.sync();
    expect(slow.state).toBe('running');
    await Promise.all(executions.map((execution) => execution.result()));
  });
});

describeEachMode('a task that asks for another attempt in its last one', (url, threads) => {
  test('has failed because there is none', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads });
    const execution = await fleet.docket.add('askingAfter', { probe: fleet.probe }, { key: 'k' });
    await expect(execution.result()).rejects.toThrow(RetriesExhaustedError);
    await execution.sync();
    expect(execution).toMatchObject({ state: 'failed', attempt: 2 });
    expect(execution.error).toMatch(/^RetriesExhaustedError: /);
  });
});

describeOnAnyServer('a worker whose drain timeout is longer than timers hold', (url) => {
  test('lets running executions come to their end', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({ threads: 1, drainTimeout: '30d' });
    const { docket, probe } = fleet;
    const execution = await docket.add('hold', { probe, value: 'done' }, { key: 'k' });
    await fleet.step('start k 1');
    const stopped = first.stop();
    await fleet.worker({ threads: 1 });
    await (await docket.add('echo', { value: 1 })).result(); // on the other one: the first takes nothing more
    await fleet.release();
    expect(await execution.result()).toBe('done');
    await stopped;
    expect(await fleet.steps()).toEqual(['start k 1', 'end k 1']);
    expect(first.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });
});
