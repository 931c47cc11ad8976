/** Suites that need a real Redis, because they break what an embedded one does not have or must not lose. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { closeConnection, openConnection } from './built.js';
import { redisBinary } from './servers.js';
import { waitFor } from './wait.js';

/** A Redis on a unix socket that can be ended and started again, with or without what it held. */
export interface RealRedis {
  readonly url: string;
  readonly socket: string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same socket; it appends to a file, so that it still has what it confirmed. */
  start(): Promise<void>;
}

/** Runs a suite on a Redis of its own; without `redis-server` it is left out, and says so. */
export function describeOnRedis(name: string, suite: (redis: () => RealRedis) => void): void {
  const binary = redisBinary();
  if (binary === null) {
    describe.skip(`${name} [left out: redis-server is not installed]`, () => suite(() => undefined as never));
    return;
  }
  describe(name, () => {
    let redis: RealRedis & { remove(): Promise<void> };
    beforeAll(async () => {
      redis = await startRealRedis(binary);
    });
    afterAll(() => redis.remove());
    suite(() => redis);
  });
}

async function startRealRedis(binary: string): Promise<RealRedis & { remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'docket-real-'));
  const socket = join(folder, 'redis.sock');
  const url = `unix://${socket}`;
  const settings = { port: '0', unixsocket: socket, unixsocketperm: '700', dir: folder, save: '', appendonly: 'yes' };
  const args = Object.entries({ ...settings, appendfsync: 'always' }).flatMap(([name, value]) => [`--${name}`, value]);
  let server: ChildProcess | undefined;
  const killNow = () => server?.kill('SIGKILL'); // a failed test process must not leave it running
  process.once('exit', killNow);

  const kill = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };
  const start = async () => {
    server = spawn(binary, args, { stdio: 'ignore' });
    await waitFor(async () => closeConnection(await openConnection(url, 'producer')).then(() => true));
  };
  const remove = async () => {
    process.off('exit', killNow);
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  await start();
  return { url, socket, kill, start, remove };
}
