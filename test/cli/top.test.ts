/** `docket top` and `docket stats`: on a terminal, with pipes, and for programs. */
import { expect, onTestFinished, test } from 'vitest';
import { type Fleet, openFleet } from '../support/fleet.js';
import { finished, hasTerminal, runDocket, startDocket, startOnTerminal } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const common = (fleet: Fleet) => ['--url', fleet.url, '--docket', fleet.name];

describeOnOwnRedis('docket top', (redis) => {
  /** A fleet with something that runs and something that is queued. */
  async function busy(): Promise<Fleet> {
    const fleet = await openFleet(redis().url, { heartbeatInterval: '50ms' });
    await fleet.worker({ threads: 1, name: 'erna' });
    const execution = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    await fleet.step('start held 1');
    await execution.sync();
    await execution.progress.setTotal(200);
    await execution.progress.increment(50);
    await fleet.docket.add('noop', {}, { key: 'later', when: '1h' });
    await waitFor(async () => (await fleet.docket.stats()).length === 1);
    onTestFinished(async () => {
      await fleet.release();
      await fleet.docket.cancel('later');
    });
    return fleet;
  }

  test('--once shows what runs with its progress, what waits, the rates and the workers, and ends', async () => {
    const fleet = await busy();
    const { code, output, errors } = await runDocket(['top', '--once', ...common(fleet)]);
    expect([code, errors]).toEqual([0, '']);
    expect(output).toMatch(/^docket 't-[^']+' at .* {2}\d{4}-\d\d-\d\dT/);
    expect(output).toMatch(/^queued 0 {3}scheduled 1 {3}waiting 0 {3}running 1$/m);
    expect(output).toMatch(/^held +hold +erna +[\d.]+m?s +████░{12} {2}25%$/m);
    expect(output).toMatch(/^hold +1 +[\d.]+m?s +1 +0 /m);
    expect(output).toMatch(/^erna +1 +\d of 1 /m);
    expect(output).not.toContain('\u001b');
  });

  test('--once --json writes one line with all of it', async () => {
    const fleet = await busy();
    const { code, output } = await runDocket(['top', '--once', '--json', ...common(fleet)]);
    expect([code, output.split('\n').length]).toEqual([0, 2]);
    expect(JSON.parse(output)).toMatchObject({
      totals: { queued: 0, scheduled: 1, running: 1 },
      running: [{ key: 'held', task: 'hold', worker: 'erna', progress: { current: 50, total: 200 } }],
      tasks: [{ task: 'hold', started: 1 }],
      workers: [{ name: 'erna', threads: 1 }],
      oldestQueuedMs: 0,
      problem: null,
    });
  });

  test('without a terminal prints picture after picture, and ends with a signal', async () => {
    const fleet = await busy();
    const shell = startDocket(['top', '--interval', '100ms', ...common(fleet)]);
    await waitFor(() => (shell.output().match(/^docket '/gm)?.length ?? 0) >= 3);
    shell.process.kill('SIGTERM');
    const { code, output } = await finished(shell);
    expect(code).toBe(143);
    expect(output).not.toContain('\u001b');
  });

  test('keeps the last picture while Redis is away, says so, and goes on', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    const shell = startDocket(['top', '--json', '--interval', '100ms', ...common(fleet)]);
    await shell.shows(/"problem":null/);
    await redis().kill();
    await shell.shows(/"problem":"[^"]+/);
    await redis().start();
    await waitFor(() => JSON.parse(shell.lines().at(-1)!).problem === null);
    shell.process.kill('SIGINT');
    expect(await finished(shell)).toMatchObject({ code: 130, errors: '' });
  });

  test.skipIf(!hasTerminal)(
    'on a terminal redraws in place until q is pressed, and gives the terminal back',
    async () => {
      const fleet = await busy();
      const shell = startOnTerminal(['top', '--interval', '100ms', ...common(fleet)]);
      await shell.shows(/running 1/);
      await fleet.docket.add('noop', {}, { key: 'another', when: '1h' });
      await shell.shows(/scheduled 2/);
      await fleet.docket.cancel('another');
      shell.process.stdin!.write('q');
      const { code, output } = await finished(shell);
      expect(code).toBe(0);
      expect(output).toContain('\u001b[2K'); // lines are erased, not scrolled away
      expect(output.lastIndexOf('\u001b[?25h')).toBeGreaterThan(output.lastIndexOf('\u001b[?25l')); // the cursor is back
    },
  );

  test.skipIf(!hasTerminal)('on a terminal ends with Ctrl-C', async () => {
    const fleet = await openFleet(redis().url);
    const shell = startOnTerminal(['top', ...common(fleet)]);
    await shell.shows(/queued 0/);
    shell.process.stdin!.write('\u0003');
    expect((await finished(shell)).code).toBe(130);
  });

  test.each([
    [['--interval', '10ms'], 'docket: --interval: expected 100ms or more, got 10ms\n'],
    [['--interval', 'often'], /^docket: .*often.*\n$/],
  ])('refuses %j in one line', async (flags, line) => {
    const { code, output, errors } = await runDocket(['top', '--once', ...flags, '--url', redis().url]);
    expect([code, output]).toEqual([2, '']);
    expect(errors).toMatch(line);
  });

  test('fails in one line when Redis cannot be reached at first', async () => {
    const { code, output, errors } = await runDocket(['top', '--url', 'redis://127.0.0.1:1']);
    expect([code, output]).toEqual([1, '']);
    expect(errors).toMatch(/^docket: [^\n]+\n$/);
  });
});

describeOnOwnRedis('docket stats', (redis) => {
  async function ran(): Promise<Fleet> {
    const fleet = await openFleet(redis().url, { heartbeatInterval: '50ms' });
    await fleet.worker({ threads: 1 });
    await Promise.all([1, 2].map(async (value) => (await fleet.docket.add('echo', { value })).result()));
    await (await fleet.docket.add('fail', { message: 'on purpose' })).result().catch(() => {});
    await waitFor(async () => (await fleet.docket.stats()).find(({ task }) => task === 'fail')?.failed === 1);
    return fleet;
  }

  test('shows each task with its counts and times, the busiest first', async () => {
    const fleet = await ran();
    const { code, output, errors } = await runDocket(['stats', '--minutes', '10', ...common(fleet)]);
    expect([code, errors]).toEqual([0, '']);
    expect(output).toMatch(/, the last 10 minutes$/m);
    expect(output).toMatch(/^started [▁-█]{10} {2}4$/m);
    expect(output).toMatch(/^failed {2}[▁-█]{10} {2}1$/m);
    expect(output).toMatch(/│ echo +│ 2 +│ 2 +│ 0 +│ 0 +│/);
    expect(output).toMatch(/│ fail +│ 2 +│ 0 +│ 1 +│ 1 +│/);
  });

  test('shows one task minute by minute', async () => {
    const fleet = await ran();
    const { output } = await runDocket(['stats', '--task', 'fail', ...common(fleet)]);
    expect(output).toMatch(/^task fail of docket '/);
    expect(output).toMatch(/│ \d{4}-\d\d-\d\dT\d\d:\d\d │ \d /);
    const other = await runDocket(['stats', '--task', 'nothing', ...common(fleet)]);
    expect(other).toMatchObject({ code: 0, output: expect.stringMatching(/\nnothing of it was counted\n$/) });
  });

  test('--json writes minutes and tasks', async () => {
    const fleet = await ran();
    const { output } = await runDocket(['stats', '--json', '--minutes', '10', ...common(fleet)]);
    const { minutes, tasks } = JSON.parse(output);
    expect(minutes).toHaveLength(10);
    expect(tasks.map(({ task, started }: { task: string; started: number }) => [task, started])).toEqual([
      ['echo', 2],
      ['fail', 2],
    ]);
    const one = await runDocket(['stats', '--json', '--task', 'echo', ...common(fleet)]);
    expect(JSON.parse(one.output)).toMatchObject({ task: 'echo' });
  });

  test('says in one line what is wrong with its flags', async () => {
    const { code, errors } = await runDocket(['stats', '--minutes', '9999', '--url', redis().url]);
    expect([code, errors]).toEqual([2, 'docket: --minutes: expected a whole number from 1 to 2880, got 9999\n']);
  });
});
