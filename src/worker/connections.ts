/** Opens and closes the three connections of a worker. */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { WorkerSettings } from './options.js';
import { ServerWait, untilServed } from './server-wait.js';

export interface Connections {
  /** For every command that does not block. */
  readonly commands: Redis;
  /** For blocking reads. */
  readonly blocking: Redis;
  /** For subscriptions. */
  readonly subscriber: Redis;
}

/**
 * Opens all three, or none. Once open, they survive any outage.
 *
 * Waits for a server that is not there yet, or that does not take commands yet.
 *
 * @param onUnavailable - called with each failed attempt to connect, and each broken link
 * @throws RedisUnavailableError when waiting cannot help, or has taken longer than `connectTimeoutMs`
 */
export async function openConnections(
  docket: DocketSettings,
  { name, longestReadMs, longestPauseMs, connectTimeoutMs }: WorkerSettings,
  signal: AbortSignal,
  onUnavailable: (error: Error) => void,
): Promise<Connections> {
  const wait = new ServerWait(signal, connectTimeoutMs, onUnavailable);
  const options = { name, signal: wait.signal, longestPauseMs, onUnavailable: wait.onUnavailable };
  const opened: Redis[] = [];
  const open = async (role: 'commands' | 'blocking' | 'subscriber', longestBlockMs = 0) => {
    const redis = await openConnection(docket, role, { ...options, longestBlockMs });
    opened.push(redis);
    return redis;
  };
  try {
    const commands = await open('commands'); // alone, so that nothing is logged three times
    await untilServed(commands, docket, options);
    const [blocking, subscriber] = await settledAll([open('blocking', longestReadMs), open('subscriber')]);
    return { commands, blocking, subscriber };
  } catch (error) {
    await Promise.all(opened.map(closeConnection));
    throw wait.isOver ? wait.reason : error;
  } finally {
    wait.end();
  }
}

/** Waits for both, whatever becomes of the other. */
async function settledAll<A, B>([a, b]: readonly [Promise<A>, Promise<B>]): Promise<readonly [A, B]> {
  await Promise.allSettled([a, b]);
  return [await a, await b];
}

export async function closeConnections(connections: Connections): Promise<void> {
  await Promise.all(Object.values(connections).map(closeConnection));
}
