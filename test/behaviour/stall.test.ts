/** The reason docket exists: tasks that keep every core busy do not lose their leases. The long form is a benchmark. */
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnAnyServer } from '../support/suites.js';

describeOnAnyServer('while every thread is busy for three leases', (url) => {
  test('no lease is lost, nothing is redelivered, and each task runs once', async () => {
    const fleet = await openFleet(url());
    const busy = await fleet.worker({ threads: 2, redeliveryTimeout: '1s', name: 'busy' });
    const { docket, probe } = fleet;
    const keys = ['a', 'b'];
    const executions = await Promise.all(keys.map((key) => docket.add('busy', { probe, ms: 3_000 }, { key })));
    // It would redeliver what loses its lease: one that has just connected waits until others had the time to reconnect.
    const quick = { redeliveryTimeout: '1s', reconnectionDelay: '100ms' } as const;
    const waiting = await fleet.worker({ threads: 1, name: 'waiting', ...quick });
    await Promise.all(executions.map((execution) => execution.result()));
    expect(await fleet.counts()).toEqual({ a: 1, b: 1 });
    for (const execution of executions) await execution.sync();
    expect(executions.map(({ worker }) => worker)).toEqual(['busy', 'busy']);
    const troubles = [...busy.lines, ...waiting.lines].filter(({ level }) => level === 'warn' || level === 'error');
    expect(troubles).toEqual([]);
  });
});
