/** `docket-worker` as an operator meets it: its flags and variables, its lines and exit codes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { type Command, type Fleet, fixture, openFleet, startCommand, TASKS } from '../support/fleet.js';
import { monitor } from '../support/monitor.js';
import { takeNotes } from '../support/notes.js';
import { runDocketWorker } from '../support/shell.js';
import { describeOnOwnRedis, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const FALLBACK = fixture('fallback.js');
const NOWHERE = 'redis://127.0.0.1:1';

/** Runs the executable in a process of its own, to its end. */
async function spawnToEnd(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Command & { code: number | null }> {
  const command = startCommand(args, env);
  onTestFinished(() => void command.process.kill('SIGKILL'));
  return { ...command, code: (await command.ended).code };
}

/** Runs the command in this process, to its end: for what ends before a worker is ready. */
async function run(args: readonly string[], env: Record<string, string> = {}) {
  const { code, output, errors } = await runDocketWorker(args, env);
  const lines = (text: string) => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));
  return { code, output: lines(output), errors: lines(errors) };
}

test('--help names every flag and variable, and the exit codes', async () => {
  const { code, output, errors } = await run(['--help']);
  const text = output.join('\n');
  for (const [flag, variable] of FLAGS) {
    expect(text).toContain(flag);
    expect(text).toContain(variable);
  }
  expect(text).toContain('--until-finished');
  expect(text).toContain('--no-schedule-automatic-tasks');
  expect(text).toMatch(/0 drained or finished, 1 failed, 2 wrong usage/);
  expect([code, errors]).toEqual([0, []]);
});

test('--version says the version of the package', async () => {
  const { code, output } = await run(['--version']);
  expect(output).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/)]);
  expect(code).toBe(0);
});

test('the executable ends silently when its reader closes the pipe', async () => {
  const command = startCommand(['--help']);
  command.process.stdout!.destroy();
  expect([await command.ended, command.errors]).toEqual([{ code: 141, signal: null }, []]);
});

test('the executable passes on arguments, variables, both streams and the exit code', async () => {
  const [version, wrong, broken, down] = await Promise.all([
    spawnToEnd(['--version']),
    spawnToEnd([], { DOCKET_URL: NOWHERE, DOCKET_WORKER_THREADS: 'many' }),
    spawnToEnd(['--url', 'memory://cli', '--tasks', fixture('throws.js'), '--threads', '1']),
    spawnToEnd(['--url', 'redis://app:geheim@127.0.0.1:1', '--connect-timeout', '3s', '--logging-level', 'error']),
  ]);
  expect(version).toMatchObject({ code: 0, output: [expect.stringMatching(/^\d+\.\d+\.\d+/)], errors: [] });
  expect(wrong).toMatchObject({ code: 2, output: [], errors: [expect.stringContaining('DOCKET_WORKER_THREADS')] });
  expect([broken.code, broken.output]).toEqual([1, []]);
  expect(broken.errors.join('\n')).toMatch(/^docket-worker: task module .*\nTypeError: the module is broken\n\s+at /m);
  expect([down.code, down.output, down.errors]).toEqual([1, [], [UNREACHABLE]]);
});

const UNREACHABLE =
  'docket-worker: cannot use Redis at redis://app:***@127.0.0.1:1: the connection was refused: nothing listens there';

const FLAGS = [
  ['--url', 'DOCKET_URL'],
  ['--docket', 'DOCKET_NAME'],
  ['--tasks', 'DOCKET_TASKS'],
  ['--name', 'DOCKET_WORKER_NAME'],
  ['--threads', 'DOCKET_WORKER_THREADS'],
  ['--concurrency', 'DOCKET_WORKER_CONCURRENCY'],
  ['--partitions', 'DOCKET_WORKER_PARTITIONS'],
  ['--redelivery-timeout', 'DOCKET_WORKER_REDELIVERY_TIMEOUT'],
  ['--connect-timeout', 'DOCKET_WORKER_CONNECT_TIMEOUT'],
  ['--minimum-check-interval', 'DOCKET_WORKER_MINIMUM_CHECK_INTERVAL'],
  ['--scheduling-resolution', 'DOCKET_WORKER_SCHEDULING_RESOLUTION'],
  ['--drain-timeout', 'DOCKET_WORKER_DRAIN_TIMEOUT'],
  ['--abort-grace', 'DOCKET_WORKER_ABORT_GRACE'],
  ['--max-deliveries', 'DOCKET_WORKER_MAX_DELIVERIES'],
  ['--failure-ttl', 'DOCKET_WORKER_FAILURE_TTL'],
  ['--max-failures', 'DOCKET_WORKER_MAX_FAILURES'],
  ['--max-failure-bytes', 'DOCKET_WORKER_MAX_FAILURE_BYTES'],
  ['--fallback', 'DOCKET_FALLBACK_TASK'],
  ['--reconnection-delay', 'DOCKET_WORKER_RECONNECTION_DELAY'],
  ['--max-tasks-per-thread', 'DOCKET_WORKER_MAX_TASKS_PER_THREAD'],
  ['--max-thread-memory', 'DOCKET_WORKER_MAX_THREAD_MEMORY'],
  ['--healthcheck-port', 'DOCKET_WORKER_HEALTHCHECK_PORT'],
  ['--metrics-port', 'DOCKET_WORKER_METRICS_PORT'],
  ['--http-host', 'DOCKET_WORKER_HTTP_HOST'],
  ['--logging-level', 'DOCKET_LOGGING_LEVEL'],
  ['--logging-format', 'DOCKET_LOGGING_FORMAT'],
] as const;

test.each<[string, string[], RegExp]>([
  ['an unknown flag', ['--frobnicate', '2'], /unknown option '--frobnicate'/],
  ['an empty name of a docket', ['--docket', ''], /--docket: it is empty/],
  ['an argument too many', ['extra'], /too many arguments/],
  ['a flag without its value', ['--threads'], /argument missing/],
  [
    'threads that are no number',
    ['--threads', 'two'],
    /--threads.*'two' is invalid. Expected a whole number of 0 or more/,
  ],
  ['threads below zero', ['--threads=-1'], /--threads.*'-1' is invalid. Expected a whole number of 0 or more/],
  ['no concurrency at all', ['--concurrency', '0'], /--concurrency: expected a whole number >= 1/],
  ['partitions that are no numbers', ['--partitions', '0,x'], /--partitions.*give numbers of partitions/],
  ['a partition that no docket has', ['--partitions', '256'], /--partitions: expected numbers of partitions, 0 to 255/],
  ['a duration without a unit', ['--drain-timeout', '30'], /--drain-timeout.*did you mean 30s\?/],
  ['something else for a duration', ['--redelivery-timeout', 'soon'], /--redelivery-timeout.*'soon' is not a duration/],
  ['a lease that is too short', ['--redelivery-timeout', '1ms'], /--redelivery-timeout: expected .* >= 100/],
  ['a grace without a unit', ['--abort-grace', '5'], /--abort-grace.*did you mean 5s\?/],
  ['no delivery at all', ['--max-deliveries', '0'], /--max-deliveries: expected a whole number >= 1/],
  [
    'deliveries that are no number',
    ['--max-deliveries', 'two'],
    /--max-deliveries.*'two' is invalid. Expected a whole number of 0 or more/,
  ],
  ['a port that is none', ['--metrics-port', '65536'], /--metrics-port: expected a port, 0 to 65535, got 65536/],
  [
    'a port that is no number',
    ['--healthcheck-port', 'http'],
    /--healthcheck-port.*'http' is invalid. Expected a whole number of 0 or more/,
  ],
  ['no address to listen on', ['--http-host', ''], /--http-host: expected an address/],
  ['a fallback without its value', ['--fallback'], /argument missing/],
  ['a level that is none', ['--logging-level', 'loud'], /--logging-level.*Allowed choices are/],
  ['a format that is none', ['--logging-format', 'xml'], /--logging-format.*Allowed choices are/],
  ['a name that is none', ['--docket', 'a b'], /--docket: a docket's name has letters/],
  ['a URL of no known kind', ['--url', 'http://:geheim@host'], /--url: .*unknown scheme/],
])('wrong usage is reported in one line, with exit code 2: %s', async (_, args, message) => {
  const { code, errors, output } = await run(args, { DOCKET_URL: NOWHERE });
  expect(errors.filter((line) => line !== '')).toEqual([expect.stringMatching(message)]);
  expect(errors.join()).not.toContain('geheim');
  expect([code, output]).toEqual([2, []]);
});

test('a variable with a wrong value is named in the error', async () => {
  const { code, errors } = await run([], { DOCKET_URL: NOWHERE, DOCKET_WORKER_THREADS: 'many' });
  expect(errors).toEqual([expect.stringContaining('DOCKET_WORKER_THREADS')]);
  expect(code).toBe(2);
});

test.each<[string, string, RegExp]>([
  ['that is broken', fixture('throws.js'), /throws\.js': failed to load: TypeError: the module is broken$/],
  ['that is missing', './missing.js', /missing\.js': there is no file/],
  ['without the export', `${TASKS}:nonesuch`, /has no export 'nonesuch'; it exports /],
  ['without tasks', fixture('empty.js'), /has no tasks: export them as 'tasks'/],
])('a module %s is reported in the first line', async (_, module, message) => {
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

test.each<[string, string, RegExp]>([
  ['that is missing', './missing.js:fallback', /missing\.js:fallback': there is no file/],
  ['without the export', `${FALLBACK}:nonesuch`, /has no export 'nonesuch'; it exports fallback/],
  ['that is no task', `${FALLBACK}:noTask`, /the fallback must be a task, but 'noTask' is not one/],
])('a fallback %s is reported in one line', async (_, fallback, message) => {
  const flags = ['--url', 'memory://cli', '--threads', '1', '--logging-level', 'error'];
  const { code, errors } = await run([...flags, '--fallback', fallback]);
  expect(errors).toEqual([expect.stringMatching(message)]);
  expect(errors[0]).toMatch(/^docket-worker: task module '/);
  expect(code).toBe(1);
});

test('the stack of a broken module follows the first line', async () => {
  const flags = ['--url', 'memory://cli', '--threads', '1', '--logging-level', 'error'];
  const { errors } = await run([...flags, '--tasks', fixture('throws.js')]);
  expect(errors.slice(1).join('\n')).toMatch(/TypeError: the module is broken\n\s+at .*throws\.js:1/);
});

describeOnOwnRedis('a Redis that asks for a password', (redis) => {
  test('and gets a wrong one is reported in one line, without either password', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(() => closeConnection(admin));
    await admin.config('SET', 'requirepass', 'richtig');
    const url = `unix://:geheim@${redis().socket}`;
    const { code, errors, output } = await run(['--url', url, '--logging-level', 'debug']);
    expect(errors).toEqual([
      expect.stringMatching(/^docket-worker: cannot use Redis at .*wrong user name or password/),
    ]);
    expect([...errors, ...output].join('\n')).not.toMatch(/geheim|richtig/);
    expect(code).toBe(1);
  });
});

describeOnRedis('docket-worker:', (url) => {
  const values = {
    '--name': 'erna',
    '--threads': '1',
    '--concurrency': '3',
    '--redelivery-timeout': '7s',
    '--minimum-check-interval': '777ms',
    '--scheduling-resolution': '50ms',
    '--drain-timeout': '00:02',
  } as const;

  /** Other values of those that are no durations. */
  const OTHERS: Readonly<Record<string, string>> = { '--name': 'otto', '--threads': '2', '--concurrency': '7' };

  /** What the worker does with its settings, seen from outside. */
  async function expectSettings(fleet: Fleet, command: Command): Promise<void> {
    await command.ready();
    const ready = command.lines.find(({ message }) => message.endsWith('is ready'))!;
    expect(ready.message).toBe('worker erna is ready');
    expect(ready.fields).toMatchObject({ docket: fleet.name, threads: 1, concurrency: 3 });
    expect(ready.fields.tasks).toEqual(expect.arrayContaining(['counted', 'large']));
    const consumer = await waitFor(async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '-1'))[0]);
    expect(await fleet.redis.hget(fleet.key(`worker:${consumer}`), 'lease')).toBe('7000');

    const seen: (readonly string[])[] = [];
    await monitor(url(), ({ args }) => void seen.push(args));
    const moves = () => seen.filter((args) => args.includes(fleet.key('schedule'))).length;
    await waitFor(() => moves() >= 8); // with the default of 2 s it took 16
    await waitFor(() => seen.some((args) => args.includes('BLOCK') && args[args.indexOf('BLOCK') + 1] === '777'));

    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k' });
    await fleet.step('start k 1');
    command.process.kill('SIGTERM');
    await Promise.race([command.ended, waitFor(() => false, { timeoutMs: 10_000 })]); // 5 times its drain timeout
    expect(await command.ended).toEqual({ code: 0, signal: null });
    fleet.leavesWork();
  }

  const variable = new Map<string, string>(FLAGS);

  test('every flag reaches the worker, whatever its variable says', async () => {
    const fleet = await openFleet(url());
    const others = Object.fromEntries(Object.keys(values).map((flag) => [variable.get(flag)!, OTHERS[flag] ?? '1h']));
    const flags = [...Object.entries(values).flat(), '--tasks', TASKS, fixture('results.js')];
    const command = fleet.command(flags, others); // which a flag comes before
    await expectSettings(fleet, command);
  });

  test('every variable reaches the worker', async () => {
    const fleet = await openFleet(url());
    const env = Object.fromEntries(Object.entries(values).map(([flag, value]) => [variable.get(flag)!, value]));
    const command = startCommand([], {
      ...env,
      DOCKET_URL: url(),
      DOCKET_NAME: fleet.name,
      DOCKET_TASKS: `${TASKS},${fixture('results.js')}`,
      DOCKET_LOGGING_FORMAT: 'json',
      DOCKET_LOGGING_LEVEL: 'debug',
    });
    onTestFinished(() => void command.process.kill('SIGKILL'));
    await expectSettings(fleet, command);
  });

  test('the fallback runs tasks that no module has', async () => {
    const fleet = await openFleet(url());
    const notes = takeNotes();
    const execution = await fleet.docket.add('elsewhere', { file: notes.file, fails: true }, { key: 'k' });
    const env = { DOCKET_FALLBACK_TASK: `${FALLBACK}:fallback` };
    const command = fleet.command(['--threads', '1', '--until-finished'], env);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    await expect(execution.result()).rejects.toThrow('nobody knows elsewhere');
    expect(notes.of('forward')).toEqual(['elsewhere k 1', 'elsewhere k 2']);
  });

  test('the grace bounds a task that does not end, and the deliveries how often one may end its thread', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--threads', '1', '--abort-grace', '100ms', '--max-deliveries', '2']);
    const bad = await docket.add('exits', { probe }, { key: 'bad' });
    await expect(bad.result()).rejects.toMatchObject({ name: 'PoisonedError', charges: 2 });
    expect(await fleet.counts()).toEqual({ bad: 2 });

    const stubborn = await docket.add('patient', { probe, how: 'stubborn' }, { key: 'k' });
    await fleet.step('waits k');
    const began = performance.now();
    await docket.cancel('k');
    await expect(stubborn.result()).rejects.toMatchObject({ code: 'DOCKET_EXECUTION_CANCELLED' });
    expect(performance.now() - began).toBeLessThan(15_000);
    const ended = await waitFor(() => command.lines.find(({ message }) => message.includes('did not stop')));
    expect(ended).toMatchObject({ level: 'warn', fields: { key: 'k' } });
  });

  test('a long grace is granted in full', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--threads', '1', '--abort-grace', '1m']);
    const stubborn = await docket.add('hold', { probe }, { key: 'k' });
    await fleet.step('start k 1');
    const cancelledMs = performance.now();
    await docket.cancel('k');
    await waitFor(() => performance.now() - cancelledMs > 1_500); // more than the default and the time to look
    await stubborn.sync();
    expect(stubborn.state).toBe('running');
    expect(command.lines.filter(({ message }) => message.includes('did not stop'))).toEqual([]);
    fleet.leavesWork();
  });

  test('automatic tasks are scheduled, unless that is left to others', async () => {
    const fleet = await openFleet(url());
    const args = ['--threads', '1', '--tasks', `${fixture('chains.js')}:sweeping`];
    const env = { CHAINS_PROBE: JSON.stringify(fleet.probe) };
    const without = fleet.command([...args, '--no-schedule-automatic-tasks', '--until-finished'], env);
    expect(await without.ended).toEqual({ code: 0, signal: null }); // which it would not with a chain
    expect(await fleet.docket.getExecution('sweep')).toBeNull();

    const command = fleet.command([...args, '--schedule-automatic-tasks'], env);
    await waitFor(async () => (await fleet.steps()).length === 1);
    await waitFor(async () => (await fleet.docket.getExecution('sweep'))?.state === 'scheduled');
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 0, signal: null });
    await fleet.docket.cancel('sweep');
    fleet.leavesWork(); // that an automatic task was ended is kept
  });

  test('its log names the tasks that it was given, and says so when there are none', async () => {
    const fleet = await openFleet(url());
    const given = fleet.command(['--threads', '1', '--until-finished']);
    expect(await given.ended).toEqual({ code: 0, signal: null });
    const ready = given.lines.find(({ message }) => message.endsWith('is ready'))!;
    const names = ready.fields.tasks as string[];
    expect(names).toContain('counted');
    expect(names).not.toContain('trace');
    const described = given.lines.filter(({ message }) => message.startsWith('task '));
    expect(described.map(({ fields }) => fields.task)).toEqual(names);
    expect(given.lines.filter(({ message }) => message.includes('built-in'))).toEqual([]);

    const bare = await spawnToEnd(['--url', url(), '--docket', fleet.name, '--threads', '1', '--until-finished']);
    expect(bare.errors.join('\n')).toContain('it has the built-in tasks only: --tasks names modules with yours');
    expect(bare.errors.join('\n')).not.toContain('task trace');
  });

  test('without a name it is named after host and process', async () => {
    const fleet = await openFleet(url());
    const command = fleet.command(['--threads', '0']);
    await command.ready();
    const name = `${hostname()}#${command.process.pid}`;
    expect(command.lines.some(({ message }) => message === `worker ${name} is ready`)).toBe(true);
  });

  test('the format and the least level of log lines are kept', async () => {
    const fleet = await openFleet(url());
    const common = ['--url', url(), '--docket', fleet.name, '--threads', '0', '--until-finished'];
    const plain = await spawnToEnd([...common, '--logging-format', 'plain']);
    expect(plain.errors.join('\n')).toMatch(/^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] INFO.*is ready/m);
    expect(plain.errors.join('\n')).not.toContain('\u001b[');
    const pretty = await spawnToEnd([...common, '--logging-format', 'pretty']);
    expect(pretty.errors.join('\n')).toContain('\u001b[');
    const quiet = await spawnToEnd([...common, '--logging-level', 'warn']);
    expect(quiet.errors).toEqual([]);
    expect([plain.code, pretty.code, quiet.code]).toEqual([0, 0, 0]);
  });

  test('--until-finished runs what another process has added, and ends', async () => {
    const fleet = await openFleet(url());
    const args = [url(), fleet.name, 'counted', '50', JSON.stringify({ probe: fleet.probe })];
    const producer = spawn(process.execPath, [fixture('producer.js'), ...args], { stdio: 'inherit' });
    expect(await once(producer, 'exit')).toEqual([0, null]);
    const command = fleet.command(['--threads', '2', '--until-finished']);
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(await fleet.counts()).toEqual(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, 1])));
  });

  test('10,000 tasks run once each', async () => {
    const fleet = await openFleet(url(), { executionTtl: 0 });
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

  test('a signal that comes twice at once counts once, and an empty variable not at all', async () => {
    const fleet = await openFleet(url());
    const command = fleet.command(['--threads', '0'], { DOCKET_WORKER_CONCURRENCY: '', DOCKET_FALLBACK_TASK: '' });
    await command.ready();
    command.process.kill('SIGTERM');
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 0, signal: null });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s drains the worker, and the exit code is 0', async (signal) => {
    const fleet = await openFleet(url());
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
  ] as const)('a second %s ends the worker at once with %i, and its work runs elsewhere', async (signal, code) => {
    const fleet = await openFleet(url());
    const lease = ['--redelivery-timeout', '300ms', '--minimum-check-interval', '20s'];
    const command = fleet.command(['--threads', '1', '--concurrency', '2', '--name', 'w', ...lease]);
    const held = await fleet.docket.add('whoEnds', { probe: fleet.probe }, { key: 'k' });
    await waitFor(async () => (await fleet.steps()).length === 1);
    await waitFor(() => isReading(fleet));
    command.process.kill(signal);
    await waitFor(async () => !(await isReading(fleet))); // it drains
    const drainsMs = performance.now();
    await waitFor(() => performance.now() - drainsMs > 100); // sooner it would be the same signal
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
