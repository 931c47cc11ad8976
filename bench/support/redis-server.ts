/** A redis-server for the bench alone: nothing on disk, no other clients, removed with the bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, Redis } from 'ioredis';

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

  override sendCommand(command: Command, pipeline?: Parameters<Redis['sendCommand']>[1]): unknown {
    this.commandsSent++;
    if (!pipeline || pipeline !== this.#pipeline) this.tripsMade++;
    this.#pipeline = pipeline;
    return super.sendCommand(command, pipeline);
  }
}

/** Starts `redis-server` without persistence on a unix socket in a temporary folder. */
export async function startRedis(): Promise<BenchRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'docket-bench-'));
  const path = join(folder, 'redis.sock');
  const settings = ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', settings, { stdio: 'ignore' });
  // Also when the bench is interrupted, so that no server and no folder stay behind.
  const remove = () => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', remove);

  const admin = new AdminConnection({ path, retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => {}); // refused until the server listens
  try {
    await Promise.race([admin.ping(), failure(server), expiry()]);
  } catch (error) {
    admin.disconnect();
    remove();
    throw error;
  }
  return {
    path,
    url: `unix://${path}`,
    admin,
    async reset() {
      await admin.flushall('SYNC');
      await admin.config('RESETSTAT');
    },
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
