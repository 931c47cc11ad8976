/** `docket failures`: what failed is listed, shown, run again and discarded from a shell. */
import { describe, expect, test } from 'vitest';
import { collect } from '../support/collect.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { type Finished, runDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnRedis('docket failures', (url) => {
  const runOn = (fleet: Fleet, ...args: string[]): Promise<Finished> =>
    runDocket(['failures', ...args], { DOCKET_URL: fleet.url, DOCKET_NAME: fleet.name });

  async function jsonOf(fleet: Fleet, ...args: string[]) {
    const { output, errors } = await runOn(fleet, ...args, '--json');
    expect(errors).toBe('');
    return JSON.parse(output);
  }

  /** A fleet with these failures of the task `decline`, the last one the newest. */
  async function withFailures(amounts: readonly number[], options = {}): Promise<{ fleet: Fleet; ids: string[] }> {
    const fleet = await openFleet(url(), options);
    const running = await fleet.worker({ threads: 0, tasks: fixture('failing.js'), name: 'till' });
    const args = { hook: 'tell', file: fleet.probe.file, worksIn: 9 };
    for (const [i, amount] of amounts.entries()) {
      await fleet.docket.add('decline', { ...args, amount }, { key: `c-${amount}` });
      await waitFor(async () => (await fleet.docket.snapshot({ limit: 0 })).totals.failures === i + 1);
    }
    await running.stop();
    const ids = (await collect(fleet.docket.failures())).map(({ id }) => id).reverse();
    return { fleet, ids };
  }

  test('says that there are none', async () => {
    const fleet = await openFleet(url());
    expect(await runOn(fleet)).toEqual({ code: 0, output: 'no failures\n', errors: '' });
    expect(await jsonOf(fleet)).toEqual([]);
  });

  test('lists the newest first, filtered, and says how many there are', async () => {
    const { fleet, ids } = await withFailures([1, 2, 3]);
    const all = await runOn(fleet, 'ls');
    expect(all.code).toBe(0);
    expect(all.output).toMatch(/│ id +│ failed +│ task +│ key +│ attempts │ error +│/);
    expect(all.output).toMatch(new RegExp(`│ ${ids[2]} │ .* ago +│ decline │ c-3 │ 2 +│ Declined: 3 was declined │`));
    expect(all.output.indexOf('c-3')).toBeLessThan(all.output.indexOf('c-1'));
    expect((await runOn(fleet, '--limit', '2')).output).toMatch(/\nthese are 2 of 3 failures\n/);
    expect((await jsonOf(fleet, '--limit', '2')).map(({ key }: { key: string }) => key)).toEqual(['c-3', 'c-2']);
    expect(await jsonOf(fleet, 'ls', '--task', 'other')).toEqual([]);
    expect(await jsonOf(fleet, 'ls', '--error', 'Declined', '--since', '1h')).toHaveLength(3);
    expect(await jsonOf(fleet, 'ls', '--until', '1h')).toEqual([]);
    expect((await runOn(fleet, 'groups')).output).toMatch(/│ 3 +│ decline │ Declined │ .* ago +│/);
    expect(await jsonOf(fleet, 'groups', '--task', 'decline')).toMatchObject([{ errorName: 'Declined', count: 3 }]);
    expect((await runOn(fleet, 'groups', '--task', 'other')).output).toBe('no failures\n');
  });

  describe('show', () => {
    test('shows the arguments and the stack, also of an execution without a record', async () => {
      const { fleet, ids } = await withFailures([7], { executionTtl: 0 });
      const { code, output } = await runOn(fleet, 'show', ids[0]!);
      expect(code).toBe(0);
      for (const line of [
        /^failure +\d+-\d+$/m,
        /^task +decline$/m,
        /^key +c-7$/m,
        /^error +Declined: 7 was declined$/m,
        /^attempts +2$/m,
        /^worker +till, thread \d+$/m,
        /^failed +20.*Z, .* ago$/m,
        /^arguments\n {2}\{\n {4}hook: 'tell'/m,
        /^ {4}amount: 7/m,
        /^stack\n {2}Declined: 7 was declined\n {6}at .*failing\.js/m,
      ]) {
        expect(output).toMatch(line);
      }
      expect(await jsonOf(fleet, 'show', ids[0]!)).toMatchObject({
        ...{ id: ids[0], key: 'c-7', kind: 'failed', attempts: 2, args: { amount: 7 } },
        stack: expect.stringContaining('failing.js'),
      });
    });

    test('bounds what it prints, and prints no control characters', async () => {
      const fleet = await openFleet(url());
      const running = await fleet.worker({ threads: 0, tasks: fixture('failing.js') });
      const args = { hook: 'tell', file: fleet.probe.file, worksIn: 9, amount: 1 };
      const rows = Array.from({ length: 2_000 }, (_, i) => `row ${i} \u001b[2J`);
      await fleet.docket.add('decline', { ...args, rows, text: 'x'.repeat(50_000) }, { key: 'k\u001b[2J' });
      await waitFor(async () => (await fleet.docket.snapshot({ limit: 0 })).totals.failures === 1);
      await running.stop();
      const [{ id } = { id: '' }] = await collect(fleet.docket.failures());
      const { output } = await runOn(fleet, 'show', id);
      expect(output.length).toBeLessThan(20_000);
      expect(output).not.toContain('\u001b');
      expect((await jsonOf(fleet, 'show', id)).args.rows).toHaveLength(2_000);
    });

    test('says that what cannot be read cannot be read', async () => {
      const fleet = await openFleet(url());
      const running = await fleet.worker({ threads: 0 });
      await fleet.redis.xadd(fleet.key('work'), '*', 'm', 'rubbish');
      await waitFor(async () => (await fleet.docket.snapshot({ limit: 0 })).totals.failures === 1);
      await running.stop();
      const [{ id } = { id: '' }] = await collect(fleet.docket.failures());
      expect((await runOn(fleet, 'show', id)).output).toMatch(/^kind +quarantined$[\s\S]*cannot be read/m);
      expect(await runOn(fleet, 'retry', id)).toMatchObject({
        code: 1,
        output: `retried 0\n${id} stays: its message cannot be read\n`,
      });
    });

    test('shows what another program wrote among the failures, whatever its times are', async () => {
      const fleet = await openFleet(url());
      const written = ['kind', 'failed', 'key', 'k', 'message', 'rubbish', 'attempts', '-5', 'started', 'never'];
      const last = '9999999999999999-1'; // behind the last date that there is
      await fleet.redis.xadd(fleet.key('failures'), last, ...written, 'added', '1e300');
      await fleet.redis.pexpire(fleet.key('failures'), 60_000);
      expect((await runOn(fleet, 'show', last)).output).toMatch(/^attempts +1$[\s\S]*\(cannot be read/m);
      expect(await jsonOf(fleet)).toMatchObject([{ id: last, key: 'k', attempts: 1, startedAt: null }]);
      expect((await runOn(fleet)).output).not.toContain('NaN');
      expect(await runOn(fleet, 'discard', last)).toMatchObject({ code: 0, output: 'discarded 1\n' });
    });

    test('tells of an id that there is not, and of one that is none', async () => {
      const fleet = await openFleet(url());
      expect(await runOn(fleet, 'show', '1-1')).toMatchObject({
        code: 5,
        errors: expect.stringMatching(/^docket: there is no failure 1-1[^\n]*\n$/),
      });
      expect(await runOn(fleet, 'show', 'k')).toMatchObject({
        code: 2,
        errors: expect.stringContaining('id of a failure'),
      });
    });
  });

  test('retry adds those that are named, and says what stays', async () => {
    const { fleet, ids } = await withFailures([1, 2, 3]);
    await fleet.docket.add('decline', { amount: 0 }, { key: 'c-2', when: '1h' });
    expect(await runOn(fleet, 'retry', ids[0]!)).toEqual({ code: 0, output: 'retried 1\n', errors: '' });
    expect(await runOn(fleet, 'retry', ids[0]!)).toMatchObject({
      code: 5,
      output: expect.stringContaining('there is no failure'),
    });
    const rest = await runOn(fleet, 'retry', '--task', 'decline');
    expect(rest).toEqual({
      code: 1,
      output: `retried 1\n${ids[1]} stays: another execution has its key c-2\n`,
      errors: '',
    });
    expect(await jsonOf(fleet, 'retry', '--all')).toMatchObject({ retried: [], taken: [{ key: 'c-2' }] });
    await fleet.docket.clear();
  });

  test('discard removes those that are named, and asks before it removes all', async () => {
    const { fleet, ids } = await withFailures([1, 2, 3]);
    expect(await runOn(fleet, 'discard', ids[0]!)).toEqual({ code: 0, output: 'discarded 1\n', errors: '' });
    expect(await runOn(fleet, 'discard', ids[0]!)).toEqual({ code: 5, output: 'discarded 0\n', errors: '' });
    const unasked = await runOn(fleet, 'discard', '--all');
    expect(unasked).toMatchObject({ code: 2, errors: expect.stringContaining('pass --yes') });
    expect(await jsonOf(fleet, 'discard', '--task', 'decline', '--limit', '1', '--yes')).toEqual({ discarded: 1 });
    expect(await runOn(fleet, 'discard', '--all', '--yes')).toMatchObject({ code: 0, output: 'discarded 1\n' });
  });

  test.each([
    [['retry'], /no failures were selected/],
    [['discard', '--yes'], /no failures were selected/],
    [['retry', '1-1', '--all'], /either ids or flags/],
    [['discard', '1-1', '--task', 'x'], /either ids or flags/],
    [['ls', '--since', 'yesterday'], /--since.*Expected a duration/],
    [['ls', '--limit', 'all'], /--limit/],
    [['frobnicate'], /unknown command 'frobnicate'/],
  ])('%j is refused with one line', async (args, problem) => {
    const fleet = await openFleet(url());
    const { code, output, errors } = await runOn(fleet, ...args);
    expect([code, output]).toEqual([2, '']);
    expect(errors).toMatch(/^docket: [^\n]+\n$/);
    expect(errors).toMatch(problem);
  });
});
