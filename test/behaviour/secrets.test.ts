/** A whole run, of whose output nothing has a secret: every process, every command, every page, every error, and Redis itself. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Docket } from 'docket';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { runModule } from '../support/child.js';
import { startCommand, TASKS } from '../support/fleet.js';
import { freePort } from '../support/ports.js';
import { type RedisProcess, redisProcess } from '../support/servers.js';
import { runDocket, runDocketWorker, startDocket } from '../support/shell.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { docketCommand } = await importBuilt<typeof import('../../src/cli/docket.js')>('cli/docket.js');

/** Every part of every secret has this word, so that no part of one can pass, however it is quoted or cut. */
const MARK = 'hidden';
const URL_PASSWORD = `${MARK}-1@${MARK}-2:${MARK}/3?${MARK}#4%${MARK}&5="${MARK}'6 ${MARK}é`;
const SENTINEL_PASSWORD = `${MARK}-of-the-sentinel`;
const ASKED_PASSWORD = `${MARK}-that-is-asked-for`;
const WRONG_PASSWORD = `${MARK}-and-wrong:${MARK}`;
const TOKEN = `${MARK}-token-of-the-dashboard`;

describeOnOwnRedis('a secret', () => {
  let folder: string;
  let port: number;
  let sentinelPort: number;
  let admin: Redis;
  const processes: RedisProcess[] = [];
  /** All that was written anywhere, with where that was. */
  const outputs: { readonly from: string; readonly text: string }[] = [];

  const note = (from: string, text: string) => void outputs.push({ from, text });
  const address = () => `127.0.0.1:${port}`;
  const urlWith = (password: string) => `redis://app:${encodeURIComponent(password)}@${address()}/0`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'docket-secrets-'));
    [port, sentinelPort] = [await freePort(), await freePort()];
    const server = redisProcess(['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', "''"]);
    processes.push(server);
    await server.start();
    admin = new Redis(port, '127.0.0.1');
    await admin.call('ACL', 'SETUSER', 'app', 'on', `>${URL_PASSWORD}`, '~*', '&*', '+@all');
    await admin.call('ACL', 'SETUSER', 'asked', 'on', `>${ASKED_PASSWORD}`, '~*', '&*', '+@all');
    const dir = join(folder, 'sentinel');
    mkdirSync(dir);
    const lines = [`sentinel monitor m 127.0.0.1 ${port} 1`, `requirepass ${SENTINEL_PASSWORD}`];
    writeFileSync(join(dir, 'sentinel.conf'), lines.join('\n'));
    const sentinel = redisProcess([
      ...[join(dir, 'sentinel.conf'), '--port', String(sentinelPort), '--bind', '127.0.0.1', '--dir', dir],
      '--sentinel',
    ]);
    processes.push(sentinel);
    await sentinel.start(/\+monitor|Sentinel ID is/);
  });
  afterAll(async () => {
    admin?.disconnect();
    for (const one of processes) await one.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Fails when anything that was written since the last call has a part of a secret. */
  function expectNoSecrets(): void {
    expect(outputs.length).toBeGreaterThan(0);
    const found = outputs.filter(({ text }) => text.includes(MARK));
    expect(found.map(({ from, text }) => `${from}: ${text.slice(0, 500)}`)).toEqual([]);
    outputs.length = 0;
  }

  async function command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number | null> {
    const { code, output, errors } = await runDocket(args, env);
    const shown = `docket ${args.join(' ')}`.replaceAll(new RegExp(`${MARK}.*`, 'g'), '…');
    note(shown, output + errors);
    return code;
  }

  test('is in no output of a worker, of its pages, and of the commands that look at its docket', async () => {
    const env = { DOCKET_URL: urlWith(URL_PASSWORD), DOCKET_NAME: 'd' };
    const ports = ['--metrics-port', '0', '--healthcheck-port', '0', '--threads', '1', '--logging-format', 'json'];
    const worker = startCommand(['--tasks', TASKS, ...ports, '--logging-level', 'debug'], env);
    onTestFinished(() => void worker.process.kill('SIGKILL'));
    await worker.ready();
    const docket = new Docket({ name: 'd', url: env.DOCKET_URL });
    onTestFinished(() => docket.close());
    await (await docket.add('noop' as never, {} as never, { key: 'done' })).result();
    await (await docket.add('adds' as never)).result(); // opens a connection in a thread
    await (await docket.add('fail' as never)).result().catch((error: unknown) => note('result()', `${error}`));
    await docket.add('noop' as never, {} as never, { key: 'later', when: '1h' });

    // Every command there is, so that a new one cannot be forgotten here.
    const calls: Readonly<Record<string, readonly (readonly string[])[]>> = {
      add: [
        ['add', 'noop'],
        ['add', 'noop', '{"a":'],
        ['add', 'noop', '{}', '--when', 'x'],
      ],
      cancel: [
        ['cancel', 'nothing'],
        ['cancel', '--task', 'none', '--yes'],
      ],
      clear: [['clear', '--yes']],
      count: [['ls', '--json']],
      doctor: [['doctor'], ['doctor', '--json']],
      failures: [['failures'], ['failures', 'groups'], ['failures', 'show', '1-1'], ['failures', 'retry', '1-1']],
      init: [['init', '--help']],
      limits: [['limits'], ['limits', '--json']],
      ls: [['ls'], ['ls', '--json'], ['ls', '--where', 'x']],
      partitions: [['partitions'], ['partitions', '0']],
      pause: [['pause', 'none', '--reason', 'r']],
      pauses: [['pauses'], ['pauses', '--json']],
      restore: [['restore', 'none']],
      resume: [['resume', 'none']],
      schedules: [['schedules'], ['schedules', 'run', 'none'], ['schedules', 'end', 'none']],
      show: [
        ['show', 'done'],
        ['show', 'done', '--json'],
        ['show', 'nothing'],
      ],
      snapshot: [['snapshot'], ['snapshot', '--json']],
      stats: [['stats'], ['stats', '--json']],
      strike: [['strike', 'none'], ['strike']],
      strikes: [['strikes', '--json']],
      tasks: [
        ['tasks', 'trace'],
        ['tasks', 'nothing'],
      ],
      top: [['top', '--help']], // it is run below, since it goes on until it is ended
      version: [['version']],
      watch: [
        ['watch', 'done'],
        ['watch', 'nothing'],
      ],
      workers: [['workers'], ['workers', '--json'], ['workers', 'for-task', 'noop']],
    };
    const names = docketCommand().commands.map((one) => one.name());
    const { count: _, ...others } = calls;
    expect([...Object.keys(others), 'dashboard', 'worker'].sort()).toEqual([...names].sort());
    for (const args of Object.values(calls).flat()) await command(args, env);
    const top = startDocket(['top'], env);
    await top.shows(/\S/);
    top.process.kill('SIGINT');
    await top.ended;
    note('docket top', top.output() + top.errors());

    const asked = async (path: string) => {
      const found = worker.lines.map(({ message }) => /http:\/\/\S+?:\d+/.exec(message)?.[0]).filter(Boolean);
      for (const base of new Set(found)) note(path, await (await fetch(`${base}${path}`)).text());
      return found.length;
    };
    for (const path of ['/metrics', '/healthz', '/readyz', '/']) expect(await asked(path)).toBeGreaterThan(0);

    // From now on the worker is refused, and says why.
    await admin.call('ACL', 'SETUSER', 'app', 'resetpass', '>other');
    await admin.call('CLIENT', 'KILL', 'USER', 'app');
    await waitFor(() => worker.errors.some((line) => line.includes('wrong user name or password')));
    await asked('/readyz');
    await docket.add('noop' as never).catch((error: unknown) => note('add()', `${error}`));
    await admin.call('ACL', 'SETUSER', 'app', 'resetpass', `>${URL_PASSWORD}`);
    worker.process.kill('SIGTERM');
    await worker.ended;
    note('the worker', [...worker.errors, ...worker.output].join('\n'));
    for (const key of await admin.keys('*')) note(`the key ${key}`, String(await admin.dumpBuffer(key)));
    expectNoSecrets();
  }, 240_000);

  test('is in no output of a command that fails, wherever on the command line or in the environment it is', async () => {
    const wrong = urlWith(WRONG_PASSWORD);
    const mistakes = [
      `redis://app:${WRONG_PASSWORD}@${address()}`,
      `redis://app:${URL_PASSWORD}@${address()}`, // not encoded
      `redis:/app:${WRONG_PASSWORD}@${address()}`,
      `redis://${address()}?password=${MARK}`,
      `redis://app:${MARK}`,
      `http://app:${MARK}@${address()}`,
      `redis://:${MARK}@127.0.0.1:1`,
      `redis+sentinel://:${MARK}@127.0.0.1:1/m`,
      `redis+cluster://:${MARK}@${address()}`,
      `rediss://:${MARK}@${address()}`,
    ];
    for (const url of [wrong, ...mistakes]) {
      expect(await command(['ls', '--url', url])).not.toBe(0);
      expect(await command(['doctor', '--url', url])).not.toBe(0);
      expect(await command(['doctor', '--json'], { DOCKET_URL: url })).not.toBe(0);
      expect(await command(['show', 'a', url])).not.toBe(0);
      const worker = await runDocketWorker(['--url', url, '--tasks', 'nowhere.js', '--connect-timeout', '1s']);
      note('docket-worker', worker.output + worker.errors);
    }
    for (const flag of ['--url', '--threads', '--nothing', '--name']) {
      const { code, output, errors } = await runDocketWorker([
        flag,
        wrong,
        '--tasks',
        'nowhere.js',
        '--connect-timeout',
        '1s',
      ]);
      expect(code).not.toBe(0);
      note('docket-worker', output + errors);
    }
    expectNoSecrets();
  }, 240_000);

  test('of sentinels, in a file or returned by a function is in no output and no error', async () => {
    const url = `redis+sentinel://127.0.0.1:${sentinelPort}/m`;
    const fileWith = (options: object) => {
      const file = join(folder, 'connection.json');
      writeFileSync(file, JSON.stringify(options));
      return { DOCKET_CONNECTION: file, DOCKET_URL: url, DOCKET_NAME: 's' };
    };
    const login = { username: 'asked', password: ASKED_PASSWORD };
    expect(await command(['ls'], fileWith({ ...login, sentinelPassword: SENTINEL_PASSWORD }))).toBe(0);
    expect(await command(['doctor'], fileWith({ ...login, sentinelPassword: SENTINEL_PASSWORD }))).not.toBeNull();
    for (const refused of [
      { ...login, sentinelPassword: WRONG_PASSWORD },
      { username: 'asked', password: WRONG_PASSWORD, sentinelPassword: SENTINEL_PASSWORD },
      { ...login, sentinelPassword: { a: MARK } },
      { ...login, password: [MARK] },
      { username: ASKED_PASSWORD, sentinelPassword: SENTINEL_PASSWORD },
      { ...login, sentinelPassword: SENTINEL_PASSWORD, natMap: MARK },
    ]) {
      expect(await command(['ls'], fileWith(refused))).not.toBe(0);
    }
    writeFileSync(join(folder, 'connection.json'), `{ "password": "${MARK}`);
    expect(await command(['ls'], { DOCKET_CONNECTION: join(folder, 'connection.json'), DOCKET_URL: url })).toBe(2);
    expectNoSecrets();
  }, 240_000);

  test('is not in what Node prints of an error that nobody catches', async () => {
    const open = (url: string, connection: string) => `
      import { inspect } from 'node:util';
      import { Docket } from 'docket';
      const docket = new Docket({ name: 'd', url: ${JSON.stringify(url)}, ${connection} });
      console.log(inspect(docket, { depth: 12, showHidden: true }), JSON.stringify(docket), String(docket));
      process.on('exit', () => console.log('exits'));
      await docket.add('noop').catch((error) => {
        console.log(inspect(error, { depth: 12, showHidden: true }));
        throw error;
      });`;
    const wrong = JSON.stringify(WRONG_PASSWORD);
    for (const [url, connection] of [
      [urlWith(WRONG_PASSWORD), ''],
      [urlWith(URL_PASSWORD).replace(String(port), '1'), ''],
      [`redis://${address()}`, `connection: { username: 'asked', password: async () => ${wrong} }`],
      [`redis://${address()}`, `connection: { username: async () => ${wrong} }`],
      [`redis+sentinel://127.0.0.1:${sentinelPort}/m`, `connection: { sentinelPassword: ${wrong} }`],
    ] as const) {
      const { code, stdout, stderr } = await runModule(open(url, connection));
      expect([code, stdout.includes('exits')]).toEqual([1, true]);
      // Node shows the line of the program that threw, which here has no secret.
      note(`a program with ${connection.replaceAll(new RegExp(`${MARK}.*`, 'g'), '…')}`, stdout + stderr);
    }
    expectNoSecrets();
  }, 240_000);

  test('that is the token of the dashboard is in none of its answers and lines', async () => {
    const env = { DOCKET_URL: urlWith(URL_PASSWORD), DOCKET_NAME: 'd' };
    const shell = startDocket(['dashboard', '--port', '0', '--token', TOKEN], env);
    const [, base] = /is at (http:\S+)/.exec(await shell.shows(/is at http:\S+\n/))!;
    const paths = ['', 'api/session', 'api/findings', 'api/workers', 'api/executions?list=queued', 'api/history'];
    for (const given of [TOKEN, `${TOKEN}x`, '']) {
      const authorization = `Basic ${Buffer.from(`ada:${given}`).toString('base64')}`;
      for (const path of [...paths, 'api/nothing', `api/find?where=${MARK.length}`]) {
        const response = await fetch(`${base}${path}`, { headers: { authorization } });
        note(`${path} ${response.status}`, JSON.stringify([...response.headers]) + (await response.text()));
      }
    }
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const change = await fetch(`${base}api/cancel`, { method: 'POST', headers, body: '{"key":"k"}' });
    note('a change', await change.text());
    const { csrf } = (await (await fetch(`${base}api/session`, { headers })).json()) as { csrf: string };
    const own = { ...headers, 'x-docket-csrf': csrf, 'sec-fetch-site': 'same-origin' };
    const made = await fetch(`${base}api/cancel`, { method: 'POST', headers: own, body: '{"key":"k"}' });
    expect([change.status, made.status]).toEqual([403, 200]);
    shell.process.kill('SIGTERM');
    await shell.ended;
    note('the dashboard', shell.output() + shell.errors());
    expect(await command(['dashboard', '--port', '0', '--token', `${MARK}`.slice(0, 5)], env)).toBe(2);
    expectNoSecrets();
  }, 240_000);
});
