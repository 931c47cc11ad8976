/** What a thread may use of memory. */
import { expect, test } from 'vitest';
import { fixture, openFleet, TASKS } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnRedis('a thread that needs more memory than it may have', (url) => {
  test('is replaced, its execution is charged, and others run on', async () => {
    const fleet = await openFleet(url());
    const tasks = [TASKS, fixture('greedy.js')];
    const { lines } = await fleet.worker({ tasks, threads: 1, maxThreadMemory: 32, maxDeliveries: 1 });
    const greedy = await fleet.docket.add('greedy', {});
    await expect(greedy.result()).rejects.toMatchObject({ code: 'DOCKET_POISONED' });
    await waitFor(() => lines.some(({ message }) => message === 'a worker thread ran out of memory and is replaced'));
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
  });
});
