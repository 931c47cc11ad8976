/** Where the server of a target is, and who logs in there. */
import { expect, test, vi } from 'vitest';
import type { ServerConnectionOptions } from '../../../src/core/server-connection.js';
import { Secrets } from '../../../src/redis/secrets.js';
import { locatorFor, type RemoteTarget } from '../../../src/redis/server-locator.js';
import { parseRedisUrl } from '../../../src/redis/url.js';
import { scriptedServer } from '../../support/scripted-server.js';

const NEVER = new AbortController().signal;

function locate(url: string, settings: ServerConnectionOptions = {}, { timeoutMs = 5_000 } = {}) {
  const secrets = new Secrets();
  const target = parseRedisUrl(url) as RemoteTarget;
  return { secrets, ...locatorFor(target, settings, { key: 'key', secrets, timeoutMs }) };
}

/** A sentinel that names this master, and this other sentinel. */
async function sentinel({ other = ['10.9.9.9', '26379'] } = {}) {
  return await scriptedServer((command, what) => {
    if (command.toLowerCase() !== 'sentinel') return;
    if (what === 'get-master-addr-by-name') return ['10.0.0.1', '6379'];
    return [['ip', other[0]!, 'port', other[1]!]];
  });
}

/** Who logged in, by AUTH or HELLO. */
const loginsIn = (commands: readonly string[]) =>
  commands.flatMap((command) => /\bauth (.*)/i.exec(command)?.[1] ?? []);

test('the options win over the URL', async () => {
  const fromUrl = locate('redis://app:inurl@host');
  expect(await fromUrl.login(NEVER)).toEqual({ username: 'app', password: 'inurl' });
  const fromOptions = locate('redis://app:inurl@host', { username: () => 'other', password: 'inoptions' });
  expect(await fromOptions.login(NEVER)).toEqual({ username: 'other', password: 'inoptions' });
  expect([fromUrl.hasFixedLogin, fromOptions.hasFixedLogin]).toEqual([true, false]);
  expect([fromUrl.findsMaster, locate('redis+cluster://host').findsMaster]).toEqual([false, true]);
});

test('what is asked for is shown in no error', async () => {
  const { login, secrets } = locate('redis://host', { password: async () => 's3cret' });
  await login(NEVER);
  const error = new Error('ERR unknown command AUTH s3cret');
  secrets.removeFrom(error);
  expect(error.message).toBe('ERR unknown command AUTH ***');
});

test('a server and a socket are where the URL says', async () => {
  expect(await locate('redis://host:7000').find(NEVER)).toMatchObject({ host: 'host', port: 7000 });
  expect(await locate('unix:///run/redis.sock').find(NEVER)).toEqual({ path: '/run/redis.sock' });
});

test('sentinels never get the credentials of the servers, only their own', async () => {
  const { port, commands } = await sentinel();
  const url = `redis+sentinel://app:inurl@127.0.0.1:${port}/m`;
  await locate(url, { password: () => 'inoptions' }).find(NEVER);
  expect(loginsIn(commands)).toEqual([]);
  await locate(url, { sentinelUsername: 'watcher', sentinelPassword: async () => 'theirs' }).find(NEVER);
  expect(loginsIn(commands)).toEqual(['watcher theirs']);
});

test('sentinels can be asked without TLS although the servers need it', async () => {
  const { port } = await sentinel();
  const { find, tls } = locate(`rediss+sentinel://127.0.0.1:${port}/m`, { sentinelTls: false });
  expect(await find(NEVER)).toEqual({ host: '10.0.0.1', port: 6379 });
  expect(tls).toEqual({});
});

test('the nodes of a cluster get the credentials of the servers', async () => {
  const { port, commands } = await scriptedServer((command, what) =>
    command.toLowerCase() === 'cluster' && what === 'SLOTS' ? [[0, 16_383, ['10.0.0.7', 7000, 'id']]] : undefined,
  );
  expect(await locate(`redis+cluster://app:inurl@127.0.0.1:${port}`).find(NEVER)).toEqual({
    host: '10.0.0.7',
    port: 7000,
  });
  expect(loginsIn(commands)).toEqual(['app inurl']);
});

test('the addresses that sentinels name are translated, those of masters and of other sentinels', async () => {
  const known = await sentinel();
  const first = await sentinel({ other: ['10.0.0.2', '26379'] });
  const { find } = locate(`redis+sentinel://127.0.0.1:${first.port}/m`, {
    natMap: {
      '10.0.0.1:6379': { host: 'master.example', port: 1 },
      '10.0.0.2:26379': { host: known.host, port: known.port },
    },
  });
  for (let i = 0; i < 20 && known.commands.length === 0; i++) {
    expect(await find(NEVER)).toEqual({ host: 'master.example', port: 1 });
  }
  expect(known.commands).not.toEqual([]);
});

test('the node that a reply names is translated, and asked first', async () => {
  const slots = (host: string) => (command: string) =>
    command.toLowerCase() === 'cluster' ? [[0, 16_383, [host, 7000, 'id']]] : undefined;
  const seed = await scriptedServer(slots('10.0.0.7'));
  const named = await scriptedServer(slots('10.0.0.8'));
  const natMap = { '10.0.0.9:7000': { host: named.host, port: named.port } };
  const { find, learn } = locate(`redis+cluster://127.0.0.1:${seed.port}`, { natMap });
  learn({ host: '10.0.0.9', port: 7000 });
  expect(await find(NEVER)).toMatchObject({ host: '10.0.0.8' });
  expect(await locate(`redis+cluster://127.0.0.1:${seed.port}`).find(NEVER)).toMatchObject({ host: '10.0.0.7' });
});

test('a function that does not answer in time is named, and one that is asked during a close is left', async () => {
  const hanging = { password: () => new Promise<string>(() => {}) };
  await expect(locate('redis://host', hanging, { timeoutMs: 20 }).login(NEVER)).rejects.toThrow(
    'the function connection.password failed: it has not answered within 20 ms',
  );
  const closing = new AbortController();
  const asked = locate('redis://host', hanging, { timeoutMs: 600_000 }).login(closing.signal);
  closing.abort(new Error('closed'));
  await expect(asked).rejects.toThrow('closed');
});

test.each([
  ['it must return text, and returned number', () => 5 as never],
  ['the vault is locked', () => Promise.reject(new Error('the vault is locked'))],
  ['the vault is shut', vi.fn(() => Promise.reject('the vault is shut'))],
])('%s: the error names the function', async (problem, username) => {
  await expect(locate('redis://host', { username }).login(NEVER)).rejects.toThrow(
    `the function connection.username failed: ${problem}`,
  );
});
