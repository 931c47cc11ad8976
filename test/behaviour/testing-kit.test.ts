/** The entry point `docket/testing`: what its test dockets promise. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  call,
  concurrencyLimit,
  cooldown,
  cron,
  depends,
  exponentialRetry,
  perpetual,
  rateLimit,
  shared,
  task,
} from 'docket';
import {
  assertNoTaskAdded,
  assertTaskAdded,
  assertTaskCompleted,
  assertTaskFailed,
  openTestDocket,
  type TestDocket,
  type TestDocketOptions,
} from 'docket/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { runModule } from '../support/child.js';

const NOW = new Date('2027-01-01T00:00:00Z');
/** Generous, because the machine of a test may be busy. */
const TIMEOUT = '60s';

const kits: TestDocket<never>[] = [];

async function open(tasks: TestDocketOptions<{}>['tasks'] | object, options: Partial<TestDocketOptions<{}>> = {}) {
  const kit = await openTestDocket({ tasks: tasks as {}, now: NOW, timeout: TIMEOUT, ...options });
  kits.push(kit as TestDocket<never>);
  return kit as unknown as TestDocket;
}

afterEach(async () => {
  await Promise.all(kits.splice(0).map((kit) => kit.close()));
});

/** Tasks that note when their attempts were due, in minutes and seconds after the start. */
function noting() {
  const notes: string[] = [];
  const note = (what: string, { when }: { readonly when: Date }) => {
    notes.push(`${what} ${when.toISOString().slice(11, 19)}`);
  };
  return { notes, note };
}

describe('nothing runs by itself', () => {
  test('until the test says so: then what is due runs, with what it adds, and the clock stands', async () => {
    const { notes, note } = noting();
    const child = task('child', (_args: {}, ctx) => note('child', ctx));
    const parent = task('parent', async (_args: {}, ctx) => {
      note('parent', ctx);
      await ctx.docket.add(child);
      await ctx.docket.add(child, {}, { when: '1s' });
    });
    const kit = await open({ parent, child });
    const execution = await kit.docket.add(parent);
    expect([notes, execution.state]).toEqual([[], 'queued']);
    await kit.runDue();
    expect(notes).toEqual(['parent 00:00:00', 'child 00:00:00']);
    expect(kit.now()).toEqual(NOW);
    await kit.runDue();
    expect(notes).toHaveLength(2);
  });

  test('and dockets of other tests run nothing of it', async () => {
    const seen: number[] = [];
    const note = task('note', ({ n }: { n: number }) => void seen.push(n));
    const [one, other] = [await open({ note }), await open({ note })];
    await one.docket.add(note, { n: 1 });
    await other.docket.add(note, { n: 2 });
    await other.advance('1h');
    expect([seen, one.now()]).toEqual([[2], NOW]);
    await assertTaskCompleted(other, note, { args: { n: 2 }, times: 1 });
    expect((await assertTaskAdded(one, note, { args: { n: 1 } }))[0]).toMatchObject({ state: 'queued' });
  });
});

describe('the clock', () => {
  test('stops at each due time on the way, so that everything runs once, in order', async () => {
    const { notes, note } = noting();
    const later = task('later', ({ name }: { name: string }, ctx) => note(name, ctx));
    const kit = await open({ later });
    await kit.docket.addMany([
      call(later, { name: 'third' }, { when: '1h' }),
      call(later, { name: 'fourth' }, { when: '61m' }),
      call(later, { name: 'second' }, { when: new Date(NOW.getTime() + 60_000) }),
      call(later, { name: 'first' }),
    ]);
    await kit.advance('1h');
    expect(notes).toEqual(['first 00:00:00', 'second 00:01:00', 'third 01:00:00']);
    expect(kit.now().toISOString()).toBe('2027-01-01T01:00:00.000Z');
    await kit.advance('1m');
    expect(notes.slice(3)).toEqual(['fourth 01:01:00']);
  });

  test('skips the delays of retries', async () => {
    const { notes, note } = noting();
    const policy = exponentialRetry({ attempts: 4, minimumDelay: '10s' });
    const flaky = task('flaky', { retry: policy }, (_args: {}, ctx) => {
      note(String(ctx.attempt), ctx);
      if (ctx.attempt < 4) throw new Error('not yet');
      return 'at last';
    });
    const kit = await open({ flaky });
    const execution = await kit.docket.add(flaky);
    await kit.advance('29s');
    expect(notes).toEqual(['1 00:00:00', '2 00:00:10']);
    await kit.runUntilFinished();
    expect(notes.slice(2)).toEqual(['3 00:00:30', '4 00:01:10']);
    expect(await execution.result()).toBe('at last');
  });

  test('skips the time between the runs of chains, and none of them', { timeout: 120_000 }, async () => {
    const { notes, note } = noting();
    const every = task('every', { perpetual: perpetual({ every: '15m', automatic: true }) }, (_args: {}, ctx) =>
      note('every', ctx),
    );
    const hourly = task('hourly', { perpetual: cron('0 * * * *', { automatic: true }) }, (_args: {}, ctx) =>
      note('hourly', ctx),
    );
    const kit = await open({ every, hourly });
    await kit.advance('1h');
    const quarters = ['00:00', '15:00', '30:00', '45:00'].map((time) => `every 00:${time}`);
    expect(notes.slice(0, 4)).toEqual(quarters);
    expect(notes.slice(4).sort()).toEqual(['every 01:00:00', 'hourly 01:00:00']);
    await assertTaskCompleted(kit, hourly);
    await kit.advance('3h');
    expect(notes.filter((one) => one.startsWith('hourly'))).toHaveLength(4);
    expect(notes.filter((one) => one.startsWith('every'))).toHaveLength(17);
  });

  test('is that of a schedule which a body makes after it has been moved', async () => {
    const { notes, note } = noting();
    const report = task('report', (_args: {}, ctx) => note('report', ctx));
    const plan = task('plan', async ({ n }: { n: number }, ctx) => {
      await ctx.docket.add(report, {}, { key: `report-${n}`, perpetual: cron('30 * * * *'), times: 1 });
    });
    const kit = await open({ plan, report });
    await kit.docket.addMany([call(plan, { n: 1 }), call(plan, { n: 2 }, { when: '5h' })]);
    await kit.runUntilFinished();
    expect(notes).toEqual(['report 00:30:00', 'report 05:30:00']);
  });

  test('lets what waits for limits go on', async () => {
    const { notes, note } = noting();
    const limited = task('limited', { limits: [rateLimit({ max: 2, per: '1m' })] }, (_args: {}, ctx) =>
      note('limited', ctx),
    );
    const single = task('single', { limits: [concurrencyLimit({ max: 1 })] }, (_args: {}, ctx) => note('single', ctx));
    const cool = task('cool', { limits: [cooldown({ window: '1h' })] }, (_args: {}, ctx) => note('cool', ctx));
    const kit = await open({ limited, single, cool }, { concurrency: 4 });
    const calls = [limited, limited, limited, single, single, cool, cool].map((one) => call(one));
    await kit.docket.addMany(calls);
    await kit.runDue();
    expect(notes.filter((one) => one.startsWith('limited'))).toHaveLength(2);
    expect(notes.filter((one) => one.startsWith('single'))).toHaveLength(2);
    expect(notes.filter((one) => one.startsWith('cool'))).toHaveLength(1);
    await kit.advance('1h');
    expect(notes.filter((one) => one.startsWith('limited'))).toHaveLength(3);
    await kit.docket.add(cool);
    await kit.runDue();
    expect(notes.filter((one) => one.startsWith('cool'))).toHaveLength(2);
  });

  test('does not go on while a body takes longer than the time to its next run', async () => {
    const { notes, note } = noting();
    const slow = task('slow', { perpetual: perpetual({ every: '40ms' }) }, async (_args: {}, ctx) => {
      const endMs = performance.now() + 100;
      while (performance.now() < endMs) await turn();
      note('slow', ctx);
    });
    const kit = await open({ slow });
    await kit.docket.add(slow, {}, { key: 's' });
    await kit.advance('200ms');
    expect(notes).toHaveLength(6);
  });

  test('passes over what is paused, which starts when it is resumed', async () => {
    const { notes, note } = noting();
    const later = task('later', (_args: {}, ctx) => note('later', ctx));
    const other = task('other', (_args: {}, ctx) => note('other', ctx));
    const kit = await open({ later, other });
    await kit.docket.pause(later);
    await kit.docket.addMany([call(later, {}, { when: '1m' }), call(other, {}, { when: '2m' })]);
    await kit.advance('1h');
    expect(notes).toEqual(['other 00:02:00']);
    await kit.docket.pause();
    await kit.docket.resume(later);
    await kit.docket.add(other);
    await kit.advance('1h');
    expect(notes).toHaveLength(1);
    await kit.docket.resume();
    await kit.runDue();
    expect(notes.slice(1).sort()).toEqual(['later 00:01:00', 'other 01:00:00']);
  });

  test('ends what is kept of an execution', async () => {
    const short = task('short', () => 1);
    const kit = await open({ short }, { executionTtl: '15m' });
    await kit.docket.add(short, {}, { key: 's' });
    await kit.advance('14m');
    expect((await kit.docket.getExecution('s'))?.state).toBe('completed');
    await kit.advance('1m');
    expect(await kit.docket.getExecution('s')).toBeNull();
    await assertNoTaskAdded(kit, short);
  });
});

describe('a call', () => {
  test('ends in time with an error that says what is left when work never ends', async () => {
    const again = task('again', { perpetual: perpetual({ every: '1s' }) }, () => {});
    const kit = await open({ again }, { timeout: '500ms' });
    await kit.docket.add(again, {}, { key: 'a' });
    await expect(kit.runUntilFinished()).rejects.toMatchObject({
      code: 'DOCKET_TEST_TIMEOUT',
      message: expect.stringMatching(/within 500 ms: again \(a\) is .*and the clock stands at 2027/),
    });
    await kit.close();
    await expect(kit.runDue()).rejects.toMatchObject({ code: 'DOCKET_CLOSED' });
  });

  test('waits for the one before it', async () => {
    const { notes, note } = noting();
    const later = task('later', (_args: {}, ctx) => note('later', ctx));
    const kit = await open({ later });
    await kit.docket.addMany([call(later, {}, { when: '1m' }), call(later, {}, { when: '2m' })]);
    await Promise.all([kit.advance('1m'), kit.advance('1m')]);
    expect(notes).toEqual(['later 00:01:00', 'later 00:02:00']);
    expect(kit.now().getTime() - NOW.getTime()).toBe(120_000);
  });

  test('makes shared dependencies anew and cleans them up, or takes those of the test', async () => {
    const steps: string[] = [];
    const pool = shared(async function* () {
      steps.push('open');
      yield 'real';
      steps.push('close');
    });
    const client = depends((_args: {}, ctx) => `${ctx.pool} client`, { uses: { pool } });
    const use = task('use', { uses: { client } }, (_args: {}, ctx) => {
      ctx.logger.info({ client: ctx.client }, 'used');
      return ctx.client;
    });
    const real = await open({ use });
    await real.docket.add(use);
    await real.runDue();
    expect(steps.splice(0)).toEqual(['open', 'close']);
    const faked = await open({ use }, { dependencies: { pool: 'fake' } });
    await faked.docket.add(use);
    await faked.runDue();
    expect(await assertTaskCompleted(faked, use)).toMatchObject([{ result: 'fake client' }]);
    expect(faked.logs).toMatchObject([{ message: 'used', fields: { client: 'fake client', task: 'use' } }]);
    expect(steps).toEqual([]);
  });
});

describe('assertions', () => {
  test('find what was added, and how it ended', async () => {
    const charge = task('charge', ({ orderId }: { orderId: number }) => {
      if (orderId === 2) throw new TypeError('card declined');
      return orderId * 10;
    });
    const kit = await open({ charge });
    await kit.docket.addMany([
      call(charge, { orderId: 1 }),
      call(charge, { orderId: 2 }, { key: 'c-2' }),
      call(charge, { orderId: 3 }, { when: '10m' }),
    ]);
    await assertTaskAdded(kit, charge, { args: { orderId: 3 }, when: '10m', times: 1 });
    await kit.runDue();
    await assertTaskAdded(kit, charge, { times: 3 });
    expect(await assertTaskCompleted(kit, charge)).toMatchObject([{ args: { orderId: 1 }, result: 10 }]);
    await assertTaskFailed(kit, charge, { args: { orderId: 2 }, key: 'c-2', error: 'card declined' });
    await assertTaskFailed(kit, 'charge', { error: /^TypeError/ });
    await assertNoTaskAdded(kit, charge, { args: { orderId: 4 } });
    await expect(assertTaskFailed(kit, charge, { key: 'c-2', error: 'no route' })).rejects.toMatchObject({
      name: 'AssertionError',
      code: 'ERR_ASSERTION',
      actual: expect.arrayContaining([expect.objectContaining({ key: 'c-2', error: 'TypeError: card declined' })]),
    });
    await expect(assertTaskCompleted(kit, charge, { times: 3 })).rejects.toThrow('3 times, found 1');
  });
});

test('a test docket that is closed leaves nothing that keeps the process alive', async () => {
  const ended = await runModule(`
    import { task } from 'docket';
    import { openTestDocket } from 'docket/testing';
    const kit = await openTestDocket({ tasks: { hello: task('hello', () => 'hi') } });
    const execution = await kit.docket.add('hello', {});
    await kit.runDue();
    console.log(await execution.result());
    await kit.close();
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'hi\n' });
});

test('test dockets that follow each other in one process leave no listeners behind', async () => {
  const ended = await runModule(`
    import { openTestDocket } from 'docket/testing';
    const count = () => process.listenerCount('exit');
    await (await openTestDocket()).close();
    const before = count();
    for (let i = 0; i < 3; i++) await (await openTestDocket()).close();
    console.log(count() - before);
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: '0\n' });
});

test('a test docket opens where the path of temporary files is too long for a socket', async () => {
  const TMPDIR = join(mkdtempSync(join(tmpdir(), 'long-')), 'long'.repeat(25));
  mkdirSync(TMPDIR);
  const ended = await runModule(
    `
      import { openTestDocket } from 'docket/testing';
      const kit = await openTestDocket();
      console.log((await kit.docket.add('hello', {})).state);
      await kit.close();
    `,
    { TMPDIR },
  );
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'queued\n' });
});

test('a task and a producer are tested without anything that must be closed', async () => {
  const ended = await runModule(`
    import { task } from 'docket';
    import { assertTaskAdded, recordingDocket, runTask } from 'docket/testing';
    const hello = task('hello', ({ name }) => 'hello ' + name);
    const docket = recordingDocket();
    await docket.add(hello, { name: 'ada' });
    assertTaskAdded(docket, hello, { args: { name: 'ada' } });
    console.log((await runTask(hello, { name: 'ada' })).result);
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'hello ada\n' });
});

test('a test docket works where tests run on threads, and leaves no folder behind', async () => {
  const ended = await runModule(`
    import { once } from 'node:events';
    import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
    import { tmpdir } from 'node:os';
    import { join } from 'node:path';
    import { Worker } from 'node:worker_threads';
    process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'docket-test-'));
    const test = async () => {
      const { task } = await import('docket');
      const { openTestDocket } = await import('docket/testing');
      const kit = await openTestDocket({ tasks: { hello: task('hello', () => 'hi') } });
      const execution = await kit.docket.add('hello', {}, { when: '1h' });
      await kit.advance('1h');
      console.log(await execution.result());
      await kit.close();
    };
    await once(new Worker('(' + test + ')()', { eval: true, env: process.env }), 'exit');
    console.log(readdirSync(process.env.TMPDIR));
  `);
  expect(ended).toMatchObject({ code: 0, stderr: '', stdout: 'hi\n[]\n' });
});
