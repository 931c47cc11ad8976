/** `docket watch`, and `docket add --wait`: the real executable, with pipes and on a terminal, beside real workers. */
import { setTimeout as pass } from 'node:timers/promises';
import { collection, rateLimit, task } from 'docket';
import { describe, expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { killClients } from '../support/clients.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import { monitor } from '../support/monitor.js';
import {
  type Finished,
  finished,
  hasTerminal,
  runDocket,
  type Shell,
  startDocket,
  startOnTerminal,
} from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { SCRIPTS } =
  await importBuilt<typeof import('../../src/redis/scripts.generated.js')>('redis/scripts.generated.js');

describeOnOwnRedis('docket watch', (redis) => {
  const common = (fleet: Fleet) => ['--url', fleet.url, '--docket', fleet.name];
  const watch = (fleet: Fleet, ...args: string[]): Shell => startDocket(['watch', 'k', ...args, ...common(fleet)]);
  /** For what ends by itself. */
  const watchHere = (fleet: Fleet, ...args: string[]) => runDocket(['watch', 'k', ...args, ...common(fleet)]);
  const eventsOf = ({ output }: Finished) =>
    output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  /** Lets the time until the execution is due be over. */
  async function letStart({ redis, key }: Fleet): Promise<void> {
    await redis.zadd(key('schedule'), 'XX', 1, 'kk');
  }

  test('names the rate limit for which an execution waits, which is not overdue', async () => {
    const fleet = await openFleet(redis().url);
    const tasks = [task('paced', { limits: [rateLimit({ max: 1, per: '1h' })] }, () => {})];
    await fleet.worker({ threads: 0, tasks: collection(...tasks) });
    const first = await fleet.docket.add('paced');
    await first.result();
    await fleet.docket.add('paced', {}, { key: 'k' });
    const shell = watch(fleet);
    await shell.shows(/^scheduled {2}waits for limit paced$/m);
    await fleet.docket.cancel('k');
    expect(await finished(shell)).toMatchObject({ code: 4, errors: '' });
  });

  test('follows an execution from scheduled to completed by push alone', async () => {
    const fleet = await openFleet(redis().url);
    const seen = await commandsOf(redis().url);
    await fleet.worker({ threads: 1, name: 'erna', schedulingResolution: '50ms' });
    const execution = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k', when: '1h' });
    const shell = watch(fleet, '--json');
    await shell.shows(/"scheduled"/);
    await letStart(fleet);
    await fleet.step('start k 1');
    await shell.shows(/"running"/);
    await execution.progress.setTotal(200);
    await execution.progress.increment(84);
    await shell.shows(/"current":84,"total":200/);
    await fleet.release();
    expect(await finished(shell)).toMatchObject({ code: 0, errors: '' });

    const events = shell.lines().map((line) => JSON.parse(line));
    const states = events.filter(({ type }) => type === 'state');
    const told = states.map(({ state }) => state).filter((state) => state !== 'queued'); // a claim may overtake it
    expect(told).toEqual(['scheduled', 'running', 'completed']);
    expect(states.at(-1)).toMatchObject({ key: 'k', worker: 'erna', attempt: 1, error: null });
    expect(events.at(-1)).toEqual(states.at(-1));
    // One reading finds it, one comes with the subscription; the safety net looks again every 5 s.
    const reads = seen().filter((args) => args[0]?.toUpperCase() === 'EVALSHA' && args[1] === SCRIPTS.read.sha);
    expect(reads.length).toBeGreaterThanOrEqual(2);
    expect(reads.length).toBeLessThanOrEqual(2 + 2);

    // Of one that has ended, too, the end is told last.
    const after = await watchHere(fleet, '--json');
    expect(after.code).toBe(0);
    expect(eventsOf(after)).toMatchObject([
      { type: 'progress', current: 84, total: 200 },
      { type: 'state', state: 'completed' },
    ]);
  });

  test('shows the limit that an execution waits for', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1, concurrency: 2, tasks: fixture('limits.js') });
    await fleet.docket.add('each', { probe: fleet.probe, value: 'ada', how: 'hold' }, { key: 'first' });
    await fleet.step('start string first 1');
    await fleet.docket.add('each', { probe: fleet.probe, value: 'ada' }, { key: 'k' });
    const [people, programs] = [watch(fleet), watch(fleet, '--json')];
    await people.shows(/queued {2}for [\d.]+m?s {2}waits for limit each value 'ada'\n/);
    await programs.shows(/"state":"queued".*"waitingFor":"each:value:s=ada"/);
    await fleet.release();
    expect(await finished(people)).toMatchObject({
      code: 0,
      output: expect.stringMatching(/completed {2}after [^:]*\n$/),
    });
    expect(JSON.parse((await finished(programs)).output.trim().split('\n').at(-1)!).waitingFor).toBeNull();
  });

  test('shows once that no live worker has the task, however often the execution is put back', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 0, tasks: [], schedulingResolution: '20ms' });
    await waitFor(async () => (await fleet.docket.workers()).length === 1);
    await fleet.docket.add('echo', {}, { key: 'k' });
    const [people, programs] = [watch(fleet), watch(fleet, '--json')];
    await people.shows(/overdue by [\d.]+m?s {2}no live worker has it\n/);
    await programs.shows(/"hasWorker":false/);
    const putBack = async () => Number(await fleet.redis.hget(fleet.key('run:k'), 'pp'));
    for (let times = await putBack(); times < 6; times++) {
      await waitFor(async () => (await putBack()) === times);
      await letStart(fleet);
    }
    await waitFor(async () => (await putBack()) === 6);
    await fleet.worker({ threads: 1, name: 'erna' });
    for (const shell of [people, programs]) expect((await finished(shell)).code).toBe(0);
    // When it was first shown, it may still have been queued, or not yet known to wait in vain.
    const lines = people.lines().filter((line) => /^(queued|scheduled)/.test(line));
    expect(lines.filter((line) => line.includes('no live worker has it')).length).toBeLessThanOrEqual(2);
    expect(lines.length).toBeLessThanOrEqual(5); // with the look that found the other worker
    expect(people.output()).toMatch(/completed {2}after [^\n]* on erna[^\n]*\n$/);
    expect(programs.lines().length).toBeLessThanOrEqual(8);
  });

  test('shows that there is no worker at all', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.docket.add('echo', {}, { key: 'k' });
    const shell = watch(fleet);
    await shell.shows(/queued {2}for [\d.]+m?s {2}no live worker has it\n/);
    await fleet.worker({ threads: 1 });
    expect((await finished(shell)).code).toBe(0);
  });

  test('sends a command only every 5 s while nothing happens', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const shell = watch(fleet);
    await shell.shows(/scheduled {2}due in 59m/);
    await waitFor(async () => (await fleet.redis.exists(fleet.key('listeners'))) === 1);
    await pass(100); // the first reading
    await fleet.redis.config('RESETSTAT');
    await pass(7_500);
    const stats = await fleet.redis.info('commandstats');
    const calls = new Map([...stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name, n]) => [name!, Number(n)]));
    for (const own of ['ping', 'info', 'config|resetstat']) calls.delete(own); // and what keeps links alive
    for (const renewal of ['set', 'evalsha']) {
      expect(calls.get(renewal)).toBeGreaterThanOrEqual(1);
      expect(calls.get(renewal)).toBeLessThanOrEqual(2);
    }
    expect([...calls.values()].reduce((sum, n) => sum + n, 0)).toBeLessThanOrEqual(2 * 8); // with those inside the script
    shell.process.kill('SIGTERM');
    expect(await finished(shell)).toMatchObject({ code: 143, errors: '' });
  });

  test('exits with 3 when the execution fails, and shows why', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.docket.add('fail', { message: 'no luck' }, { key: 'k', when: '1s' });
    const shell = watch(fleet);
    await shell.shows(/scheduled/);
    await fleet.worker({ threads: 1, name: 'erna' });
    const { code, output } = await finished(shell);
    expect(output).toMatch(/failed {2}after .* on erna {2}attempt 2: Error: no luck\n$/);
    expect(code).toBe(3);
  });

  test('exits with 4 when the execution is cancelled', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const shell = watch(fleet);
    await shell.shows(/scheduled/);
    await fleet.docket.cancel('k');
    expect(await finished(shell)).toMatchObject({ code: 4, output: expect.stringMatching(/\ncancelled/) });
  });

  test('exits with 5 when a newer execution takes the key', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const shell = watch(fleet);
    await shell.shows(/scheduled/);
    await fleet.docket.replace('hold', {}, { key: 'k', when: '2h' });
    const problem = "docket: execution 'k' was superseded by a newer one under the same key\n";
    expect(await finished(shell)).toMatchObject({ code: 5, errors: problem });
  });

  test('exits with 5 when the execution is unknown, from the start or later', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    const problem = /^docket: there is no execution 'k'.*\n$/;
    expect(await watchHere(fleet)).toMatchObject({ code: 5, output: '', errors: expect.stringMatching(problem) });

    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const shell = watch(fleet);
    await shell.shows(/scheduled/);
    await waitFor(async () => (await fleet.redis.exists(fleet.key('listeners'))) === 1);
    await fleet.redis.del(fleet.key('run:k'));
    await killClients(fleet.redis, 'pubsub');
    expect(await finished(shell)).toMatchObject({ code: 5, errors: expect.stringMatching(problem) });
  });

  test('shows an ended execution at once', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1 });
    await (await fleet.docket.add('noop', {}, { key: 'k' })).result();
    const { code, output } = await watchHere(fleet);
    expect(output).toMatch(/^completed {2}after [^\n]*\n$/);
    expect(code).toBe(0);
    const json = await watchHere(fleet, '--json');
    expect(eventsOf(json).map(({ type }) => type)).toEqual(['state']); // it has used no progress
  });

  test('refuses an execution without state', async () => {
    const fleet = await openFleet(redis().url, { executionTtl: 0 });
    fleet.leavesWork();
    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const { code, errors } = await watchHere(fleet);
    expect(errors).toMatch(/^docket: execution 'k' was added with executionTtl 0[^\n]*\n$/);
    expect(code).toBe(1);
  });

  test('survives a restart of Redis', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1, minimumCheckInterval: '100ms' });
    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k' });
    const shell = watch(fleet);
    await shell.shows(/running/);
    await redis().kill();
    await redis().start();
    await waitFor(() => shell.errors().includes('is back'));
    await waitFor(() => fleet.release().then(() => true));
    const { code, output, errors } = await finished(shell);
    expect(output).toMatch(/\ncompleted/);
    expect(code).toBe(0);
    expect(errors).toBe(
      'docket: the connection to Redis is lost, trying again\ndocket: the connection to Redis is back\n',
    );
  });

  test('ends silently when its reader closes the pipe', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
    const shell = watch(fleet);
    await shell.shows(/scheduled/);
    shell.process.stdout!.destroy();
    await fleet.docket.cancel('k');
    expect(await finished(shell)).toMatchObject({ code: 141, errors: '' });
  });

  test('is what add --wait does with its execution, whose result it shows', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1 });
    const args = ['add', 'echo', '{"value": {"answer": [42]}}', '--wait', ...common(fleet)];
    const plain = await runDocket(args);
    expect(plain.output).toMatch(/completed.*\n\{ answer: \[ 42 \] \}\n$/);
    expect([plain.code, plain.errors]).toEqual([0, '']);
    const json = await runDocket([...args, '--json']);
    expect(json.code).toBe(0);
    expect(eventsOf(json).at(-1)).toMatchObject({ type: 'result', result: { answer: [42] } });
    expect(await runDocket(['tasks', 'fail', 'so be it', '--wait', ...common(fleet)])).toMatchObject({
      code: 3,
      output: expect.stringContaining('so be it'),
    });
  });

  describe.skipIf(!hasTerminal)(
    `on a terminal${hasTerminal ? '' : ' [left out: script of util-linux is not installed]'}`,
    () => {
      const watchThere = (fleet: Fleet) => startOnTerminal(['watch', 'k', ...common(fleet)]);

      test('shows a live bar with state, percentage, message, time and worker', async () => {
        const fleet = await openFleet(redis().url);
        await fleet.worker({ threads: 1, name: 'erna', schedulingResolution: '50ms' });
        const execution = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k', when: '1h' });
        const shell = watchThere(fleet);
        await shell.shows(/hold k/);
        await shell.shows(/░{24} {2}0% {2}scheduled {2}due in/);
        await letStart(fleet);
        await fleet.step('start k 1');
        await shell.shows(/running {2}for .* {2}on erna/);
        await execution.progress.setTotal(200);
        await execution.progress.increment(84);
        await execution.progress.setMessage('indexing\u001b[2J');
        await shell.shows(/█{10}░{14} {2}42% {2}running {2}for [\d.]+m?s {2}on erna {2}indexing/);
        const times = () => new Set(shell.output().match(/42% {2}running {2}for [\d.]+m?s/g));
        await waitFor(() => times().size > 3); // the time goes on without an event
        expect(shell.output()).not.toContain('\u001b[2J');
        await fleet.release();
        expect((await finished(shell)).code).toBe(0);
        expect(shell.output()).toMatch(
          /█{10}░{14} {2}42% {2}completed {2}after [\d.]+m?s {2}on erna {2}indexing[^\n]*\n$/,
        );
        expect(shell.output()).toContain('\u001b[?25h'); // the cursor is back
      });

      test('ends on Ctrl-C, gives the cursor back, and leaves the execution alone', async () => {
        const fleet = await openFleet(redis().url);
        fleet.leavesWork();
        const execution = await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
        const shell = watchThere(fleet);
        await shell.shows(/scheduled/);
        shell.process.stdin!.write('\u0003');
        expect((await finished(shell)).code).toBe(130);
        expect(shell.output()).toContain('\u001b[?25h');
        await execution.sync();
        expect(execution.state).toBe('scheduled');
      });

      test('exits with the same codes', async () => {
        const fleet = await openFleet(redis().url);
        await fleet.docket.add('hold', {}, { key: 'k', when: '1h' });
        const shell = watchThere(fleet);
        await shell.shows(/scheduled/);
        await fleet.docket.cancel('k');
        expect(await finished(shell)).toMatchObject({ code: 4, output: expect.stringMatching(/cancelled\s*$/) });
      });

      test('draws the bar again after a restart of Redis', async () => {
        const fleet = await openFleet(redis().url);
        await fleet.worker({ threads: 1, minimumCheckInterval: '100ms' });
        await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k' });
        const shell = watchThere(fleet);
        await shell.shows(/running/);
        await redis().kill();
        await redis().start();
        await shell.shows(/is back/);
        await waitFor(() => fleet.release().then(() => true));
        const { code, output } = await finished(shell);
        const own = String.raw`[^\n]*\u001b\[2K`; // the bar is taken away before, and drawn anew below
        expect(output).toMatch(new RegExp(`${own}docket: the connection to Redis is lost, trying again\r?\n`));
        expect(output).toMatch(new RegExp(`${own}docket: the connection to Redis is back\r?\n[^\n]*░{24}`));
        expect(output).toMatch(/completed[^\n]*\n$/);
        expect(code).toBe(0);
      });
    },
  );
});

/** Hears of every command the server gets, until the test is over. */
async function commandsOf(url: string): Promise<() => (readonly string[])[]> {
  const seen: (readonly string[])[] = [];
  await monitor(url, ({ args }) => void seen.push(args));
  return () => seen;
}
