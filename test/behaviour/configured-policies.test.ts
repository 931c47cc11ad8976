/** Policies that a task module configures for all tasks of the worker that loads it. */
import { expect, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { describeEachMode } from '../support/suites.js';

describeEachMode('policies for all tasks of a worker', (url, threads) => {
  test('apply to each task that declares none of its own, whatever its module', async () => {
    const fleet = await openFleet(url());
    const { docket } = fleet;
    const { lines } = await fleet.worker({ threads, tasks: [fixture('policies.js'), fixture('results.js')] });
    expect(await (await docket.add('flaky', { worksIn: 3 })).result()).toBe(3);
    await expect((await docket.add('brittle', { worksIn: 2 })).result()).rejects.toThrow('not in attempt 1');
    await expect((await docket.add('endless')).result()).rejects.toMatchObject({ code: 'DOCKET_TIMEOUT' });
    expect(await (await docket.add('patient')).result()).toBe(true);
    const policies = lines.flatMap(({ message }) => /^task (\w+: .*)/.exec(message)?.[1] ?? []);
    expect(policies).toEqual(
      expect.arrayContaining([
        'flaky: 3 attempts, timeout 500ms',
        'brittle: 1 attempt, timeout 500ms',
        'patient: 3 attempts, timeout 10m',
        'large: 3 attempts, timeout 500ms',
        'sleep: runs once',
      ]),
    );
  });
});
