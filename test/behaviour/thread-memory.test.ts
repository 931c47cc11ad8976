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
    await expect(greedy.result()).rejects.toMatchObject({
      code: 'DOCKET_POISONED',
      message: expect.stringMatching(/the last one ended with: ran out of memory \(limit 32 MB\)$/),
      cause: expect.objectContaining({ message: 'ran out of memory (limit 32 MB)' }),
    });
    const died = 'a worker thread died and is replaced: ran out of memory (limit 32 MB)';
    await waitFor(() => lines.some(({ level, message }) => level === 'error' && message === died));
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
  });
});
