/** Opens and closes the three connections of a worker. */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { WorkerSettings } from './options.js';

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
 * @param onUnavailable - called with each failed attempt to connect, and each broken link
 * @throws RedisUnavailableError when the server cannot be reached: at the start a wrong URL is likelier than an outage
 */
export async function openConnections(
  docket: DocketSettings,
  { name, longestReadMs, longestPauseMs }: WorkerSettings,
  signal: AbortSignal,
  onUnavailable: (error: Error) => void,
): Promise<Connections> {
  await closeConnection(await openConnection(docket, 'producer', { name, signal })); // a producer fails fast; the others keep trying
  const options = { name, signal, longestPauseMs, onUnavailable };
  const opened = await Promise.allSettled([
    openConnection(docket, 'commands', options),
    openConnection(docket, 'blocking', { ...options, longestBlockMs: longestReadMs }),
    openConnection(docket, 'subscriber', options),
  ]);
  const [commands, blocking, subscriber] = opened.map((one) => (one.status === 'fulfilled' ? one.value : null));
  if (commands && blocking && subscriber) return { commands, blocking, subscriber };
  await Promise.all([commands, blocking, subscriber].map((one) => one && closeConnection(one)));
  throw (opened.find((one) => one.status === 'rejected') as PromiseRejectedResult).reason;
}

export async function closeConnections(connections: Connections): Promise<void> {
  await Promise.all(Object.values(connections).map(closeConnection));
}
