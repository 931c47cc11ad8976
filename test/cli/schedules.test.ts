/** `docket schedules` as an operator meets it. */
import { cron, perpetual } from 'docket';
import { expect, test } from 'vitest';
import { endAll, pendingMs, schedulesOf } from '../support/chains.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { runDocket } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';

const ONE_LINE = /^[^\n]+\n$/;

describeOnRedis('docket schedules', (url) => {
  const run = (fleet: Fleet, ...args: string[]) =>
    runDocket(['schedules', ...args, '--url', fleet.url, '--docket', fleet.name]);

  async function withSchedules(): Promise<Fleet> {
    const fleet = await openFleet(url());
    const zone = { timezone: 'Europe/Berlin' };
    await fleet.docket.add('report', {}, { key: 'a', perpetual: cron('0 9 * * MON-FRI', zone), times: 3 });
    await fleet.docket.add('sweep', {}, { key: 'b', perpetual: perpetual({ every: '5m' }), when: '1h' });
    return fleet;
  }

  test('lists what runs, when in words and in which zone, and when next', async () => {
    const fleet = await withSchedules();
    const { code, output } = await run(fleet);
    expect(code).toBe(0);
    expect(output).toContain('At 09:00, Monday through Friday (Europe/Berlin)');
    expect(output).toContain('every 5m');
    expect(output).toContain('after 3 more');
    const [a] = await schedulesOf(fleet.docket);
    for (const next of a!.nextRuns) expect(output).toContain(next.toISOString().slice(0, 19));
    const json = JSON.parse((await run(fleet, 'ls', '--json')).output);
    expect(json).toEqual(JSON.parse(JSON.stringify(await schedulesOf(fleet.docket))));
    const ofTask = JSON.parse((await run(fleet, 'ls', '--task', 'sweep', '--json')).output);
    expect(ofTask).toMatchObject([{ key: 'b' }]);
    expect((await run(fleet, '--limit', '1')).output).toContain('these are the first 1: --limit lists more');
    await endAll(fleet, [{ key: 'a' }, { key: 'b' }]);
    expect(await run(fleet)).toMatchObject({ code: 0, output: 'there are no schedules\n' });
  });

  test('makes one due now, and says in one line why it cannot', async () => {
    const fleet = await withSchedules();
    expect(await run(fleet, 'run', 'a')).toMatchObject({ code: 0, output: 'a  due now\n' });
    expect(await pendingMs(fleet, { key: 'a' })).toBeLessThanOrEqual(Date.now());
    expect((await run(fleet, 'run', 'b', '--json')).output).toBe('{"key":"b","due":true}\n');
    const unknown = await run(fleet, 'run', 'x');
    expect([unknown.code, unknown.errors]).toEqual([5, "docket: there is no execution under the key 'x'\n"]);
    await fleet.docket.add('report', {}, { key: 'q' });
    const queued = await run(fleet, 'run', 'q');
    expect([queued.code, queued.errors]).toEqual([
      5,
      "docket: nothing is scheduled under the key 'q': its execution is queued\n",
    ]);
    await endAll(fleet, [{ key: 'a' }, { key: 'b' }, { key: 'q' }]);
  });

  test('ends one, and nothing that is no schedule', async () => {
    const fleet = await withSchedules();
    expect(await run(fleet, 'end', 'a')).toMatchObject({ code: 0, output: 'a  ended\n' });
    expect((await run(fleet, 'end', 'b', '--json')).output).toBe('{"key":"b","ended":true}\n');
    expect(await schedulesOf(fleet.docket)).toEqual([]);
    await fleet.docket.add('report', {}, { key: 'q', when: '1h' });
    for (const key of ['a', 'q', 'x']) {
      const { code, errors } = await run(fleet, 'end', key);
      expect([code, errors]).toEqual([
        5,
        `docket: there is no schedule under the key '${key}': docket schedules lists them\n`,
      ]);
    }
    expect((await fleet.docket.getExecution('q'))!.state).toBe('scheduled');
    await endAll(fleet, [{ key: 'q' }]);
  });

  test('says in one line what is wrong with a flag', async () => {
    const fleet = await openFleet(url());
    for (const args of [['--limit', 'x'], ['--limit', '0'], ['run'], ['stop', 'a']]) {
      const { code, errors } = await run(fleet, ...args);
      expect(code, args.join(' ')).toBe(2);
      expect(errors).toMatch(ONE_LINE);
    }
  });
});
