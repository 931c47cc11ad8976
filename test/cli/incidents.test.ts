/** What the commands say in an incident: that work waits for the end of a pause, and what a cancel ends. */
import { perpetual } from 'docket';
import { expect, test } from 'vitest';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { finished, hasTerminal, runDocket, startOnTerminal } from '../support/shell.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnRedis('in an incident', (url) => {
  const runOn = async (fleet: Fleet, ...args: string[]) => {
    const { code, output, errors } = await runDocket(args, { DOCKET_URL: fleet.url, DOCKET_NAME: fleet.name });
    expect([code, errors]).toEqual([0, '']);
    return output;
  };

  test('show and ls say that an execution waits for the end of a pause, and how to end it', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await fleet.worker({ threads: 1 });
    await fleet.docket.pause('noop');
    await fleet.docket.add('noop', {}, { key: 'k' });
    await waitFor(async () => (await fleet.docket.snapshot({ limit: 0 })).totals.paused === 1);
    const shown = await runOn(fleet, 'show', 'k');
    expect(shown).toMatch(/^state: +queued, in the line of its paused task$/m);
    expect(shown).toMatch(/^waits for: +the end of a pause: docket resume noop \(docket pauses says why\)$/m);
    expect(await runOn(fleet, 'ls')).toMatch(/│ k +│ noop +│ queued .*│ its task is paused +│/);
  });

  test('retry says that what it added waits for the end of a pause', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    const running = await fleet.worker({ threads: 0, tasks: fixture('failing.js') });
    await fleet.docket.add('decline', { worksIn: 9, amount: 1 }, { key: 'c-1' });
    await fleet.docket.add('decline', { worksIn: 9, amount: 2 }, { key: 'c-2' });
    await waitFor(async () => (await fleet.docket.snapshot({ limit: 0 })).totals.failures === 2);
    await running.stop();
    await fleet.docket.pause('other');
    expect(await runOn(fleet, 'failures', 'retry', '--task', 'decline', '--limit', '1')).toBe('retried 1\n');
    await fleet.docket.pause('decline', { reason: 'a bad deploy' });
    expect(await runOn(fleet, 'failures', 'retry', '--task', 'decline')).toBe(
      'retried 1\npaused: decline; its executions start after docket resume decline\n',
    );
  });

  test('the help of a command of a group names each flag once', async () => {
    const { output } = await runDocket(['failures', 'retry', '--help']);
    expect(output.match(/--since/g)).toHaveLength(1);
    expect(output).toMatch(/Global Options:[\s\S]*--url/);
  });

  test.skipIf(!hasTerminal)('cancel says before it asks how many schedules end', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await fleet.docket.add('noop', {}, { key: 'once', when: '1h' });
    await fleet.docket.add('noop', {}, { key: 'again', perpetual: perpetual({ every: '1h' }), when: '1h' });
    const shell = startOnTerminal(['cancel', '--task', 'noop', '--url', fleet.url, '--docket', fleet.name]);
    await shell.shows(/Cancel 2 executions and end 1 schedule in docket .*\[y\/N\] /);
    shell.process.stdin!.write('n\n');
    expect((await finished(shell)).code).toBe(1);
  });
});
