/** `docket doctor`: what it finds on servers that are well, badly set, or refuse what docket needs. */
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { finished, hasTerminal, runDocket, startOnTerminal } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';

interface Check {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  readonly advice: string | null;
}

test('a server that cannot be reached is a check that fails, without the password', async () => {
  const { code, output, errors } = await runDocket(['doctor', '--url', 'redis://app:geheim@127.0.0.1:1']);
  expect(output).toMatch(
    /^fail {2}connection +cannot use Redis at redis:\/\/app:\*\*\*@127\.0\.0\.1:1: [^\n]* -> [^\n]*\n$/,
  );
  expect([code, errors]).toEqual([1, '']);
});

describeOnOwnRedis('docket doctor:', (redis) => {
  interface Diagnosis {
    readonly code: number | null;
    readonly status: string;
    of(check: string): Check;
    readonly bad: string[];
  }

  async function examine(fleet: Fleet, url = fleet.url): Promise<Diagnosis> {
    const { code, output, errors } = await runDocket(['doctor', '--json', '--url', url, '--docket', fleet.name]);
    expect(errors).toBe('');
    const { status, checks } = JSON.parse(output) as { status: string; checks: Check[] };
    for (const { status, advice } of checks) expect(advice === null).toBe(status === 'ok');
    return {
      code,
      status,
      of: (name) => checks.find(({ check }) => check === name) ?? expect.fail(`no check ${name} in ${output}`),
      bad: checks.filter(({ status }) => status !== 'ok').map(({ check }) => check),
    };
  }

  /** Changes a setting for the running test. */
  async function set(fleet: Fleet, name: string, value: string): Promise<void> {
    const [, before] = (await fleet.redis.config('GET', name)) as string[];
    await fleet.redis.config('SET', name, value);
    onTestFinished(async () => {
      const admin = await openConnection(redis().url, 'commands');
      await admin.config('SET', name, before!);
      await closeConnection(admin);
    });
  }

  test('all is well with a server that loses nothing and a live worker; nothing is left behind', async () => {
    const fleet = await openFleet(redis().url);
    await set(fleet, 'maxmemory', '1gb');
    await fleet.worker({ threads: 1 });
    const found = await examine(fleet);
    expect(found.bad).toEqual([]);
    expect([found.code, found.status]).toEqual([0, 'ok']);
    expect(found.of('persistence').detail).toBe('appendonly, appendfsync always');
    expect(found.of('version').detail).toMatch(/^(Redis|Valkey) \d/);
    expect(await fleet.redis.keys(fleet.key('user:*'))).toEqual([]);
    const plain = await runDocket(['doctor', '--url', fleet.url, '--docket', fleet.name]);
    expect(plain.output).toMatch(/^(ok {4}[a-z ]{20} [^\n]+\n)+$/);
    expect(plain.output).toMatch(/^ok {4}may use keys +all 9 commands that docket sends are allowed$/m);
    expect(plain.output).toMatch(/^ok {4}may publish +PUBLISH is allowed$/m);
    expect([plain.code, plain.errors]).toEqual([0, '']);
  });

  test('settings that lose work are named, with advice', async () => {
    const fleet = await openFleet(redis().url);
    await set(fleet, 'maxmemory-policy', 'allkeys-lru');
    expect((await examine(fleet)).of('eviction')).toMatchObject({ status: 'warn' }); // there is no limit yet
    await set(fleet, 'maxmemory', '1gb');
    await set(fleet, 'appendonly', 'no');
    const found = await examine(fleet);
    expect(found.of('eviction')).toEqual({
      check: 'eviction',
      status: 'fail',
      detail: 'allkeys-lru: loses work when memory is short',
      advice: 'run CONFIG SET maxmemory-policy noeviction, and change the configuration of the server',
    });
    expect(found.of('persistence')).toMatchObject({ status: 'warn', detail: 'none: a restart loses all work' });
    expect([found.code, found.status]).toEqual([1, 'fail']);
    await set(fleet, 'maxmemory-policy', 'volatile-lru');
    await set(fleet, 'save', '3600 1');
    const other = await examine(fleet);
    expect(other.of('eviction')).toMatchObject({ status: 'warn', detail: expect.stringContaining('volatile-lru') });
    expect(other.of('persistence')).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('snapshots only'),
    });
    expect(other.code).toBe(0);
  });

  test('a server that is full fails', async () => {
    const fleet = await openFleet(redis().url);
    await set(fleet, 'maxmemory', '100kb');
    const found = await examine(fleet);
    expect(found.of('memory')).toMatchObject({ status: 'fail', detail: expect.stringMatching(/ of 0\.1 MiB in use/) });
    expect(found.code).toBe(1);
  });

  test.each([
    { setting: 'maxmemory', value: '100kb', problem: "the server's memory is full", advice: 'raise its maxmemory' },
    {
      setting: 'min-replicas-to-write',
      value: '1',
      problem: 'the server has too few good replicas',
      advice: 'lower its min-replicas-to-write',
    },
  ])('a server that takes no writes ($setting) is told from a user who lacks rights', async (refused) => {
    const fleet = await openFleet(redis().url);
    await set(fleet, refused.setting, refused.value);
    const found = await examine(fleet);
    expect(found.of('writes')).toEqual({
      check: 'writes',
      status: 'fail',
      detail: expect.stringContaining(refused.problem),
      advice: expect.stringContaining(refused.advice),
    });
    expect(found.bad.filter((check) => check.startsWith('may') || check === 'docket')).toEqual([]);
    expect(found.code).toBe(1);
  });

  test('a missing permission is named, with the rule that grants it', async () => {
    const fleet = await openFleet(redis().url);
    const rules = [
      'on',
      '>geheim',
      `~${fleet.key('')}*`,
      `&${fleet.key('')}*`,
      '+@all',
      '-xclaim',
      '-config',
      '-subscribe',
    ];
    await addUser(fleet.redis, 'app', rules);
    const found = await examine(fleet, `unix://app:geheim@${redis().socket}`);
    expect(found.of('may use streams')).toEqual({
      check: 'may use streams',
      status: 'fail',
      detail: `the user may not use XCLAIM on ${fleet.key('')}*`,
      advice: `ACL SETUSER <user> ~${fleet.key('')}* &${fleet.key('')}* +xclaim`,
    });
    expect(found.of('may subscribe')).toMatchObject({ status: 'fail', advice: expect.stringContaining('+subscribe') });
    expect(found.of('may inspect')).toMatchObject({ status: 'warn', detail: 'the user may not use CONFIG GET' });
    expect(found.of('may use hashes').status).toBe('ok');
    expect(found.code).toBe(1);
  });

  test('a user who is limited to other keys may use nothing', async () => {
    const fleet = await openFleet(redis().url);
    await addUser(fleet.redis, 'app', ['on', '>geheim', '~other:*', '&other:*', '+@all']);
    const found = await examine(fleet, `unix://app:geheim@${redis().socket}`);
    const refused = ['use keys', 'use hashes', 'use sorted sets', 'use streams', 'use scripts', 'publish'];
    for (const what of refused) expect(found.of(`may ${what}`).status).toBe('fail');
    expect(found.of('may subscribe').status).toBe('fail');
  });

  test('a clock that is off is named', async () => {
    const fleet = await openFleet(redis().url);
    const { now } = Date;
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 90_000);
    onTestFinished(() => void vi.restoreAllMocks());
    const found = await examine(fleet);
    const ahead = /^the server's clock is 1m [23]\ds ahead$/; // as exact as the answer was quick
    expect(found.of('clock')).toMatchObject({ status: 'warn', detail: expect.stringMatching(ahead) });
  });

  test('work that nobody does is named', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    await fleet.docket.add('elsewhere', {}, { key: 'k', when: '1h' });
    await fleet.docket.add('noop', {}, { key: 'q' });
    await fleet.redis.xgroup('CREATE', fleet.key('work'), 'workers', '0', 'MKSTREAM');
    await fleet.redis.call('XREADGROUP', 'GROUP', 'workers', 'gone:1', 'COUNT', '1', 'STREAMS', fleet.key('work'), '>');
    const alone = await examine(fleet);
    expect(alone.of('workers')).toMatchObject({ status: 'warn', detail: expect.stringContaining('no live workers') });
    expect(alone.of('group of work').detail).toBe('1 execution in the hands of 1 worker');
    expect(alone.of('silent workers')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/^gone, silent for [\d.]+m?s, has 1 execution$/),
      advice: 'start a worker: it runs them when their leases end',
    });
    await fleet.worker({ threads: 1 });
    await fleet.redis.xadd(fleet.key('work'), '*', 'm', 'rubbish');
    await expect.poll(async () => (await fleet.docket.snapshot()).totals.failures).toBe(1);
    const found = await examine(fleet);
    expect(found.of('workers')).toMatchObject({ status: 'ok', detail: '1 live, with 1 thread' });
    expect(found.of('unknown tasks')).toMatchObject({
      status: 'warn',
      detail: 'no live worker has the task elsewhere',
    });
    expect(found.of('failures')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/^kept: 1; .*was quarantined/),
    });
  });

  test('keys of another kind under the names of the docket fail', async () => {
    const fleet = await openFleet(redis().url);
    fleet.leavesWork();
    await fleet.redis.set(fleet.key('work'), 'mine');
    const found = await examine(fleet);
    expect(found.of('scripts')).toMatchObject({ status: 'fail', detail: expect.stringContaining('WRONGTYPE') });
    expect(found.code).toBe(1);
  });

  test.skipIf(!hasTerminal)('on a terminal the output has colours, unless NO_COLOR is set', async () => {
    const fleet = await openFleet(redis().url);
    const args = ['doctor', '--url', fleet.url, '--docket', fleet.name];
    expect((await finished(startOnTerminal(args))).output).toContain('\u001b[32mok');
    expect((await finished(startOnTerminal(args, { NO_COLOR: '1' }))).output).not.toContain('\u001b');
  });
});

async function addUser(redis: Redis, name: string, rules: readonly string[]): Promise<void> {
  await redis.call('ACL', 'SETUSER', name, 'reset', ...rules);
}
