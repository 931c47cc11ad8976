import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ConnectionOptions, ConnectionRole } from '../../src/redis/connection.js';
import { block } from '../fixtures/worker/block.js';
import { closeConnection, openConnection } from '../support/built.js';
import { startRedis } from '../support/servers.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const ROLES: readonly ConnectionRole[] = ['producer', 'commands', 'blocking', 'subscriber'];
const opened: Redis[] = [];

async function open(url: string, role: ConnectionRole, options?: ConnectionOptions): Promise<Redis> {
  const redis = await openConnection(url, role, options);
  opened.push(redis);
  return redis;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map(closeConnection));
});

describe('opening a connection:', () => {
  test('a producer fails at once when nothing listens', async () => {
    const port = await closedPort();
    const error = await openConnection(`redis://app:s3cret@127.0.0.1:${port}`, 'producer').catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'DOCKET_REDIS_UNAVAILABLE' });
    expect((error as Error).message).toBe(
      `cannot use Redis at redis://app:***@127.0.0.1:${port}: the connection was refused: nothing listens there`,
    );
    expect(inspect(error, { depth: 9 })).not.toContain('s3cret');
  });

  test('a producer fails when the socket is missing, the host unknown, or the server hangs up', async () => {
    await expect(openConnection('unix:///nowhere/redis.sock', 'producer')).rejects.toThrow('no socket at this path');
    await expect(openConnection('redis://nowhere.invalid', 'producer')).rejects.toThrow('the host name is not known');
    const port = await listen((socket) => socket.destroy());
    await expect(openConnection(`redis://127.0.0.1:${port}`, 'producer')).rejects.toThrow(
      'the server closed the connection',
    );
  });

  test('a producer fails when the server accepts and stays silent', async () => {
    const port = await listen(() => {});
    const opening = openConnection(`redis://127.0.0.1:${port}`, 'producer', { silenceMs: 100 });
    await expect(opening).rejects.toThrow('silent for too long');
  });

  test('TLS to a server that does not speak it fails for every role', async () => {
    const port = await listen((socket) => socket.end('-ERR not TLS\r\n'));
    for (const role of ROLES) {
      await expect(openConnection(`rediss://127.0.0.1:${port}`, role)).rejects.toThrow('TLS failed');
    }
  });

  test('a worker waits for its server, and reports why', async () => {
    const port = await closedPort();
    const problems: Error[] = [];
    const opening = open(`redis://127.0.0.1:${port}`, 'commands', { onUnavailable: (error) => problems.push(error) });
    await waitFor(() => problems.length >= 3);
    expect(problems[0]?.message).toContain('the connection was refused');
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const path =
      redis.kind === 'redis' ? new URL(redis.url).pathname : (await open(redis.url, 'commands')).options.path!;
    await listen((socket) => socket.pipe(dial(path)).pipe(socket), port);
    expect(await (await opening).ping()).toBe('PONG');
  });

  test('a worker pauses no longer than its option allows before it tries again', async () => {
    const problems: Error[] = [];
    const onUnavailable = (error: Error) => void problems.push(error);
    const call = new AbortController();
    const options = { onUnavailable, longestPauseMs: 10, signal: call.signal };
    const opening = openConnection(`redis://127.0.0.1:${await closedPort()}`, 'commands', options);
    await waitFor(() => problems.length >= 20); // of themselves the pauses would add up to half a minute
    call.abort(new Error('enough'));
    await expect(opening).rejects.toThrow('enough');
  });

  test('a waiting worker can be called off', async () => {
    const call = new AbortController();
    const opening = openConnection(`redis://127.0.0.1:${await closedPort()}`, 'blocking', { signal: call.signal });
    call.abort(new Error('enough'));
    await expect(opening).rejects.toThrow('enough');
  });
});

describeOnRedis('a connection to a real server:', () => {
  test('wrong credentials and missing databases are reported to every role, without the password', async () => {
    const server = await serverOfItsOwn();
    const admin = await open(server.url, 'commands');
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>right', '~*', '+@all');
    const path = new URL(server.url).pathname;
    for (const role of ROLES) {
      const error = await openConnection(`unix://app:s3cret@${path}`, role).catch((e: unknown) => e);
      expect((error as Error).message).toContain('wrong user name or password (WRONGPASS');
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
      await expect(openConnection(`unix://app:right@${path}?db=99`, role)).rejects.toThrow('DB index is out of range');
    }
    await admin.call('ACL', 'SETUSER', 'default', '>required', 'resetpass', '>required');
    await expect(openConnection(server.url, 'producer')).rejects.toThrow('the server asks for a password');
  });

  test('a producer rejects what was in flight when the link breaks, and reconnects', async () => {
    const { url, cut, silence } = await proxied();
    const redis = await open(url, 'producer');
    silence(true);
    const write = redis.incr('n');
    cut();
    silence(false);
    await expect(write).rejects.toThrow('max retries per request');
    await waitFor(() => redis.status === 'ready');
    expect(await redis.get('n')).toBeNull(); // nothing was sent again
  });

  test('a worker sends again what was in flight', async () => {
    const { url, cut, silence } = await proxied();
    const redis = await open(url, 'commands');
    silence(true);
    const write = redis.incr('n');
    cut();
    silence(false);
    expect(await write).toBe(1);
  });

  test('a silent link is replaced, even during a blocking read', async () => {
    const { url, silence } = await proxied();
    const reader = await open(url, 'blocking', { silenceMs: 200, longestBlockMs: 100 });
    const listener = await open(url, 'subscriber', { silenceMs: 200 });
    await listener.subscribe('channel');
    silence(true);
    const read = reader.xread('BLOCK', 100, 'STREAMS', 'news', '0');
    await Promise.all([once(reader, 'reconnecting'), once(listener, 'reconnecting')]);
    silence(false);
    expect(await read).toBeNull();
    const writer = await open(url, 'commands');
    const message = once(listener, 'message');
    await waitFor(async () => (await writer.publish('channel', 'hello')) === 1);
    expect(await message).toEqual(['channel', 'hello']);
  });

  test('a link is asked whether it lives only when nothing else shows it', async () => {
    const { url } = await serverOfItsOwn();
    const admin = await open(url, 'commands', { silenceMs: 600_000 });
    const pings = async () => Number(/cmdstat_ping:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
    const turnMs = 400;
    const reader = await open(url, 'blocking', { silenceMs: 3 * turnMs });
    const busy = await open(url, 'commands', { silenceMs: 3 * turnMs });
    const read = () => reader.xread('BLOCK', 50, 'STREAMS', 'news', '0');
    const get = () => busy.get('key').then(() => delay(50));
    /** Speaks for two turns. Returns how many PINGs there were, and whether this process kept pace. */
    const speak = async () => {
      const before = await pings();
      let longestMs = 0;
      for (const beginMs = performance.now(); performance.now() - beginMs < 2.5 * turnMs; ) {
        const sentMs = performance.now();
        await Promise.all([read(), get()]);
        longestMs = Math.max(longestMs, performance.now() - sentMs);
      }
      return { pings: (await pings()) - before, isSteady: longestMs < turnMs / 2 };
    };
    let spoken = await speak();
    while (!spoken.isSteady) spoken = await speak();
    expect(spoken.pings).toBe(0);
    const idle = await open(url, 'commands', { silenceMs: 90 });
    await once(idle, 'heard');
    const listener = await open(url, 'subscriber', { silenceMs: 90 });
    await Promise.all([listener.subscribe('channel'), once(listener, 'heard')]);
    expect(await pings()).toBeGreaterThanOrEqual(2);
  });

  test('a link that is only slow is kept while a large reply arrives on it', async () => {
    const { url } = await trickling(new URL((await serverOfItsOwn()).url).pathname);
    const redis = await open(url, 'blocking', { silenceMs: 1_000 });
    await redis.set('large', 'x'.repeat(200_000));
    let closes = 0;
    redis.on('close', () => closes++);
    expect(await redis.get('large')).toHaveLength(200_000);
    expect(closes).toBe(0);
  });

  test('a link to a replica is replaced, once in a pause and not with each write that it refuses', async () => {
    const { url } = await serverOfItsOwn();
    const redis = await open(url, 'commands', { longestPauseMs: 600_000 });
    await redis.call('REPLICAOF', '127.0.0.1', '1');
    let closes = 0;
    redis.on('close', () => closes++);
    const refused = () => expect(redis.set('key', 'value')).rejects.toThrow('READONLY');
    await Promise.all([once(redis, 'ready'), refused()]);
    for (let round = 0; round < 5; round++) await Promise.all([refused(), refused(), refused()]);
    expect(redis.status).toBe('ready');
    expect(closes).toBe(1);
  });

  test('says when its link falls silent, and when it is heard again', async () => {
    const proxy = await stoppingProxy(new URL((await serverOfItsOwn()).url).pathname);
    const redis = await open(proxy.url, 'subscriber', { silenceMs: 3_000 });
    let closes = 0;
    redis.on('close', () => closes++);
    await once(redis, 'heard');
    proxy.hold('subscriber');
    await once(redis, 'silent');
    proxy.release();
    await once(redis, 'heard');
    expect(closes).toBe(0);
  });

  test('a busy process keeps its link', async () => {
    const { url } = await serverOfItsOwn();
    const redis = await open(url, 'producer', { silenceMs: 150 });
    let closes = 0;
    redis.on('close', () => closes++);
    for (let round = 0; round < 5; round++) {
      // The answer arrives while the process is busy, which is for longer than the silence allowed.
      const slow = redis.eval('for i = 1, 100000 do end', 0);
      block(400);
      await new Promise(setImmediate);
      if (round === 4) await slow;
    }
    expect(await redis.ping()).toBe('PONG');
    expect(closes).toBe(0);
  });

  test('its name says what it is for', async () => {
    const { url } = await serverOfItsOwn();
    const redis = await open(url, 'blocking', { name: 'host one#7' });
    expect(await redis.client('GETNAME')).toBe('docket:blocking:host_one#7');
    expect(await (await open(url, 'producer')).client('GETNAME')).toBe('docket:producer');
  });
});

describeOnRedis('closing', () => {
  test('ends a connection between two attempts to connect, and settles what waits in it', async () => {
    const { url, stop } = await proxied();
    const redis = await open(url, 'commands');
    stop();
    await waitFor(() => redis.status === 'reconnecting');
    const write = redis.set('key', 'value');
    write.catch(() => {});
    await closeConnection(redis);
    expect(redis.status).toBe('end');
    await expect(write).rejects.toThrow('Connection is closed');
  });

  test.each(['wait', 'connecting', 'connect', 'ready'] as const)(
    'ends a connection that is in state %s',
    async (state) => {
      const { url } = await serverOfItsOwn();
      const redis = new Redis({ path: new URL(url).pathname, lazyConnect: true });
      redis.on('error', () => {});
      if (state !== 'wait') redis.connect().catch(() => {});
      if (state === 'connect' || state === 'ready') await once(redis, state);
      await closeConnection(redis);
      expect(redis.status).toBe('end');
      await closeConnection(redis);
    },
  );
});

async function serverOfItsOwn() {
  const server = await startRedis();
  onTestFinished(() => server.stop());
  return server;
}

/** A real server behind a proxy that can be cut (links break), silenced (bytes vanish) and stopped. */
async function proxied() {
  const path = new URL((await serverOfItsOwn()).url).pathname;
  const links = new Set<Socket>();
  let isSilent = false;
  const { port, close } = await listening((socket) => {
    const server = dial(path);
    for (const [from, to] of [
      [socket, server],
      [server, socket],
    ] as const) {
      links.add(from);
      from.on('data', (data) => isSilent || to.write(data));
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  });
  const cut = () => {
    for (const link of links) link.destroy();
    links.clear();
  };
  const silence = (value: boolean) => {
    isSilent = value;
  };
  const stop = () => {
    close();
    cut();
  };
  return { url: `redis://127.0.0.1:${port}`, cut, silence, stop };
}

async function listen(onSocket: (socket: Socket) => void, port = 0): Promise<number> {
  return (await listening(onSocket, port)).port;
}

async function listening(onSocket: (socket: Socket) => void, wanted = 0) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket);
  });
  await once(server.listen(wanted, '127.0.0.1'), 'listening');
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(close);
  return { port: (server.address() as AddressInfo).port, close };
}

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Opens a way to a server on which replies take a second for each 50 kB. */
async function trickling(path: string): Promise<{ readonly url: string }> {
  const server = createServer((socket) => {
    const upstream = dial(path);
    const end = () => [socket, upstream].map((one) => one.destroy());
    for (const one of [socket, upstream]) one.on('error', end).on('close', end);
    socket.pipe(upstream);
    const chunks: Buffer[] = [];
    upstream.on('data', (data) => {
      for (let at = 0; at < data.length; at += 1_000) chunks.push(data.subarray(at, at + 1_000));
    });
    const timer = setInterval(() => {
      const chunk = chunks.shift();
      if (chunk) socket.write(chunk);
    }, 20);
    socket.on('close', () => clearInterval(timer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
