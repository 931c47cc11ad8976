/**
 * Starts Redis servers for tests. It owns two promises: no test touches a server that was there before, and no server
 * outlives the process that started it, however that process ends.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { closeConnection, openConnection } from './built.js';
import { REDIS_BINARY } from './redis-binary.js';

/** A server started for tests. */
export interface TestServer {
  readonly url: string;
  readonly kind: 'redis' | 'embedded';
  /** Ends the server and removes its folder. The embedded server ends with the process. */
  stop(): Promise<void>;
}

/** A Redis on a unix socket that can be ended and started again on the same data. */
export interface RestartableRedis extends TestServer {
  readonly socket: string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same socket, with all that it had confirmed. */
  start(): Promise<void>;
}

let shared: Promise<TestServer> | undefined;

/** Returns the Redis that all suites of this process share, emptied. The first call starts it; it ends with the process. */
export async function sharedRedis(): Promise<TestServer> {
  shared ??= startRedis();
  const server = await shared;
  const redis = await openConnection(server.url, 'commands');
  await redis.flushall(); // so that looking through all keys stays cheap
  await closeConnection(redis);
  return server;
}

/** Starts an embedded server with a name of its own. */
export function startEmbedded(): TestServer {
  return { url: `memory://test-${randomUUID()}`, kind: 'embedded', stop: async () => {} };
}

/** Starts a Redis that keeps nothing on disk, or the embedded server where `redis-server` is not installed. */
export async function startRedis(): Promise<TestServer> {
  return REDIS_BINARY === null ? startEmbedded() : await startRestartableRedis(false);
}

/** Starts a Redis. One that `isDurable` still has after a crash what it had confirmed before. */
export async function startRestartableRedis(isDurable: boolean): Promise<RestartableRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'docket-redis-'));
  const socket = join(folder, 'redis.sock');
  const persistence = isDurable ? { appendonly: 'yes', appendfsync: 'always' } : { appendonly: 'no' };
  const settings = { port: '0', unixsocket: socket, unixsocketperm: '700', dir: folder, save: '', ...persistence };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const { start, kill } = redisProcess(args);
  const stop = async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `unix://${socket}`, kind: 'redis', socket, kill, start, stop };
}

/** A process of `redis-server` that can be ended and started again with the same arguments. */
export interface RedisProcess {
  /** Starts it, and waits until it has written a line that matches. */
  start(isReady?: RegExp): Promise<void>;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
}

export function redisProcess(args: readonly string[]): RedisProcess {
  let running: ChildProcess | undefined;
  return {
    async start(isReady = /ready to accept connections/i) {
      running = guarded(REDIS_BINARY!, args);
      await ready(running, isReady);
    },
    async kill() {
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, 'exit');
      running.stdin!.end();
      await exited;
    },
  };
}

/**
 * Kills the command when its standard input ends, which it does when the process at the other end has gone. The output ends with the
 * command: the shell closes its own.
 */
const GUARD = '"$@" & child=$!; exec >&-; read -r _; kill -9 $child; wait $child 2>/dev/null';

/** Starts a command that cannot outlive this process, even if that is killed and runs nothing on its way out. */
function guarded(command: string, args: readonly string[]): ChildProcess {
  return spawn('sh', ['-c', GUARD, 'sh', command, ...args], { stdio: ['pipe', 'pipe', 'ignore'] });
}

async function ready(server: ChildProcess, isReady: RegExp): Promise<void> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: server.stdout! })) {
    lines.push(line);
    if (isReady.test(line)) {
      server.stdout!.resume(); // a full pipe would stop the server
      return;
    }
  }
  throw new Error(`redis-server did not start:\n${lines.join('\n')}`);
}
