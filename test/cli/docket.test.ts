/** `docket` as an operator meets it: its commands, its one line for each mistake, its exit codes. */
import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import {
  type Finished,
  finished,
  hasTerminal,
  runDocket,
  spawnDocket,
  startDocket,
  startOnTerminal,
} from '../support/shell.js';
import { describeOnOwnRedis, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const NOWHERE = 'redis://app:geheim@127.0.0.1:1';
const ONE_LINE = /^[^\n]+\n$/;

const COMMANDS = [
  'worker',
  'add',
  'watch',
  'snapshot',
  'show',
  'ls',
  'limits',
  'top',
  'stats',
  'workers',
  'strike',
  'restore',
  'strikes',
  'pause',
  'resume',
  'pauses',
  'schedules',
  'cancel',
  'failures',
  'clear',
  'partitions',
  'tasks',
  'doctor',
  'dashboard',
  'version',
];

/** `tasks` has it at each of its commands. */
const WITHOUT_JSON = ['worker', 'tasks', 'dashboard'];

test('--help names every command, the common flags with their variables, and the exit codes', async () => {
  const { code, output, errors } = await runDocket(['--help']);
  for (const command of COMMANDS) expect(output).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  for (const word of ['--url', 'DOCKET_URL', '--docket', 'DOCKET_NAME', '250ms, 30s']) expect(output).toContain(word);
  expect([code, errors]).toEqual([0, '']);
});

test('the help of each command says what it does and lists its exit codes', async () => {
  for (const command of COMMANDS) {
    const { code, output, errors } = await runDocket([command, '--help']);
    expect(output).toContain(`Usage: docket ${command}`);
    expect(output).toMatch(/Exit\s+codes: 0/);
    expect([code, errors]).toEqual([0, '']);
    if (!WITHOUT_JSON.includes(command)) expect(output).toContain('--json');
  }
});

test('the executable passes on arguments, variables, both streams and the exit code', async () => {
  const [version, worker, wrong] = await Promise.all([
    spawnDocket(['version']),
    spawnDocket(['worker', '--url', NOWHERE, '--connect-timeout', '3s', '--logging-level', 'error']),
    spawnDocket(['snapshot', '--limit', 'all'], { DOCKET_URL: NOWHERE }),
  ]);
  expect(version).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), errors: '' });
  const unreachable = expect.stringMatching(/^docket worker: cannot use Redis at .*\*\*\*@[^\n]*\n$/);
  expect(worker).toEqual({ code: 1, output: '', errors: unreachable });
  expect(wrong).toEqual({ code: 2, output: '', errors: expect.stringMatching(/^docket: [^\n]*--limit[^\n]*\n$/) });
});

test('the version is that of the package', async () => {
  const ends = ['version', '--version', 'version --json'].map((line) => runDocket(line.split(' ')));
  const [said, flag, json] = await Promise.all(ends);
  expect(said).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), errors: '' });
  expect(flag).toEqual(said);
  expect(JSON.parse(json!.output)).toEqual({ version: said!.output.trim() });
});

test.each<[string, string[], RegExp]>([
  ['no command', [], /no command was given, see docket --help/],
  ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
  ['a group without its command', ['tasks'], /no command was given, see docket tasks --help/],
  ['an unknown command of a group', ['tasks', 'frobnicate'], /unknown command 'frobnicate', see docket tasks/],
  ['an unknown command of a group that lists', ['workers', 'frob'], /unknown command 'frob', see docket workers/],
  ['an unknown flag', ['snapshot', '--frobnicate'], /unknown option '--frobnicate'/],
  ['a flag that is nearly right', ['snapshot', '--taks'], /unknown option '--taks' \(Did you mean --tasks\?\)/],
  ['an unknown flag of the worker', ['worker', '--frobnicate'], /unknown option '--frobnicate'/],
  ['a flag without its value', ['snapshot', '--url'], /argument missing/],
  ['an argument too few', ['watch'], /missing required argument 'key'/],
  ['an argument too many', ['watch', 'a', 'b'], /too many arguments/],
  ['arguments that are no JSON', ['add', 'hello', '{"a"'], /json: it is not JSON/],
  ['arguments that are no object', ['add', 'hello', '[1]'], /json: a task takes one object/],
  ['arguments on several lines', ['add', 'hello', '{\n"a"\n'], /json: it is not JSON/],
  ['a time without a unit', ['add', 'hello', '--when', '30'], /--when.*did you mean 30s\?/],
  [
    'a time that is none',
    ['add', 'hello', '--when', 'soon'],
    /--when: 'soon' is not a duration such as .*, nor a date such as 2030-/,
  ],
  [
    'a priority that is none',
    ['add', 'hello', '--priority', 'urgent'],
    /--priority: expected 'high', 'normal' or 'low', got 'urgent'/,
  ],
  ['a date that is none', ['add', 'hello', '--when', '2030-13-45'], /--when.*'2030-13-45' is not a date/],
  ['a duration without a unit', ['tasks', 'sleep', '3'], /^docket: duration: '3' is not .* \(did you mean 3s\?\)$/m],
  ['an empty key', ['watch', ''], /: key: expected text that is not empty/],
  ['nothing to strike', ['strike'], /task: expected a task, a parameter or both/],
  ['nothing to restore', ['restore', '-'], /task: expected a task, a parameter or both, see docket restore --help/],
  ['a reason that is none', ['pause', 'a', '--reason', ' '], /reason: expected text that is not empty/],
  ['a reason to resume that is none', ['resume', '--reason', 'a\nb'], /reason: expected text without control/],
  ['an operator that is none', ['strike', 'a', 'b', 'like', 'c'], /operator: expected one of == !=/],
  ['half of a between', ['strike', 'a', 'b', 'between', '1'], /value: expected two values for between/],
  ['a value that is no scalar', ['strike', 'a', 'b', '==', '{}'], /value: expected a string, number/],
  ['a number that is not exact', ['strike', 'a', 'b', 'between', '[1,99999999999999999]'], /too large/],
  ['a limit that is too large', ['snapshot', '--limit', '5000'], /--limit: expected a whole number from 0 to 1000/],
  [
    'an empty key of a new execution',
    ['add', 'hello', '--force', '--key', ''],
    /--key: expected text that is not empty/,
  ],
  ['a limit that is none', ['snapshot', '--limit', 'all'], /--limit.*'all' is invalid. Expected a whole number/],
  ['nothing to cancel', ['cancel'], /keys: give keys, or --task, --state or --where, or --all/],
  [
    'keys and a filter',
    ['cancel', 'k', '--task', 'charge'],
    /keys: give either keys or flags that select executions, not both/,
  ],
  [
    'all and a filter',
    ['cancel', '--all', '--where', 'a=1'],
    /--all: it cannot be combined with --task, --state or --where/,
  ],
  [
    'a state to cancel that has ended',
    ['cancel', '--state', 'failed', '--yes'],
    /--state: expected scheduled, queued or/,
  ],
  ['an argument without its value', ['ls', '--where', 'customerId'], /--where: expected ARG=VALUE/],
  ['an argument that is given twice', ['ls', '--where', 'a=1', '--where', 'a=2'], /--where: 'a' was given twice/],
  ['an argument that is no scalar', ['ls', '--where', 'a={}'], /where\.a: expected a string, number/],
  ['a state that is none', ['ls', '--state', 'waiting'], /--state: expected one or more of scheduled/],
  ['no executions to list', ['ls', '--limit', '0'], /--limit: expected a whole number >= 1/],
  [
    'cancel by a filter where nobody can be asked',
    ['cancel', '--all'],
    /no terminal to ask for confirmation: pass --yes/,
  ],
  ['clear where nobody can be asked', ['clear'], /there is no terminal to ask for confirmation: pass --yes/],
  ['a name that is none', ['snapshot', '--docket', 'a b'], /--docket: a docket's name has letters/],
  ['an empty URL', ['snapshot', '--url', ''], /--url: it is empty/],
  ['an empty name', ['--docket=', 'version'], /--docket: it is empty/],
  ['an empty URL of a worker', ['worker', '--url', ''], /--url: it is empty/],
  ['a URL of no known kind', ['snapshot', '--url', 'http://:geheim@host'], /--url: .*unknown scheme/],
  ['a URL in the wrong place', ['redis://:geheim@host'], /unknown command 'redis:\/\/:\*\*\*@host'/],
  [
    'a URL in a wrong flag',
    ['snapshot', '--urll=redis://:ge heim@host'],
    /unknown option '--urll=redis:\/\/:\*\*\*@host'/,
  ],
  ['the embedded server', ['snapshot', '--url', 'memory://x'], /--url: memory:\/\/ is a server inside one process/],
])('wrong usage is reported in one line, with exit code 2: %s', async (_, args, message) => {
  const { code, output, errors } = await runDocket(args, { DOCKET_URL: NOWHERE });
  expect(errors).toMatch(ONE_LINE);
  expect(errors).toMatch(/^docket: /);
  expect(errors).toMatch(message);
  expect(errors).not.toMatch(/geheim|ge heim/);
  expect([code, output]).toEqual([2, '']);
});

const EACH: readonly string[][] = [
  ['add', 'hello'],
  ['watch', 'k'],
  ['snapshot'],
  ['workers'],
  ['workers', 'for-task', 'hello'],
  ['strike', 'hello'],
  ['restore', 'hello'],
  ['strikes'],
  ['pause', 'hello'],
  ['resume', 'hello'],
  ['pauses'],
  ['cancel', 'k'],
  ['cancel', '--all', '--yes'],
  ['show', 'k'],
  ['ls'],
  ['limits'],
  ['dashboard', '--port', '0'],
  ['clear', '--yes'],
  ['tasks', 'trace'],
];

test('each command reports a Redis that is down in one line, without the password, and exits with 1', async () => {
  const problem = `docket: cannot use Redis at redis://app:***@127.0.0.1:1: the connection was refused: nothing listens there\n`;
  const ends = await Promise.all(EACH.map((args) => runDocket([...args, '--url', NOWHERE])));
  for (const end of ends) expect(end).toEqual({ code: 1, output: '', errors: problem });
});

test('docket worker takes the embedded server, and the flags of docket-worker', async () => {
  const flags = ['--threads', '1', '--logging-format', 'json', '--until-finished'];
  const { code, errors } = await spawnDocket(['worker', '--url', 'memory://cli', '--docket', 'here', ...flags]);
  expect(errors).toMatch(/"docket":"here".* is ready/);
  expect(code).toBe(0);
});

describeOnOwnRedis('a Redis that asks for a password', (redis) => {
  test('and gets a wrong one is reported by each command in one line, without either password', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(() => closeConnection(admin));
    await admin.config('SET', 'requirepass', 'richtig');
    const url = `unix://:geheim@${redis().socket}`;
    for (const { code, output, errors } of await Promise.all(EACH.map((args) => runDocket([...args, '--url', url])))) {
      expect(errors).toMatch(/^docket: cannot use Redis at .*wrong user name or password[^\n]*\n$/);
      expect(output + errors).not.toMatch(/geheim|richtig/);
      expect([code, output]).toEqual([1, '']);
    }
  });
});

describeOnRedis('docket:', (url) => {
  const runOn = (fleet: Fleet, ...args: string[]): Promise<Finished> =>
    runDocket([...args, '--url', fleet.url, '--docket', fleet.name]);
  const jsonOf = async (fleet: Fleet, ...args: string[]) => {
    const { code, output, errors } = await runOn(fleet, ...args, '--json');
    expect([code, errors]).toEqual([0, '']);
    expect(output).toMatch(ONE_LINE);
    return JSON.parse(output);
  };

  test('the common flags stand anywhere, and come before their variables', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await fleet.docket.add('noop', {}, { key: 'k', when: '1h' });
    const ends = [
      runDocket(['--url', fleet.url, 'snapshot', '--json', '--docket', fleet.name]),
      runDocket(['snapshot', '--json', '--docket', fleet.name], { DOCKET_URL: fleet.url, DOCKET_NAME: '' }),
      runDocket(['snapshot', '--json'], { DOCKET_URL: fleet.url, DOCKET_NAME: fleet.name }),
      runDocket(['snapshot', '--json', '--docket', fleet.name, '--url', fleet.url], { DOCKET_URL: NOWHERE }),
    ];
    for (const { output } of await Promise.all(ends)) expect(JSON.parse(output).totals.scheduled).toBe(1);
  });

  test('add adds, only once under a key, and reports that', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    const first = await jsonOf(fleet, 'add', 'echo', '{"value": 1}', '--key', 'k', '--when', '01:00:00');
    expect(first).toMatchObject({ key: 'k', task: 'echo', state: 'scheduled', disposition: 'scheduled' });
    expect(Date.parse(first.when) - Date.now()).toBeGreaterThan(3_590_000);
    const again = await runOn(fleet, 'add', 'echo', '--key', 'k');
    expect(again).toEqual({ code: 0, output: 'k  already exists: scheduled\n', errors: '' });
    const dated = await jsonOf(fleet, 'add', 'echo', '--key', 'd', '--when', '2099-01-01T00:00:00Z');
    expect(dated.when).toBe('2099-01-01T00:00:00.000Z');
    expect((await fleet.docket.getExecution('k'))?.args).toEqual({ value: 1 });
    expect(await runOn(fleet, 'cancel', 'k')).toEqual({ code: 0, output: 'k  cancelled\n', errors: '' });
    expect(await jsonOf(fleet, 'cancel', 'd')).toEqual({ key: 'd', state: 'scheduled', outcome: 'removed' });
    expect((await runOn(fleet, 'cancel', 'd')).output).toBe('d  had already ended: cancelled\n');
    expect((await runOn(fleet, 'cancel', 'nobody')).output).toMatch(/^nobody {2}unknown key/);
  });

  test('add refuses a task that no live worker has with exit code 5, unless it is forced', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    expect(await runOn(fleet, 'add', 'echo')).toMatchObject({
      code: 5,
      errors: expect.stringMatching(/^docket: no live worker has a task 'echo' \(there are no live workers\)[^\n]*\n$/),
    });
    await fleet.worker({ threads: 1 });
    const unknown = await runOn(fleet, 'add', 'ecco', '{"probe": 1}');
    expect(unknown.errors).toMatch(
      /^docket: no live worker has a task 'ecco' \(their tasks are .*\): correct the name[^\n]*\n$/,
    );
    expect([unknown.code, unknown.output]).toEqual([5, '']);
    expect(await fleet.docket.snapshot()).toMatchObject({ totals: { queued: 0, scheduled: 0 } });
    expect((await runOn(fleet, 'add', 'ecco', '--key', 'k', '--when', '1h', '--force')).code).toBe(0);
    expect(await fleet.docket.getExecution('k')).toMatchObject({ task: 'ecco' });
  });

  test('the built-in tasks have commands of their own', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    const ends = await Promise.all([
      runOn(fleet, 'tasks', 'trace', 'good morning', '--wait'),
      runOn(fleet, 'tasks', 'sleep', '200ms', '--wait'),
      runOn(fleet, 'tasks', 'fail', '--wait'),
    ]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 3]);
    expect(ends[2]!.output).toMatch(/failed .* attempt 2: Error: failed on purpose/);
  });

  test('strikes are made, listed and taken back; what is struck is not added', async () => {
    const fleet = await openFleet(url());
    const made: [string[], object][] = [
      [['charge'], { task: 'charge' }],
      [['-', 'customerId', 'c-1'], { task: null, parameter: 'customerId', operator: '==', value: 'c-1' }],
      [['charge', 'n', '<', '-5'], { task: 'charge', parameter: 'n', operator: '<', value: -5 }],
      [['charge', 'n', 'between', '[1, 2]'], { task: 'charge', parameter: 'n', operator: 'between', value: [1, 2] }],
      [
        ['-', 'id', '==', '12345678901234567890'],
        { task: null, parameter: 'id', operator: '==', value: { bigint: '12345678901234567890' } },
      ],
      [['-', 'name', '!=', '"5"'], { task: null, parameter: 'name', operator: '!=', value: '5' }],
    ];
    const nobody = "no live worker has a task 'charge' (there are no live workers)";
    for (const [args, fields] of made) {
      const warning = args[0] === 'charge' ? nobody : null;
      expect(await jsonOf(fleet, 'strike', ...args)).toEqual({ struck: fields, warning });
    }
    const listed = await jsonOf(fleet, 'strikes');
    expect(listed).toHaveLength(made.length);
    const since = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(listed).toEqual(expect.arrayContaining(made.map(([, fields]) => ({ ...fields, since }))));
    const table = await runOn(fleet, 'strikes', 'ls');
    expect(table.output).toMatch(/│ any +│ customerId +│ == +│ "c-1" +│ \S+ ago +│/);

    const struck = await runOn(fleet, 'add', 'anything', '{"customerId": "c-1"}', '--force', '--key', 'k');
    expect(struck).toEqual({ code: 4, output: "k  not added: struck: customerId == 'c-1'\n", errors: '' });
    const wrong = await runOn(fleet, 'restore', '-', 'customerId', 'c-2');
    const remaining = `still struck: customerId == 'c-1'\nstill struck: id == 12345678901234567890n\nstill struck: name != '5'\n`;
    const output = `nothing to restore: customerId == 'c-2' was not struck\n${remaining}`;
    expect(wrong).toEqual({ code: 0, output, errors: '' });
    for (const [i, [args, fields]] of made.entries()) {
      const left = made.slice(i + 1).filter(([[task]]) => task === args[0]);
      const remaining = expect.arrayContaining(left.map(([, one]) => one));
      const answer = await jsonOf(fleet, 'restore', ...args);
      expect(answer).toEqual({ restored: fields, remaining });
      expect(answer.remaining).toHaveLength(left.length);
    }
    expect(await jsonOf(fleet, 'restore', 'charge')).toEqual({ restored: null, remaining: [] });
    expect((await runOn(fleet, 'strikes')).output).toBe('nothing is struck\n');
    const errors = `docket: ${nobody}: it is struck anyway\n`;
    const cancels =
      'executions that were added before are cancelled when a worker reads them; docket restore does not bring them back';
    const said = `struck task 'charge'\n${cancels}\n`;
    expect(await runOn(fleet, 'strike', 'charge')).toEqual({ code: 0, output: said, errors });
    expect((await runOn(fleet, 'restore', 'charge')).output).toBe("restored task 'charge'\n");
  });

  test('tasks and the docket are paused, listed and resumed, each reason by itself', async () => {
    const fleet = await openFleet(url());
    const nobody = "no live worker has a task 'charge' (there are no live workers)";
    const since = expect.stringMatching(/^\d{4}-.*Z$/);
    const manual = { task: 'charge', reason: 'manual', since };
    const bank = { task: 'charge', reason: 'the bank is down', since };
    expect(await jsonOf(fleet, 'pause', 'charge')).toEqual({ paused: 'charge', pauses: [manual], warning: nobody });
    const paused = await runOn(fleet, 'pause', 'charge', '--reason', 'the bank is down');
    expect(paused).toEqual({
      code: 0,
      output: 'paused charge: manual, the bank is down\n',
      errors: `docket: ${nobody}: it is paused anyway\n`,
    });
    expect((await runOn(fleet, 'pause')).output).toBe('paused the whole docket: manual\n');
    expect(await jsonOf(fleet, 'pauses')).toEqual([{ task: null, reason: 'manual', since }, manual, bank]);
    expect((await runOn(fleet, 'pauses', 'ls')).output).toMatch(/│ the whole docket │ manual +│ \S+ ago/);
    const snapshot = await runOn(fleet, 'snapshot');
    expect(snapshot.output).toMatch(/│ charge +│ the bank is down +│/);
    expect((await runOn(fleet, 'doctor')).output).toMatch(/warn.*pauses.*3 pauses.*the whole docket, for/s);

    expect((await runOn(fleet, 'resume', 'charge', '--reason', 'manual')).output).toBe(
      'resumed charge\nstill paused: the bank is down\n',
    );
    expect((await runOn(fleet, 'resume', 'charge', '--reason', 'manual')).output).toBe(
      "nothing to resume: charge was not paused with the reason 'manual'\nstill paused: the bank is down\n",
    );
    expect(await jsonOf(fleet, 'resume', 'charge')).toEqual({ resumed: true, remaining: [] });
    expect((await runOn(fleet, 'resume')).output).toBe('resumed the whole docket\n');
    expect((await runOn(fleet, 'resume')).output).toBe('nothing to resume: the whole docket was not paused\n');
    expect((await runOn(fleet, 'pauses')).output).toBe('nothing is paused\n');
  });

  test('a snapshot is a table for people and JSON for programs', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    fleet.leavesWork();
    await fleet.worker({ threads: 1, name: 'erna' });
    await docket.add('hold', { probe }, { key: 'held' });
    await docket.add('echo', {}, { key: 'later\u001b[2J\u009bX', when: '90m' });
    await fleet.step('start held 1');
    const plain = await runOn(fleet, 'snapshot');
    expect(plain.output).toMatch(/│ queued │ scheduled │ waiting │ paused │ running │ failures │/);
    expect(plain.output).toMatch(/│ 0 +│ 1 +│ 0 +│ 0 +│ 1 +│ 0 +│/);
    expect(plain.output).toMatch(/│ erna +│ 1 +│ [01] +│ 1 +│/); // of its last heartbeat
    expect(plain.output).not.toContain('held');
    const listed = await runOn(fleet, 'snapshot', '--tasks', '--stats');
    expect(listed.output).toMatch(/│ held +│ hold +│ 1 +│ erna +│ [\d.]+m?s ago +│/);
    expect(listed.output).toMatch(/│ later.\[2J.X +│ echo +│ 1 +│ 1h (29|30)m +│/);
    expect(listed.output).toMatch(/│ hold +│ 1 +│ 0 +│ 0 +│ 0 +│/);
    expect(listed.output).toContain(
      'by task, counting only what is listed: 1 of 1 running, 0 of 0 queued, 1 of 1 scheduled, 0 of 0 waiting\n',
    );
    expect(listed.output).toContain('nothing is queued\n');
    expect(listed.output).not.toMatch(/\p{Cc}(?<!\n)/u);
    expect((await runOn(fleet, 'snapshot', '--json')).output).toContain('later\\u001b[2J\\u009bX');

    expect(await runOn(fleet, 'snapshot', '--limit', '5000')).toMatchObject({
      code: 2,
      errors: 'docket: --limit: expected a whole number from 0 to 1000, got 5000\n',
    });

    const snapshot = await jsonOf(fleet, 'snapshot', '--stats');
    expect(snapshot).toMatchObject({
      totals: { queued: 0, scheduled: 1, running: 1, waiting: 0, paused: 0, failures: 0 },
      running: [{ key: 'held', task: 'hold', worker: 'erna' }],
      stats: [
        { task: 'echo', running: 0, queued: 0, scheduled: 1, waiting: 0 },
        { task: 'hold', running: 1, queued: 0, scheduled: 0, waiting: 0 },
      ],
    });
    expect(await jsonOf(fleet, 'cancel', 'held')).toEqual({ key: 'held', state: 'running', outcome: 'stopping' });
    await fleet.release();
  });

  test('a snapshot says which executions no live worker can run', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1 });
    await fleet.docket.add('nobody-has-it', {}, { key: 'k', when: '90m' });
    const { output } = await runOn(fleet, 'snapshot', '--tasks');
    expect(output).toMatch(/│ k +│ nobody-has-it +│ 1 +│ 1h (29|30)m, no live worker has it +│/);
    const { future } = await jsonOf(fleet, 'snapshot');
    expect(future).toMatchObject([{ key: 'k', hasWorker: false }]);
    await fleet.docket.clear();
  });

  test('workers are listed, all or those for a task', async () => {
    const fleet = await openFleet(url());
    expect((await runOn(fleet, 'workers')).output).toBe('there are no live workers\n');
    await fleet.worker({ threads: 1, name: 'erna', tasks: fixture('results.js') });
    await fleet.worker({ threads: 1, name: 'otto' });
    expect((await runOn(fleet, 'workers', 'ls')).output).toMatch(/│ erna .*│ otto /s);
    expect((await jsonOf(fleet, 'workers')).map(({ name }: { name: string }) => name).sort()).toEqual(['erna', 'otto']);
    expect(await jsonOf(fleet, 'workers', 'for-task', 'hold')).toMatchObject([{ name: 'otto' }]);
    const nobody = await runOn(fleet, 'workers', 'for-task', 'nonesuch');
    expect(nobody).toEqual({ code: 5, output: '', errors: "docket: no live worker has a task 'nonesuch'\n" });
  });

  test('show tells all of one execution, and the values of its arguments only when it is asked to', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await fleet.docket.add('charge', { customerId: 'c-1', secret: 'geheim' }, { key: 'k', when: '90m' });
    const plain = await runOn(fleet, 'show', 'k');
    expect(plain.output).toMatch(/^key: +k\ntask: +charge\nstate: +scheduled, on the schedule\nattempt: +1\n/);
    expect(plain.output).toMatch(/^arguments: +customerId, secret \(--show-arguments shows their values\)$/m);
    expect(plain.output).toMatch(/│ due +│/);
    expect(plain.output).not.toContain('geheim');
    expect((await runOn(fleet, 'show', 'k', '--show-arguments')).output).toContain(
      "customerId: 'c-1', secret: 'geheim'",
    );
    await fleet.docket.add('charge', {}, { key: 'urgent', when: '90m', priority: 'high' });
    expect((await runOn(fleet, 'show', 'urgent')).output).toMatch(/^priority: +high$/m);
    expect((await runOn(fleet, 'ls', '--task', 'charge')).output).toMatch(/│ urgent +│ charge \(high\) │/);
    const json = await jsonOf(fleet, 'show', 'k');
    expect(json).toMatchObject({
      key: 'k',
      state: 'scheduled',
      place: 'schedule',
      argumentNames: ['customerId', 'secret'],
    });
    expect(json.args).toEqual({});
    const args = { customerId: 'c-1', secret: 'geheim' };
    expect(await jsonOf(fleet, 'show', 'k', '--show-arguments')).toMatchObject({ args });
    expect(await runOn(fleet, 'show', 'nobody')).toEqual({
      ...{ code: 5, output: '' },
      errors: expect.stringMatching(/^docket: [^\n]*nobody[^\n]*\n$/),
    });
  });

  test('show shows the values of arguments that a task of a live worker shows in the log', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await fleet.worker({ threads: 1, tasks: fixture('logging.js') });
    await fleet.docket.add('charge', { orderId: 7, items: [1, 2], card: 'geheim' }, { key: 'k', when: '1h' });
    const { output } = (await waitFor(async () => {
      const shown = await runOn(fleet, 'show', 'k');
      return shown.output.includes('orderId: 7') ? shown : null; // once the worker has announced its tasks
    }))!;
    expect(output).toMatch(/^arguments: +\{ orderId: 7 \}, items, card \(--show-arguments shows their values\)$/m);
    expect(await jsonOf(fleet, 'show', 'k')).toMatchObject({ args: { orderId: 7 } });
    expect(output).not.toContain('geheim');
  });

  test('show tells how an execution failed, with the stack and the attempts before', async () => {
    const fleet = await openFleet(url());
    await fleet.worker({ threads: 1, name: 'erna' });
    const failed = await runOn(fleet, 'tasks', 'fail', '--key', 'k', '--wait');
    expect(failed.code).toBe(3);
    const { output } = await runOn(fleet, 'show', 'k');
    expect(output).toMatch(/^error: +Error: failed on purpose\n +at /m);
    expect(output).toMatch(/│ retried +│ 1 +│ erna +│ Error: failed on purpose +│/);
    expect(output).toMatch(/^not known: +its arguments/m);
    const json = await jsonOf(fleet, 'show', 'k');
    expect(json).toMatchObject({
      ...{ state: 'failed', attempt: 2, failedAttempts: [{ attempt: 1, worker: 'erna' }], result: null },
      error: { name: 'Error', message: 'failed on purpose', stack: expect.stringContaining('at ') },
    });
  });

  test('ls lists executions by task, state and arguments; cancel cancels keys, or what matches', async () => {
    const fleet = await openFleet(url());
    const { docket } = fleet;
    for (const [key, customerId, when] of [
      ['a', 'c-1', '1h'],
      ['b', 'c-2', '1h'],
      ['c', 'c-1', 0],
    ] as const) {
      await docket.add('charge', { customerId, n: 1 }, { key, ...(when !== 0 && { when }) });
    }
    await docket.add('mail', { n: 1 }, { key: 'd' });
    const keysIn = async (...args: string[]) =>
      (await jsonOf(fleet, 'ls', ...args)).map(({ key }: { key: string }) => key);
    expect(await keysIn()).toEqual(['c', 'd', 'a', 'b']);
    expect(await keysIn('--task', 'charge', '--where', 'customerId=c-1')).toEqual(['c', 'a']);
    expect(await keysIn('--where', 'n=1', '--where', 'customerId=c-2')).toEqual(['b']);
    expect(await keysIn('--where', 'n="1"')).toEqual([]);
    expect(await keysIn('--state', 'queued')).toEqual(['c', 'd']);
    const table = await runOn(fleet, 'ls', '--limit', '1');
    expect(table.output).toMatch(/│ c +│ charge +│ queued +│ 1 +│/);
    expect(table.output).toContain('these are the first 1: --limit lists more\n');
    expect((await runOn(fleet, 'ls', '--task', 'none')).output).toBe('no executions match\n');

    const two = await runOn(fleet, 'cancel', 'd', 'nobody', '--json');
    expect(
      two.output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { key: 'd', state: 'queued', outcome: 'removed' },
      { key: 'nobody', state: null, outcome: 'unknown' },
    ]);
    const chosen = ['cancel', '--task', 'charge', '--where', 'customerId=c-1', '--yes'];
    expect((await runOn(fleet, ...chosen)).output).toBe('cancelled 2, asked 0 to stop\n');
    expect(await keysIn('--state', 'cancelled')).toEqual(expect.arrayContaining(['a', 'c', 'd']));
    expect(await jsonOf(fleet, 'cancel', '--all', '--yes')).toEqual({ removed: 1, stopping: 0, missed: 0 });
  });

  test('limits lists who holds permits and who waits', async () => {
    const fleet = await openFleet(url());
    expect((await runOn(fleet, 'limits')).output).toBe('no limit is in use\n');
    const { redis, key } = fleet;
    await redis.hset(key('held'), 'charge:customerId:s=c-1', 2);
    const { output } = await runOn(fleet, 'limits');
    expect(output).toMatch(/│ charge customerId 'c-1' +│ 2 of \? +│/);
    expect(await jsonOf(fleet, 'limits')).toMatchObject([{ taken: 2, waiting: 0, holders: [], max: null }]);
    await redis.del(key('held'));
  });

  test('clear removes what has not started', async () => {
    const fleet = await openFleet(url());
    for (const key of ['a', 'b', 'c']) await fleet.docket.add('noop', {}, { key });
    const backlog = await runOn(fleet, 'snapshot', '--tasks', '--stats', '--limit', '2');
    expect(backlog.output).toMatch(/│ queued +│ task +│.*│ b +│ noop +│ 1 +│ [\d.]+m?s ago +│/s);
    expect(backlog.output).toMatch(/2 of 3 queued.*│ noop +│ 0 +│ 2 +│ 0 +│ 0 +│/s);
    expect((await runOn(fleet, 'clear')).code).toBe(2);
    expect(await runOn(fleet, 'clear', '--yes')).toEqual({ code: 0, output: 'removed 3\n', errors: '' });
    expect(await jsonOf(fleet, 'clear', '--yes')).toEqual({ removed: 0 });
  });

  describe.skipIf(!hasTerminal)(
    `on a terminal${hasTerminal ? '' : ' [left out: script of util-linux is not installed]'}`,
    () => {
      test.each([
        ['y', 0, /removed 1/],
        ['n', 1, /docket: nothing was removed/],
      ])('clear asks first: %s', async (answer, code, said) => {
        const fleet = await openFleet(url());
        fleet.leavesWork();
        await fleet.docket.add('noop', {}, { key: 'a' });
        const shell = startOnTerminal(['clear', '--url', fleet.url, '--docket', fleet.name]);
        await shell.shows(/Remove 1 queued, 0 scheduled and 0 waiting executions from docket .*\[y\/N\] /);
        shell.process.stdin!.write(`${answer}\n`);
        expect((await finished(shell)).code).toBe(code);
        expect(shell.output()).toMatch(said);
      });

      test.each([
        ['y', 0, /cancelled 1, asked 0 to stop/],
        ['n', 1, /docket: nothing was cancelled/],
      ])('cancel by a filter says how many, and asks first: %s', async (answer, code, said) => {
        const fleet = await openFleet(url());
        fleet.leavesWork();
        await fleet.docket.add('noop', {}, { key: 'a' });
        await fleet.docket.add('echo', {}, { key: 'b' });
        const chosen = ['cancel', '--task', 'noop', '--url', fleet.url, '--docket', fleet.name];
        const shell = startOnTerminal(chosen);
        await shell.shows(/Cancel 1 execution in docket .*\[y\/N\] /);
        shell.process.stdin!.write(`${answer}\n`);
        expect((await finished(shell)).code).toBe(code);
        expect(shell.output()).toMatch(said);
      });

      test('an error is one line, with a link behind it', async () => {
        const { code, output } = await finished(startOnTerminal(['watch', 'k', '--url', NOWHERE]));
        expect(output).toMatch(/^docket: cannot use Redis at redis:\/\/app:\*\*\*@[^\n]*\r?\nsee https:[^\n]*\r?\n$/);
        expect(code).toBe(1);
      });
    },
  );

  test('a reader may close the pipe', async () => {
    const fleet = await openFleet(url());
    const shell = startDocket(['snapshot', '--tasks', '--url', fleet.url, '--docket', fleet.name]);
    shell.process.stdout!.destroy();
    const { errors } = await finished(shell);
    expect(errors).toBe('');
  });

  test('docket worker runs what docket add added', async () => {
    const fleet = await openFleet(url());
    const common = ['--url', fleet.url, '--docket', fleet.name];
    const worker = startDocket(['worker', '--threads', '1', '--name', `w-${randomUUID()}`, ...common]);
    await waitFor(async () => (await fleet.docket.workers()).length === 1);
    expect((await runDocket(['add', 'trace', '{"message": "hi"}', '--wait', ...common])).code).toBe(0);
    worker.process.kill('SIGTERM');
    expect(await worker.ended).toEqual({ code: 0, signal: null });
  });
});
