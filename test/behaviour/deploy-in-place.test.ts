/** A deploy that replaces task modules under a running worker: its next threads load them as they are then. */
import { expect, onTestFinished, test } from 'vitest';
import { fixture, openFleet } from '../support/fleet.js';
import { describeOnAnyServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnAnyServer('a thread that no longer has a task', (url) => {
  test.each([
    ['forgotten', { executionTtl: '15m' }],
    ['forgotten', { executionTtl: 0 }],
    ['limited', { executionTtl: '15m' }],
  ] as const)(
    'leaves executions of it waiting for one that has, instead of taking them again at once: %s %o',
    async (name, options) => {
      const fleet = await openFleet(url(), options);
      onTestFinished(() => void delete process.env.TEST_TASKS_ARE_FORGOTTEN);
      const running = await fleet.worker({
        tasks: fixture('forgets.js'),
        threads: 1,
        maxDeliveries: 1,
        schedulingResolution: '20ms',
      });
      const deaths = () => running.lines.filter(({ message }) => message.startsWith('a worker thread died')).length;
      process.env.TEST_TASKS_ARE_FORGOTTEN = '1';
      await fleet.docket.add('exits');
      await waitFor(() => deaths() === 1);

      const execution = await fleet.docket.add(name, {}, options.executionTtl === 0 ? {} : { key: 'k' });
      const schedule = () => fleet.redis.zrange(fleet.key('schedule'), '0', '-1', 'WITHSCORES');
      await waitFor(async () => (await schedule()).length === 2);
      const [member, due] = await schedule();
      expect(Number(due)).toBeGreaterThan(Date.now() + 5_000);
      const rerouted = running.lines.filter(({ message }) => message.includes('is rerouted for 10 s'));
      expect(rerouted).toHaveLength(1);

      delete process.env.TEST_TASKS_ARE_FORGOTTEN;
      await fleet.docket.add('exits');
      await waitFor(() => deaths() === 2);
      await fleet.redis.zadd(fleet.key('schedule'), 'XX', 1, member!);
      if (options.executionTtl !== 0) expect(await execution.result()).toBe('ran');
      const left = () => Promise.all(['work', 'front'].map((stream) => fleet.redis.xlen(fleet.key(stream))));
      await waitFor(async () => (await schedule()).length === 0 && (await left()).every((count) => count === 0));
    },
  );
});

describeOnAnyServer('a thread that has a task which those before it lacked', (url) => {
  test('is sent executions of it, and the worker announces it', async () => {
    const fleet = await openFleet(url());
    onTestFinished(() => void delete process.env.TEST_TASKS_ARE_FORGOTTEN);
    const { lines } = await fleet.worker({ tasks: fixture('forgets.js'), threads: 1, maxDeliveries: 1 });
    process.env.TEST_TASKS_ARE_FORGOTTEN = '1';
    await fleet.docket.add('exits');
    await waitFor(() => lines.some(({ message }) => message.includes('have loaded other tasks')));
    const execution = await fleet.docket.add('learned', {}, { key: 'k' });
    expect(await execution.result()).toBe('ran');
    await waitFor(async () => (await fleet.docket.workers())[0]!.tasks.includes('learned'));
    expect((await fleet.docket.workers())[0]!.tasks).not.toContain('forgotten');
  });
});
