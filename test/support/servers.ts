/** Redis servers for tests: always their own, never one that was there before. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe } from 'vitest';

/** A server started for a test. */
export interface TestServer {
  readonly url: string;
  readonly kind: 'redis' | 'embedded';
  /** Ends the server and removes its folder; the embedded one ends with the process. */
  stop(): Promise<void>;
}

/** Starts a Redis of its own, or falls back to the embedded server where `redis-server` is not installed. */
export async function startRedis(): Promise<TestServer> {
  const binary = redisBinary();
  return binary === null ? embeddedServer() : startBinary(binary);
}

/** The path of `redis-server`, or null where it is not installed. */
export function redisBinary(): string | null {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'redis-server'));
  return candidates.find(isExecutable) ?? null;
}

/**
 * Runs a suite on the embedded server and on a real Redis. Each has one server for the whole suite, so that tests keep
 * apart by docket name; `url()` is known once the suite runs. Without `redis-server` the second suite is left out, and
 * says so.
 */
export function describeEachServer(name: string, suite: (url: () => string) => void): void {
  const binary = redisBinary();
  describeOn(`${name} (embedded)`, async () => embeddedServer(), suite);
  if (binary !== null) describeOn(`${name} (redis)`, () => startBinary(binary), suite);
  else describe.skip(`${name} (redis) [left out: redis-server is not installed]`, () => suite(() => ''));
}

function describeOn(name: string, start: () => Promise<TestServer>, suite: (url: () => string) => void): void {
  describe(name, () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());
    suite(() => server.url);
  });
}

function embeddedServer(): TestServer {
  return { url: `memory://test-${randomUUID()}`, kind: 'embedded', stop: async () => {} };
}

async function startBinary(binary: string): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'docket-test-'));
  const socket = join(folder, 'redis.sock');
  const settings = { port: '0', unixsocket: socket, unixsocketperm: '700', dir: folder, save: '', appendonly: 'no' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn(binary, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => server.kill('SIGKILL'); // a failed test process must not leave it running
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    await end(server);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await ready(server);
    return { url: `unix://${socket}`, kind: 'redis', stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ready(server: ChildProcess): Promise<void> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: server.stdout! })) {
    lines.push(line);
    if (/ready to accept connections/i.test(line)) {
      server.stdout!.resume(); // a full pipe would stop the server
      return;
    }
  }
  throw new Error(`redis-server did not start:\n${lines.join('\n')}`);
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return;
  const exited = once(server, 'exit');
  server.kill('SIGKILL');
  await exited;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
