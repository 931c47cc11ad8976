/** `docket-worker` as an operator meets it: the real executable, its flags and variables, its lines and exit codes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { type Command, type Fleet, fixture, openFleet, startCommand, TASKS } from '../support/fleet.js';
import { describeOnRedis } from '../support/real-redis.js';
import { waitFor } from '../support/wait.js';

const NOWHERE = 'redis://127.0.0.1:1';

/** Runs the executable to its end. */
async function run(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Command & { code: number | null }> {
  const command = startCommand(args, env);
  onTestFinished(() => void command.process.kill('SIGKILL'));
  return { ...command, code: (await command.ended).code };
}

test('--help names every flag and variable, and the exit codes', async () => {
  const { code, output, errors } = await run(['--help']);
  const text = output.join('\n');
  for (const [flag, variable] of FLAGS) {
    expect(text).toContain(flag);
    expect(text).toContain(variable);
  }
  expect(text).toContain('--until-finished');
  expect(text).toMatch(/0 drained or finished, 1 failed, 2 wrong usage/);
  expect([code, errors]).toEqual([0, []]);
});

test('--version says the version of the package', async () => {
  const { code, output } = await run(['--version']);
  expect(output).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/)]);
  expect(code).toBe(0);
});

const FLAGS = [
  ['--url', 'DOCKET_URL'],
  ['--docket', 'DOCKET_NAME'],
  ['--tasks', 'DOCKET_TASKS'],
  ['--name', 'DOCKET_WORKER_NAME'],
  ['--threads', 'DOCKET_WORKER_THREADS'],
  ['--concurrency', 'DOCKET_WORKER_CONCURRENCY'],
  ['--redelivery-timeout', 'DOCKET_WORKER_REDELIVERY_TIMEOUT'],
  ['--minimum-check-interval', 'DOCKET_WORKER_MINIMUM_CHECK_INTERVAL'],
  ['--scheduling-resolution', 'DOCKET_WORKER_SCHEDULING_RESOLUTION'],
  ['--drain-timeout', 'DOCKET_WORKER_DRAIN_TIMEOUT'],
  ['--logging-level', 'DOCKET_LOGGING_LEVEL'],
  ['--logging-format', 'DOCKET_LOGGING_FORMAT'],
] as const;

test.each<[string, string[], RegExp]>([
  ['an unknown flag', ['--frobnicate', '2'], /unknown option '--frobnicate'/],
  ['an argument too many', ['extra'], /too many arguments/],
  ['a flag without its value', ['--threads'], /argument missing/],
  ['threads that are no number', ['--threads', 'two'], /--threads.*'two' is not a whole number/],
  ['threads below zero', ['--threads=-1'], /--threads.*'-1' is not a whole number/],
  ['no concurrency at all', ['--concurrency', '0'], /concurrency: expected a whole number >= 1/],
  ['a duration without a unit', ['--drain-timeout', '30'], /--drain-timeout.*did you mean 30s\?/],
  ['something else for a duration', ['--redelivery-timeout', 'soon'], /--redelivery-timeout.*'soon' is not a duration/],
  ['a lease that is too short', ['--redelivery-timeout', '1ms'], /redeliveryTimeout: expected .* >= 100/],
  ['a level that is none', ['--logging-level', 'loud'], /--logging-level.*Allowed choices are/],
  ['a format that is none', ['--logging-format', 'xml'], /--logging-format.*Allowed choices are/],
  ['a name that is none', ['--docket', 'a b'], /name: a docket's name has letters/],
  ['a URL of no known kind', ['--url', 'http://:geheim@host'], /url: .*unknown scheme/],
])('%s is wrong usage: exit code 2 and one line', async (_, args, message) => {
  const { code, errors, output } = await run(args, { DOCKET_URL: NOWHERE });
  expect(errors.filter((line) => line !== '')).toEqual([expect.stringMatching(message)]);
  expect(errors.join()).not.toContain('geheim');
  expect([code, output]).toEqual([2, []]);
});

test('a variable that cannot be used is named like a flag', async () => {
  const { code, errors } = await run([], { DOCKET_URL: NOWHERE, DOCKET_WORKER_THREADS: 'many' });
  expect(errors).toEqual([expect.stringContaining('DOCKET_WORKER_THREADS')]);
  expect(code).toBe(2);
});

test.each<[string, string, RegExp]>([
  ['that is broken', fixture('throws.js'), /throws\.js': failed to load: TypeError: the module is broken$/],
  ['that is missing', './missing.js', /missing\.js': there is no file/],
  ['without the export', `${TASKS}:nonesuch`, /has no export 'nonesuch', it exports /],
  ['without tasks', fixture('empty.js'), /has no tasks: export them as 'tasks'/],
])('a module %s is said in the first line', async (_, module, message) => {
  const { code, errors } = await run([
    '--url',
    'memory://cli',
    '--tasks',
    module,
    '--threads',
    '1',
    '--logging-level',
    'error',
  ]);
  expect(errors[0]).toMatch(/^docket-worker: task module '/);
  expect(errors[0]).toMatch(message);
  expect(code).toBe(1);
});

test("a broken module's own stack follows", async () => {
  const { errors } = await run(['--url', 'memory://cli', '--tasks', fixture('throws.js'), '--threads', '1']);
  expect(errors.slice(1).join('\n')).toMatch(/TypeError: the module is broken\n\s+at .*throws\.js:1/);
});

test('a Redis that cannot be reached is one line, without the password', async () => {
  const { code, errors } = await run(['--url', 'redis://app:geheim@127.0.0.1:1']);
  expect(errors).toEqual([
    'docket-worker: cannot use Redis at redis://app:***@127.0.0.1:1: the connection was refused: nothing listens there',
  ]);
  expect(code).toBe(1);
});

describeOnRedis('docket-worker', (redis) => {
  test('a wrong password is one line, and stands nowhere', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(async () => {
      await admin.config('SET', 'requirepass', '');
      await closeConnection(admin);
    });
    await admin.config('SET', 'requirepass', 'richtig');
    const url = `unix://:geheim@${redis().socket}`;
    const { code, errors, output } = await run(['--url', url, '--logging-level', 'debug']);
    expect(errors).toEqual([
      expect.stringMatching(/^docket-worker: cannot use Redis at .*wrong user name or password/),
    ]);
    expect([...errors, ...output].join('\n')).not.toMatch(/geheim|richtig/);
    expect(code).toBe(1);
  });

  const values = {
    '--name': 'erna',
    '--threads': '1',
    '--concurrency': '3',
    '--redelivery-timeout': '7s',
    '--minimum-check-interval': '777ms',
    '--scheduling-resolution': '50ms',
    '--drain-timeout': '00:02',
  } as const;

  /** What the worker does with its settings, seen from outside. */
  async function expectSettings(fleet: Fleet, command: Command): Promise<void> {
    await command.ready();
    const ready = command.lines.find(({ message }) => message.endsWith('is ready'))!;
    expect(ready.message).toBe('worker erna is ready');
    expect(ready.fields).toMatchObject({ docket: fleet.name, threads: 1, concurrency: 3 });
    expect(ready.fields.tasks).toEqual(expect.arrayContaining(['counted', 'large']));
    const consumer = await waitFor(async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '-1'))[0]);
    expect(await fleet.redis.hget(fleet.key(`worker:${consumer}`), 'lease')).toBe('7000');

    const monitor = await (await openConnection(redis().url, 'producer')).monitor();
    const seen: string[][] = [];
    monitor.on('monitor', (_time: string, args: string[]) => void seen.push(args));
    onTestFinished(() => void monitor.disconnect());
    const moves = () => seen.filter((args) => args.includes(fleet.key('schedule'))).length;
    await waitFor(() => moves() >= 8); // with the default of 2 s it took 16
    await waitFor(() => seen.some((args) => args.includes('BLOCK') && args[args.indexOf('BLOCK') + 1] === '777'));

    await fleet.docket.add('patient', { probe: fleet.probe, how: 'stubborn' }, { key: 'k' });
    await fleet.step('waits k');
    command.process.kill('SIGTERM');
    await Promise.race([command.ended, waitFor(() => false)]); // 10 s are 5 times its drain timeout
    expect(await command.ended).toEqual({ code: 0, signal: null });
    fleet.leavesWork();
  }

  test('every flag reaches the worker', async () => {
    const fleet = await openFleet(redis().url);
    const command = fleet.command([...Object.entries(values).flat(), '--tasks', TASKS, fixture('results.js')]);
    await expectSettings(fleet, command);
  });

  test('every variable reaches the worker', async () => {
    const fleet = await openFleet(redis().url);
    const variable = new Map<string, string>(FLAGS);
    const env = Object.fromEntries(Object.entries(values).map(([flag, value]) => [variable.get(flag)!, value]));
    const command = startCommand([], {
      ...env,
      DOCKET_URL: redis().url,
      DOCKET_NAME: fleet.name,
      DOCKET_TASKS: `${TASKS},${fixture('results.js')}`,
      DOCKET_LOGGING_FORMAT: 'json',
      DOCKET_LOGGING_LEVEL: 'debug',
    });
    onTestFinished(() => void command.process.kill('SIGKILL'));
    await expectSettings(fleet, command);
  });

  test('a flag comes before its variable', async () => {
    const fleet = await openFleet(redis().url);
    const command = fleet.command(['--name', 'flag', '--threads', '1'], { DOCKET_WORKER_NAME: 'variable' });
    await command.ready();
    expect(command.lines.some(({ message }) => message === 'worker flag is ready')).toBe(true);
  });

  test('without a name it is called by host and process', async () => {
    const fleet = await openFleet(redis().url);
    const command = fleet.command(['--threads', '1']);
    await command.ready();
    const name = `${hostname()}#${command.process.pid}`;
    expect(command.lines.some(({ message }) => message === `worker ${name} is ready`)).toBe(true);
  });

  test('the least level is kept to, and plain lines have no colours', async () => {
    const fleet = await openFleet(redis().url);
    const common = ['--url', redis().url, '--docket', fleet.name, '--threads', '1', '--until-finished'];
    const plain = await run([...common, '--logging-format', 'plain']);
    expect(plain.errors.join('\n')).toMatch(/INFO.*is ready/);
    expect(plain.errors.join('\n')).not.toContain('\u001b[');
    const pretty = await run([...common, '--logging-format', 'pretty']);
    expect(pretty.errors.join('\n')).toContain('\u001b[');
    const quiet = await run([...common, '--logging-level', 'warn']);
    expect(quiet.errors).toEqual([]);
    expect([plain.code, pretty.code, quiet.code]).toEqual([0, 0, 0]);
  });

  test('--until-finished runs what another process has added, and ends', async () => {
    const fleet = await openFleet(redis().url);
    const args = [redis().url, fleet.name, 'counted', '50', JSON.stringify({ probe: fleet.probe })];
    const producer = spawn(process.execPath, [fixture('producer.js'), ...args], { stdio: 'inherit' });
    expect(await once(producer, 'exit')).toEqual([0, null]);
    const command = fleet.command(['--threads', '2', '--until-finished']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(await fleet.counts()).toEqual(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 1])));
  });

  test('10,000 tasks run once each', async () => {
    const fleet = await openFleet(redis().url, { executionTtl: 0 });
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
    const { probe } = fleet;
    await Promise.all(keys.map((key) => fleet.docket.add('counted', { probe }, { key })));
    const command = fleet.command(['--threads', '2', '--concurrency', '64', '--until-finished']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    const counts = await fleet.counts();
    expect(Object.keys(counts)).toHaveLength(10_000);
    expect(Object.entries(counts).filter(([, count]) => count !== 1)).toEqual([]);
    expect(command.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s drains: what runs ends, and the exit code is 0', async (signal) => {
    const fleet = await openFleet(redis().url);
    const command = fleet.command(['--threads', '1']);
    const held = await fleet.docket.add('hold', { probe: fleet.probe, value: 'done' }, { key: 'k' });
    await fleet.step('start k 1');
    command.process.kill(signal);
    await fleet.release();
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(await held.result()).toBe('done');
    expect(await fleet.consumers()).toEqual([]);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second %s ends it at once with %i, and what ran runs again elsewhere', async (signal, code) => {
    const fleet = await openFleet(redis().url);
    const lease = ['--redelivery-timeout', '300ms', '--minimum-check-interval', '20s'];
    const command = fleet.command(['--threads', '1', '--concurrency', '2', '--name', 'w', ...lease]);
    const held = await fleet.docket.add('whoEnds', { probe: fleet.probe }, { key: 'k' });
    await waitFor(async () => (await fleet.steps()).length === 1, { timeoutMs: 20_000 });
    await waitFor(() => isReading(fleet));
    command.process.kill(signal);
    await waitFor(async () => !(await isReading(fleet))); // it drains
    command.process.kill(signal);
    expect(await command.ended).toEqual({ code, signal: null });
    expect(await fleet.pending()).toBe(1);
    await fleet.release();
    const { worker } = await fleet.worker({ redeliveryTimeout: '300ms' });
    expect(await held.result()).toEqual({ worker: worker.name, redelivered: true });
  });
});

/** Whether the worker `w` blocks on the streams for more work. */
async function isReading(fleet: Fleet): Promise<boolean> {
  const clients = String(await fleet.redis.call('CLIENT', 'LIST'));
  return clients.split('\n').some((line) => / name=docket:blocking:w .* flags=b/.test(line));
}
