/** Handles in JSON, in logs and on the console. */
import { inspect } from 'node:util';
import { Agenda, call, collection, Docket, fail, sleep, task, trace } from 'docket';
import { expect, test } from 'vitest';
import { setStage } from '../support/stage.js';
import { describeOnAnyServer } from '../support/suites.js';

const charge = task('charge', ({ card }: { card: string }) => card.length);

test('an agenda can be looked through, and emptied to be filled again', () => {
  const agenda = new Agenda().add(charge, { card: 'secret' }, { key: 'c' }).add('unknown', { n: 1 });
  expect([...agenda]).toEqual([
    call(charge, { card: 'secret' }, { key: 'c' }),
    { task: 'unknown', args: { n: 1 }, options: {} },
  ]);
  expect(JSON.stringify(agenda)).toBe('[{"task":"charge","key":"c"},{"task":"unknown"}]');
  expect(inspect(agenda)).toBe("Agenda [ { task: 'charge', key: 'c' }, { task: 'unknown' } ]");
  expect(agenda.clear().length).toBe(0);
  expect([...agenda.add('unknown')]).toHaveLength(1);
});

test('a docket shows its name and its server, but no password', () => {
  const docket = new Docket({ name: 'orders', url: 'redis://app:secret@cache:6379/1' });
  expect(inspect(docket)).toBe("Docket { name: 'orders', url: 'redis://app:***@cache:6379/1' }");
  expect(JSON.stringify({ docket })).toBe('{"docket":{"name":"orders","url":"redis://app:***@cache:6379/1"}}');
});

test('the built-in tasks can be imported', () => {
  expect(Object.keys(collection(trace, fail, sleep))).toEqual(['trace', 'fail', 'sleep']);
});

describeOnAnyServer('a handle', (url) => {
  const stage = setStage(url);

  test('shows the fields of its execution and of its progress, but no arguments', async () => {
    const handle = await stage.docket().add(charge, { card: 'secret' }, { key: 'c-1', when: '1h' });
    const shown = JSON.parse(JSON.stringify(handle));
    expect(shown).toEqual({
      key: 'c-1',
      task: 'charge',
      state: 'scheduled',
      disposition: 'scheduled',
      when: handle.when.toISOString(),
      attempt: 1,
      worker: null,
      startedAt: null,
      completedAt: null,
      error: null,
      waitingFor: null,
      progress: { current: 0, total: 100, message: null, updatedAt: null },
    });
    expect(inspect(handle)).toMatch(/^Execution \{\s+key: 'c-1',\s+task: 'charge',\s+state: 'scheduled'/);
    expect(inspect(handle)).not.toContain('secret');
    expect(inspect({ a: { b: { handle } } })).toContain('handle: [Execution]');
    expect(inspect(handle.progress)).toMatch(/^ExecutionProgress \{ current: 0, total: 100/);
  });
  test('that could not be had tells why, but neither arguments nor the script', async () => {
    await (await stage.redis()).set(stage.key('run:c-2'), 'no record', 'EX', 60);
    const refused = await stage
      .docket()
      .add(charge, { card: 'secret' }, { key: 'c-2' })
      .catch((error: unknown) => error);
    const shown = inspect(refused, { depth: 20 });
    expect(shown).toMatch(/ReplyError.*WRONGTYPE/);
    expect(shown).not.toContain('secret');
    expect(shown).not.toContain('redis.call');
  });
  test('of the running execution shows the same fields, and ctx.docket can look in', async () => {
    const look = task('look', async (_args: { card: string }, ctx) => {
      const { running, workers } = await ctx.docket.snapshot({ limit: 5 });
      await (await ctx.docket.redis).set(ctx.docket.key('seen'), '1', 'EX', 60);
      return {
        shown: JSON.parse(JSON.stringify(ctx.execution)),
        inspected: inspect(ctx.execution),
        running: running.map(({ key }) => key),
        workers: workers.length,
        taskWorkers: (await ctx.docket.taskWorkers('look')).length,
        seen: await (await ctx.docket.redis).get(ctx.docket.key('seen')),
      };
    });
    const docket = stage.docket();
    const execution = await docket.add(look, { card: 'secret' }, { key: 'l-1' });
    stage.work(collection(look));
    const found = await execution.result({ timeout: '20s' });
    expect(found).toMatchObject({ running: ['l-1'], workers: 1, taskWorkers: 1, seen: '1' });
    expect(found.shown).toMatchObject({ key: 'l-1', task: 'look', state: 'running', progress: { total: 100 } });
    expect(found.inspected).toMatch(/^Execution \{\s+key: 'l-1'/);
    expect(found.inspected).not.toContain('secret');
    await (await docket.redis).del(docket.key('seen'));
  });
});
