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

  test('are made on the command line, with what ends them, and each mistake is one line', async () => {
    const fleet = await openFleet(url());
    const add = (...args: string[]) =>
      runDocket(['add', 'report', '{"n":1}', '--force', ...args, '--url', fleet.url, '--docket', fleet.name]);
    const zone = ['--cron', '0 9 * * MON-FRI', '--timezone', 'Europe/Berlin'];
    expect(await add('--key', 'a', ...zone, '--times', '3')).toMatchObject({ code: 0, output: 'a  scheduled\n' });
    await add('--key', 'b', '--every', '5m', '--when', '1h', '--until', '2199-01-01T00:00:00Z');
    expect(await schedulesOf(fleet.docket)).toMatchObject([
      { key: 'a', policy: { expression: '0 9 * * MON-FRI', timezone: 'Europe/Berlin' }, runsLeft: 3, until: null },
      { key: 'b', policy: { everyMs: 300_000 }, runsLeft: null, until: new Date('2199-01-01T00:00:00Z') },
    ]);
    const mistakes = [
      [['--cron', 'x'], /cron.expression: expected five or six fields/],
      [['--cron', '* * * * *', '--timezone', 'No/Where'], /cron.timezone: expected an IANA name/],
      [['--timezone', 'UTC'], /--timezone: it is that of --cron: give both/],
      [['--cron', '* * * * *', '--every', '5m'], /--every: give it or --cron, not both/],
      [['--every', '5'], /duration/],
      [['--every', '5m', '--times', '0'], /times: expected a whole number >= 1/],
      [['--every', '5m', '--until', 'tomorrow'], /--until: 'tomorrow' is not a date/],
      [['--every', '5m', '--until', '2000-01-01'], /until: expected a time after the first run/],
    ] as const;
    for (const [args, said] of mistakes) {
      const { code, output, errors } = await add(...args);
      expect([args, code, output, errors]).toEqual([args, 2, '', expect.stringMatching(ONE_LINE)]);
      expect(errors).toMatch(said);
    }
    await endAll(fleet, [{ key: 'a' }, { key: 'b' }]);
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
