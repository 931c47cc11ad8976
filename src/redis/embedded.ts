/**
 * Runs the Redis servers embedded in this process, for `memory://`. Owns the rule that a process has one server per
 * name, which lives until the process ends: a Docket finds what an earlier one in the same process wrote. Only a server that
 * was started for a test, with a clock of its own, is stopped before that.
 *
 * The servers listen on unix sockets in a folder that only this user can enter. The folder is removed when the process
 * exits. A process that is ended by a signal it does not handle runs no more code, and leaves the folder behind.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getEnvironmentData, isMainThread, setEnvironmentData, Worker } from 'node:worker_threads';
import { BundledError, RedisUnavailableError } from '../core/errors.js';
import { ownFile } from '../core/own-files.js';
import { type ManualClock, setManualClock } from './manual-clock.js';

/**
 * Returns the path of the embedded server's socket, and starts the server on first use. The server never keeps the
 * process alive.
 *
 * Threads that were started after the server find it too: its path is in the environment data they inherit.
 *
 * @throws {@link RedisUnavailableError} when the server cannot start, or in a thread that was started before it.
 */
export async function embeddedSocket(name: string): Promise<string> {
  const known = getEnvironmentData(environmentKey(name));
  if (typeof known === 'string') return known;
  if (!isMainThread) {
    throw new RedisUnavailableError(
      `memory://${name} is not known in this thread: connect to it in the main thread before the thread is started`,
    );
  }
  const { path } = await (servers.get(name) ?? start(name, null));
  return path;
}

/**
 * Starts an embedded server that goes by a manual clock, also in a thread. The name must be new in this process.
 * @throws {@link RedisUnavailableError} when the server cannot start
 */
export async function startWithClock(name: string, clock: ManualClock): Promise<void> {
  await start(name, clock);
  setManualClock(name, clock);
}

/** Ends the server that `startWithClock` has started under this name, and forgets what it held. */
export async function stopEmbeddedServer(name: string): Promise<void> {
  const server = await servers.get(name);
  servers.delete(name);
  setManualClock(name, null);
  setEnvironmentData(environmentKey(name), undefined);
  if (server === undefined) return;
  await server.thread.terminate();
  rmSync(server.path, { force: true });
  if (servers.size === 0) removeFolder(); // a thread that is terminated has no time for it at its end
}

function start(name: string, clock: ManualClock | null): Promise<EmbeddedServer> {
  const started = startServer(name, clock);
  servers.set(name, started);
  started.catch(() => servers.delete(name)); // the next use tries again
  return started;
}

interface EmbeddedServer {
  /** Path of its socket. */
  readonly path: string;
  readonly thread: Worker;
}

/**
 * One promise per name, so that two first uses at the same time share one server. Belongs to the process, as they do.
 */
const servers = new Map<string, Promise<EmbeddedServer>>();
let folder: string | undefined;

async function startServer(name: string, clock: ManualClock | null): Promise<EmbeddedServer> {
  try {
    // The file does not have the server's name: a socket path has at most about 100 bytes.
    const path = join(socketFolder(), `${randomBytes(4).toString('hex')}.sock`);
    // No execArgv: the loaders and flags of the host must not reach this thread.
    const workerData = { path, clock: clock?.memory ?? null };
    const thread = new Worker(ownFile('redis/embedded-server.js'), { workerData, execArgv: [] });
    await once(thread, 'message');
    thread.on('error', () => {}); // its clients see their connections end; it must not end the host
    thread.unref();
    setEnvironmentData(environmentKey(name), path);
    return { path, thread };
  } catch (cause) {
    if (cause instanceof BundledError) throw cause;
    const problem = isServerMissing(cause)
      ? `memory://${name} needs a package that docket does not install: npm install --save-dev ${SERVER_PACKAGE}@${SERVER_VERSION}`
      : `the embedded server of memory://${name} could not start: ${cause}`;
    throw new RedisUnavailableError(problem, { cause });
  }
}

/** An optional peer dependency: it asks for a newer Node and another ioredis than docket does, but uses neither. */
const SERVER_PACKAGE = 'js-redis-server';
const SERVER_VERSION = '0.3';

function isServerMissing(cause: unknown): boolean {
  return (
    cause instanceof Error &&
    'code' in cause &&
    cause.code === 'ERR_MODULE_NOT_FOUND' &&
    cause.message.includes(SERVER_PACKAGE)
  );
}

/** The most bytes that a socket's path may have on all systems: 104, with a zero at its end. */
const MAX_PATH_BYTES = 103;
const SHORT_FOLDER = '/tmp';

function socketFolder(): string {
  if (folder !== undefined) return folder;
  const hasRoom = Buffer.byteLength(join(tmpdir(), 'docket-123456', '12345678.sock')) <= MAX_PATH_BYTES;
  folder = mkdtempSync(join(hasRoom ? tmpdir() : SHORT_FOLDER, 'docket-')); // for this user only: mkdtemp makes it 0700
  // One listener for all folders that follow each other, as the servers of tests come and go.
  if (!removesAtExit) process.once('exit', removeFolder);
  removesAtExit = true;
  return folder;
}

let removesAtExit = false;

function removeFolder(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
}

function environmentKey(name: string): string {
  return `docket.memory.${name}`;
}
