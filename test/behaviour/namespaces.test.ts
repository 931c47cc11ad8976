/** Names that meet on the schedule: ids with keys, and keys with each other. */
import { call, retry, task } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeEachServer } from '../support/suites.js';

describeEachServer('an id that is also used as a key', (url) => {
  const stage = setStage(url);

  test('stands for both: an execution that waits for its retry, and the one under the key', async () => {
    const ran: string[] = [];
    const child = task('child', (_args: {}, ctx) => void ran.push(`child of ${ctx.key}`));
    const parent = task('parent', { retry: retry({ attempts: 2, delay: '300ms' }) }, async (_args: {}, ctx) => {
      ran.push(`attempt ${ctx.attempt} of ${ctx.key}`);
      if (ctx.attempt > 1) return;
      await ctx.docket.add(child, {}, { key: ctx.key });
      throw new Error('not yet');
    });
    const { key } = await stage.docket({ executionTtl: 0 }).add(parent);
    await stage.finish({ parent, child });
    expect(ran).toEqual([`attempt 1 of ${key}`, `child of ${key}`, `attempt 2 of ${key}`]);
  });

  test('stands for both while both wait for their time', async () => {
    const ran: string[] = [];
    const child = task('child', (_args: {}, ctx) => void ran.push(`child of ${ctx.key}`));
    const parent = task('parent', { retry: retry({ attempts: 2, delay: '300ms' }) }, async (_args: {}, ctx) => {
      ran.push(`attempt ${ctx.attempt} of ${ctx.key}`);
      if (ctx.attempt > 1) return;
      await ctx.docket.add(child, {}, { key: ctx.key, when: '300ms' });
      throw new Error('not yet');
    });
    const { key } = await stage.docket({ executionTtl: 0 }).add(parent);
    await stage.finish({ parent, child });
    expect(ran.sort()).toEqual([`attempt 1 of ${key}`, `attempt 2 of ${key}`, `child of ${key}`]);
  });
});

describeEachServer('keys that are due at the same time', (url) => {
  const stage = setStage(url);

  test('wake the scheduler, in whatever order they were added', async () => {
    const note = task('note', (_args: {}, ctx) => ctx.key);
    const docket = stage.docket();
    stage.work({ note }, { schedulingResolution: '60s' }, stage.docket({ heartbeatInterval: '60s' }));
    // Once something later was moved in time, the scheduler hears of what comes.
    for (const key of ['first', 'second']) {
      await (await docket.add(note, {}, { key, when: '100ms' })).result({ timeout: '20s' });
    }
    for (const keys of [
      ['b', 'a'],
      ['c', 'd'],
    ]) {
      const executions = await docket.addMany(keys.map((key) => call(note, {}, { key, when: '200ms' })));
      const results = executions.map((execution) => execution.result({ timeout: '20s' }));
      expect(await Promise.all(results)).toEqual(keys);
    }
  });
});
