import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import type { Redis } from 'ioredis';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ConnectionRole } from '../../src/redis/connection.js';
import { builtUrl, closeConnection, openConnection } from '../support/built.js';
import { waitFor } from '../support/wait.js';

const opened: Redis[] = [];

async function open(url: string, role: ConnectionRole = 'commands'): Promise<Redis> {
  const redis = await openConnection(url, role);
  opened.push(redis);
  return redis;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map(closeConnection));
});

describe('memory:', () => {
  test('a blocking read ends with its connection, and takes no entries for a client that is gone', async () => {
    const [commands, blocking] = [await open('memory://gone'), await openConnection('memory://gone', 'blocking')];
    await commands.xgroup('CREATE', 'stream', 'group', '0', 'MKSTREAM');
    const reading = blocking.xreadgroup('GROUP', 'group', 'gone', 'BLOCK', 600_000, 'STREAMS', 'stream', '>');
    reading.catch(() => {});
    await waitFor(async () => ((await commands.xinfo('CONSUMERS', 'stream', 'group')) as unknown[]).length === 1);
    await closeConnection(blocking);
    await commands.xadd('stream', '*', 'field', 'value');
    expect(await commands.xpending('stream', 'group')).toEqual([0, null, null, []]);
  });

  test('clients of one name share data, which clients of another name do not see', async () => {
    const [one, other, stranger] = [await open('memory://a'), await open('memory://a'), await open('memory://b')];
    await one.set('key', 'value');
    expect(await other.get('key')).toBe('value');
    expect(await stranger.get('key')).toBeNull();
  });

  test('two first uses at once start one server', async () => {
    const [one, other] = await Promise.all([open('memory://at-once'), open('memory://at-once')]);
    await one.set('key', 'value');
    expect(await other.get('key')).toBe('value');
  });

  test('clients wait for a server that is busy for long', async () => {
    const redis = await openConnection('memory://busy', 'producer', { silenceMs: 30 });
    opened.push(redis);
    const spin = `local began = redis.call('TIME')
      repeat local now = redis.call('TIME') until (now[1] - began[1]) * 1000000 + now[2] - began[2] > 500000
      return 'done'`;
    expect(await redis.eval(spin, 0)).toBe('done');
  });

  test('data outlives the clients', async () => {
    const first = await open('memory://lasting');
    await first.set('key', 'value');
    await closeConnection(first);
    expect(await (await open('memory://lasting')).get('key')).toBe('value');
  });

  test('binary values come back unchanged', async () => {
    const redis = await open('memory://');
    const bytes = Buffer.from(Array.from({ length: 1_024 }, (_, i) => i % 256));
    await redis.set('bytes', bytes);
    expect(await redis.getBuffer('bytes')).toEqual(bytes);
    await redis.xadd('stream', '*', 'args', bytes);
    const [[, [, field] = []] = []] = await redis.xrangeBuffer('stream', '-', '+');
    expect(field).toEqual(bytes);
  });

  test('a loaded script runs by its hash', async () => {
    const redis = await open('memory://');
    const hash = await redis.script('LOAD', 'return {KEYS[1], ARGV[1]}');
    expect(await redis.evalsha(String(hash), 1, 'key', 'argument')).toEqual(['key', 'argument']);
  });

  test('a blocking read ends with what another client adds', async () => {
    const [reader, writer] = [await open('memory://', 'blocking'), await open('memory://')];
    let isRead = false;
    const read = reader.xread('BLOCK', 20_000, 'STREAMS', 'news', '$').finally(() => {
      isRead = true;
    });
    // Only what comes after the reader was blocked ends its read, and nothing tells when that is.
    await waitFor(async () => (await writer.xadd('news', '*', 'field', 'value')) && isRead);
    expect(await read).toMatchObject([['news', [[expect.any(String), ['field', 'value']]]]]);
  });

  test('subscribers hear what is published', async () => {
    const [subscriber, publisher] = [await open('memory://', 'subscriber'), await open('memory://')];
    await subscriber.subscribe('channel');
    const message = once(subscriber, 'message');
    await publisher.publish('channel', 'hello');
    expect(await message).toEqual(['channel', 'hello']);
  });

  test('only this user can reach the socket', async () => {
    const redis = await open('memory://');
    const { path } = redis.options;
    expect(statSync(dirname(path!)).mode & 0o777).toBe(0o700);
    expect(dirname(dirname(path!))).toBe(tmpdir());
  });

  test('a thread finds the servers that were there before it', async () => {
    await (await open('memory://shared')).set('key', 'from the main thread');
    const get = inThread(`(await openConnection('memory://shared', 'commands')).get('key')`);
    expect(await get).toBe('from the main thread');
  });

  test('a thread that asks for a server of its own gets an error that says what to do', async () => {
    const get = inThread(`openConnection('memory://unknown', 'commands')`);
    await expect(get).rejects.toThrow(
      /memory:\/\/unknown is not known in this thread: connect to it in the main thread/,
    );
  });
});

describe('a process that used memory://', () => {
  test('exits by itself once its connections are closed, and leaves no folder', async () => {
    const ended = await inProcess(`
      const redis = await openConnection('memory://', 'producer');
      const listening = await openConnection('memory://', 'subscriber');
      await listening.subscribe('channel');
      await redis.set('key', 'value');
      await Promise.all([closeConnection(redis), closeConnection(listening)]);
    `);
    expect(ended).toEqual({ code: 0, signal: null, output: '', left: [] });
  });

  test('leaves no folder when it exits with its connections open', async () => {
    const ended = await inProcess(`await openConnection('memory://', 'producer'); process.exit(3);`);
    expect(ended).toEqual({ code: 3, signal: null, output: '', left: [] });
  });

  test('is ended by SIGTERM as any other, and leaves only its folder with the dead socket', async () => {
    const ended = await inProcess(`
      await openConnection('memory://', 'producer');
      process.kill(process.pid, 'SIGTERM');
    `);
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM', output: '' });
    expect(ended.left).toHaveLength(1);
  });
});

const PRELUDE = `const { openConnection, closeConnection } = await import('${builtUrl('redis/connection.js')}');`;

/** Evaluates an expression in a new thread. */
async function inThread(expression: string): Promise<unknown> {
  const code = `(async () => { ${PRELUDE} require('node:worker_threads').parentPort.postMessage(await ${expression}); })()`;
  const thread = new Worker(code, { eval: true });
  try {
    const [answer] = await once(thread, 'message');
    return answer;
  } finally {
    await thread.terminate();
  }
}

/** Runs code in a child process with a temporary folder of its own; `left` is what is in that folder afterwards. */
async function inProcess(code: string) {
  const folder = mkdtempSync(join(tmpdir(), 'test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PRELUDE + code], {
    env: { ...process.env, TMPDIR: folder, NODE_OPTIONS: '' },
    timeout: 25_000,
    killSignal: 'SIGKILL',
  });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [exitCode, signal] = await once(child, 'exit');
  return { code: exitCode, signal, output: (await output).join(''), left: readdirSync(folder) };
}
