/** A redis-server for the bench alone: nothing on disk, no other clients, removed with the bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Redis, type RedisOptions } from 'ioredis';

const START_TIMEOUT_MS = 10_000;

export interface BenchRedis extends AsyncDisposable {
  /** Path of the unix socket, for ioredis and BullMQ. */
  readonly path: string;
  /** The same as a URL, for docket. */
  readonly url: string;
  /** The bench's own connection, for flushes, counts and audits. Peers open their own. */
  readonly admin: AdminConnection;
  /** Empties the server and its statistics before the next run. */
  reset(): Promise<void>;
}

/** A connection that counts what it sends, so that it can be left out of what the contenders cost. */
export class AdminConnection extends Redis {
  commandsSent = 0;
  /** Writes to the socket; a pipeline is one. */
  tripsMade = 0;
  #pipeline: unknown;

  /** Bytes that it sent and received. */
  get bytesMoved(): number {
    return this.stream.bytesWritten + this.stream.bytesRead;
  }

  override sendCommand(command: Command, pipeline?: Parameters<Redis['sendCommand']>[1]): unknown {
    this.commandsSent++;
    if (!pipeline || pipeline !== this.#pipeline) this.tripsMade++;
    this.#pipeline = pipeline;
    return super.sendCommand(command, pipeline);
  }
}

/** Starts `redis-server` without persistence on a unix socket in a temporary folder. */
export async function startRedis(): Promise<BenchRedis> {
  const folder = makeFolder();
  const path = join(folder, 'redis.sock');
  const server = await startServer(folder, ['--port', '0', '--unixsocket', path], { path });
  const { admin } = server;
  return {
    ...server,
    path,
    url: `unix://${path}`,
    async reset() {
      await admin.flushall('SYNC');
      await admin.config('RESETSTAT');
    },
  };
}

/** Makes the temporary folder of one server. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'docket-bench-'));
}

/** A redis-server with the bench's connection to it. */
export type Server = Pick<BenchRedis, 'admin'> & AsyncDisposable;

/** Starts one `redis-server` without persistence, and removes its folder with it. */
export async function startServer(
  folder: string,
  settings: readonly string[],
  address: Pick<RedisOptions, 'path' | 'host' | 'port'>,
): Promise<Server> {
  const server = spawn('redis-server', [...settings, '--dir', folder, '--save', '', '--appendonly', 'no'], {
    stdio: 'ignore',
  });
  // Also when the bench is interrupted, so that no server and no folder stay behind.
  const remove = () => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', remove);

  const admin = new AdminConnection({ ...address, retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => {}); // refused until the server listens
  try {
    await Promise.race([admin.ping(), failure(server), expiry()]);
  } catch (error) {
    admin.disconnect();
    remove();
    throw error;
  }
  return {
    admin,
    async [Symbol.asyncDispose]() {
      admin.disconnect();
      process.removeListener('exit', remove);
      const gone = once(server, 'exit');
      remove();
      await gone;
    },
  };
}

async function failure(server: ChildProcess): Promise<never> {
  const reason = await once(server, 'exit').then(
    ([code]) => `it ended with ${code}`,
    (error: Error) => error.message,
  );
  throw new Error(`the bench needs redis-server on the PATH: ${reason}`);
}

async function expiry(): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, START_TIMEOUT_MS).unref());
  throw new Error(`redis-server did not answer within ${START_TIMEOUT_MS} ms`);
}
