/** A user with exactly the rights that the documents give it: nothing that docket does is refused, and nothing else is allowed. */
import { Docket } from 'docket';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readDocument } from '../support/documents.js';
import { startCommand, TASKS } from '../support/fleet.js';
import { freePort } from '../support/ports.js';
import { type RedisProcess, redisProcess } from '../support/servers.js';
import { runDocket, startDocket } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

/** The rules of the documents, word by word. */
const RULES = (/^```acl\nACL SETUSER app ([\s\S]*?)^```$/m.exec(readDocument('docs/production.md'))?.[1] ?? '')
  .replace('PASSWORD', 'pw')
  .split(/\s+/)
  .filter(Boolean);
const OF_A_CLUSTER = (/`(\+cluster\|slots[^`]*)`/.exec(readDocument('docs/production.md'))?.[1] ?? '').split(' ');

/** Rights that docket can do without. The doctor warns of them. */
const OPTIONAL = ['+info', '+client|unblock', '+scan'];
/** What only the doctor asks for, and can do without: it would show passwords among the settings of the server. */
const LEFT_OUT = 'config|get';
/** Rights whose loss keeps the doctor from connecting, or that it has no use for. It asks for no answer to a PING. */
const OF_THE_LINK = [
  '+select',
  '+ping',
  '+client|setname',
  '+client|id',
  '+unsubscribe',
  '+subscribe',
  '+publish',
  '+time',
];

describeOnOwnRedis('a user with the least rights', (redis) => {
  let admin: Redis;
  const url = (name = 'app') => redis().url.replace('unix://', `unix://${name}:pw@`);

  beforeAll(async () => {
    admin = new Redis(redis().socket);
    await admin.call('ACL', 'SETUSER', 'app', ...RULES);
  });
  afterAll(() => admin.disconnect());

  /** What was refused since the last call. The server keeps a list of it. */
  async function refused(): Promise<string[]> {
    const log = (await admin.call('ACL', 'LOG', '100')) as string[][];
    await admin.call('ACL', 'LOG', 'RESET');
    return log.filter((entry) => entry[7] !== LEFT_OUT).map((entry) => `${entry[3]} ${entry[5]} ${entry[7]}`);
  }

  async function command(...args: string[]): Promise<number | null> {
    return (await runDocket(args, { DOCKET_URL: url(), DOCKET_NAME: 'docket' })).code;
  }

  test('is refused nothing that producers, workers, commands and the dashboard do, with one partition and with four', async () => {
    await admin.call('ACL', 'LOG', 'RESET');
    for (const count of [1, 4]) {
      if (count > 1) await command('partitions', String(count)); // looks for keys first
      if (count > 1) expect(await command('partitions', String(count), '--force')).toBe(0);
      const options = ['--tasks', TASKS, '--threads', '1', '--logging-format', 'json'];
      const worker = startCommand(options, { DOCKET_URL: url() });
      onTestFinished(() => void worker.process.kill('SIGKILL'));
      await worker.ready();
      const docket = new Docket({ url: url() });
      onTestFinished(() => docket.close());
      for (const key of ['a', 'b', 'c', 'd']) {
        const execution = await docket.add('echo' as never, { value: key } as never, { key });
        expect(await execution.result()).toBe(key);
      }
      const failing = await docket.add('fail' as never, { message: 'x' } as never);
      await failing.result().catch(() => {});
      await docket.addMany([{ task: 'noop' }, { task: 'noop' }] as never).catch(() => {});
      await docket.replace('noop' as never, {} as never, { key: 'a', when: '1h' } as never);
      for (const line of [
        ...['ls', 'ls --state completed', 'snapshot', 'stats', 'limits', 'workers', 'workers for-task noop', 'show a'],
        ...['schedules', 'schedules run a', 'failures', 'failures groups', 'failures retry --all', 'count', 'pauses'],
        ...['pause noop', 'resume noop', 'strike none', 'strikes', 'restore none', 'cancel a', 'tasks trace hello'],
        ...['add noop', 'watch b', 'clear --yes', 'partitions', 'failures discard --all --yes'],
      ]) {
        await command(...line.split(' '));
      }
      expect(await command('doctor')).not.toBeNull();
      const dashboard = startDocket(['dashboard', '--port', '0'], { DOCKET_URL: url() });
      const [, base] = /is at (http:\S+)/.exec(await dashboard.shows(/is at http:\S+\n/))!;
      for (const path of [
        'findings',
        'history',
        'workers',
        'limits',
        'tasks',
        'schedules',
        'strikes',
        'find',
        'failures',
      ]) {
        expect((await fetch(`${base}api/${path}`)).status).toBe(200);
      }
      dashboard.process.kill('SIGTERM');
      await dashboard.ended;
      worker.process.kill('SIGTERM');
      expect((await worker.ended).code).toBe(0);
      expect(await refused()).toEqual([]);
    }
  }, 300_000);

  test('cannot touch another docket, its channels, or the server', async () => {
    const client = new Redis(redis().socket, { username: 'app', password: 'pw' });
    onTestFinished(() => client.disconnect());
    const tries: [string, ...string[]][] = [
      ['GET', '{docket2}:work'],
      ['GET', '{docketx/1}:work'],
      ['GET', 'other'],
      ['PUBLISH', '{other}:events', 'x'],
      ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'other'],
      ['CONFIG', 'SET', 'save', ''],
      ['CONFIG', 'GET', 'requirepass'],
      ['FLUSHALL'],
      ['KEYS', '*'],
      ['ACL', 'LIST'],
      ['SHUTDOWN'],
    ];
    for (const one of tries) await expect(client.call(...one), one.join(' ')).rejects.toThrow('NOPERM');
  });

  test('who lacks any one of these rights is told so by the doctor', async () => {
    const rights = RULES.filter((rule) => rule.startsWith('+') && !OF_THE_LINK.includes(rule));
    expect(rights.length).toBeGreaterThan(40);
    const unnamed: string[] = [];
    for (const right of rights) {
      await admin.call('ACL', 'SETUSER', 'few', ...RULES, right.replace('+', '-'));
      const { output } = await runDocket(['doctor', '--json'], { DOCKET_URL: url('few') });
      const name = right.slice(1).replace('|', ' ').toUpperCase();
      const { checks } = JSON.parse(output) as { checks: { status: string; detail: string; advice: string | null }[] };
      const wanted = OPTIONAL.includes(right) ? 'warn' : 'fail';
      const isNamed = checks.some(
        ({ status, detail, advice }) => status === wanted && new RegExp(`\\b${name}\\b`).test(`${detail} ${advice}`),
      );
      if (!isNamed) unnamed.push(right);
    }
    expect(unnamed).toEqual([]);
  }, 300_000);
});

describeOnOwnRedis('a user with the least rights in a cluster', () => {
  test('is refused nothing, on the shard channels either', async () => {
    const port = await freePort();
    const busPort = String(await freePort());
    const { mkdtempSync, rmSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const folder = mkdtempSync(`${tmpdir()}/docket-rights-`);
    const settings = { port: String(port), bind: '127.0.0.1', dir: folder, save: "''" };
    const more = { 'cluster-enabled': 'yes', 'cluster-port': busPort };
    const args = Object.entries({ ...settings, ...more }).flatMap(([name, value]) => [`--${name}`, value]);
    const server: RedisProcess = redisProcess(args);
    onTestFinished(async () => {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    });
    await server.start();
    const admin = new Redis(port, '127.0.0.1');
    onTestFinished(() => admin.disconnect());
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await waitFor(async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    await admin.call('ACL', 'SETUSER', 'app', ...RULES, ...OF_A_CLUSTER);
    const url = `redis+cluster://app:pw@127.0.0.1:${port}`;
    const env = { DOCKET_URL: url, DOCKET_NAME: 'docket' };
    expect(await runDocket(['partitions', '2'], env)).toMatchObject({ errors: '', code: 0 });
    const worker = startCommand(['--tasks', TASKS, '--threads', '1', '--logging-format', 'json'], env);
    onTestFinished(() => void worker.process.kill('SIGKILL'));
    await worker.ready();
    const docket = new Docket({ url });
    onTestFinished(() => docket.close());
    for (const key of ['a', 'b', 'c']) {
      expect(await (await docket.add('echo' as never, { value: key } as never, { key })).result()).toBe(key);
    }
    await runDocket(['pause', 'noop'], env);
    await runDocket(['doctor'], env);
    worker.process.kill('SIGTERM');
    await worker.ended;
    const log = ((await admin.call('ACL', 'LOG')) as string[][]).filter((entry) => entry[7] !== LEFT_OUT);
    expect(log.map((entry) => `${entry[3]} ${entry[7]}`)).toEqual([]);
  }, 240_000);
});
