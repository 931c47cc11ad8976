/** The connections of one worker: one for blocking reads, one to hear of wake-ups, one for everything else. */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { WorkerSettings } from './options.js';
import type { ConnectionWatch } from './watch/connection-watch.js';

export interface Connections {
  readonly commands: Redis;
  readonly blocking: Redis;
  readonly subscriber: Redis;
}

/**
 * Opens all three. Once open they outlive any outage.
 * @throws RedisUnavailableError when the server cannot be reached: an outage at the start is more likely a typing error
 */
export async function openConnections(
  { url }: DocketSettings,
  { name, longestReadMs, longestPauseMs }: WorkerSettings,
  links: ConnectionWatch,
  signal: AbortSignal,
): Promise<Connections> {
  await closeConnection(await openConnection(url, 'producer', { name }));
  const options = { name, signal, longestPauseMs, onUnavailable: (error: Error) => links.failed(error) };
  const opened = await Promise.allSettled([
    openConnection(url, 'commands', options),
    openConnection(url, 'blocking', { ...options, longestBlockMs: longestReadMs }),
    openConnection(url, 'subscriber', options),
  ]);
  const [commands, blocking, subscriber] = opened.map((one) => (one.status === 'fulfilled' ? one.value : null));
  if (commands && blocking && subscriber) {
    const connections = { commands, blocking, subscriber };
    links.watch(connections);
    return connections;
  }
  await Promise.all([commands, blocking, subscriber].map((one) => one && closeConnection(one)));
  throw (opened.find((one) => one.status === 'rejected') as PromiseRejectedResult).reason;
}

export async function closeConnections(connections: Connections): Promise<void> {
  await Promise.all(Object.values(connections).map(closeConnection));
}
