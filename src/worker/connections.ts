/**
 * Opens and closes the connections of a worker: one for commands, one for subscriptions, and one for blocking reads of each
 * partition. In a cluster each partition has all three, because its master may be another one.
 */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { Keys } from '../redis/keys.js';
import { isClusterUrl } from '../redis/url.js';
import type { WorkerSettings } from './options.js';

/** The connections of one partition. */
export interface Connections {
  /** For every command that does not block. */
  readonly commands: Redis;
  /** For blocking reads. */
  readonly blocking: Redis;
  /** For subscriptions. */
  readonly subscriber: Redis;
}

/** Watches connections as they are opened. */
export interface ConnectionsWatcher {
  /** Called with each failed attempt to connect, and each broken link. */
  logFailure(error: Error): void;
  /** Called once they are open. */
  watch(connections: Partial<Connections>): void;
}

export interface ConnectionPoolOptions {
  readonly docket: DocketSettings;
  readonly settings: Pick<WorkerSettings, 'name' | 'longestReadMs' | 'longestPauseMs'>;
  readonly watcher: ConnectionsWatcher;
}

export class ConnectionPool {
  /** Those of partition 0. */
  readonly first: Connections;
  readonly #options: ConnectionPoolOptions;
  /** Those that only one partition uses, apart from partition 0. */
  readonly #own = new Map<Connections, Partial<Connections>>();
  #isClosed = false;

  constructor(first: Connections, options: ConnectionPoolOptions) {
    this.first = first;
    this.#options = options;
  }

  /**
   * Opens the connections of partition 0: all of them, or none. Once open, they survive any outage.
   * @throws RedisUnavailableError when the server cannot be reached: at the start a wrong URL is likelier than an outage
   */
  static async open(options: ConnectionPoolOptions, signal: AbortSignal): Promise<ConnectionPool> {
    const { docket, settings, watcher } = options;
    // A producer fails fast; the others keep trying.
    await closeConnection(await openConnection(docket, 'producer', { name: settings.name, signal }));
    const first = await openAll(options, docket.keys, signal);
    watcher.watch(first);
    return new ConnectionPool(first, options);
  }

  /**
   * Opens the connections of another partition. Keeps trying until `signal` aborts.
   * @throws RedisUnavailableError when trying again cannot help
   */
  async openFor(keys: Keys, signal: AbortSignal): Promise<Connections> {
    const { docket, watcher } = this.#options;
    for (const shared of Object.values(this.first)) shared.setMaxListeners(0); // each partition adds a few
    const own = isClusterUrl(docket.url)
      ? await openAll(this.#options, keys, signal)
      : { blocking: await openOne(this.#options, keys, 'blocking', signal) };
    const connections = { ...this.first, ...own };
    this.#own.set(connections, own);
    if (this.#isClosed) await this.closeOf(connections);
    else watcher.watch(own);
    return connections;
  }

  /** Closes the connections that only this partition has used. Those of partition 0 stay open for the layout. */
  async closeOf(connections: Connections): Promise<void> {
    const own = this.#own.get(connections) ?? {};
    this.#own.delete(connections);
    await closeConnections(own);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([closeConnections(this.first), ...[...this.#own.keys()].map((one) => this.closeOf(one))]);
  }
}

async function openAll(options: ConnectionPoolOptions, keys: Keys, signal: AbortSignal): Promise<Connections> {
  const opened = await Promise.allSettled([
    openOne(options, keys, 'commands', signal),
    openOne(options, keys, 'blocking', signal),
    openOne(options, keys, 'subscriber', signal),
  ]);
  const [commands, blocking, subscriber] = opened.map((one) => (one.status === 'fulfilled' ? one.value : null));
  if (commands && blocking && subscriber) return { commands, blocking, subscriber };
  await Promise.all([commands, blocking, subscriber].map((one) => one && closeConnection(one)));
  throw (opened.find((one) => one.status === 'rejected') as PromiseRejectedResult).reason;
}

async function openOne(
  { docket, settings, watcher }: ConnectionPoolOptions,
  keys: Keys,
  role: keyof Connections,
  signal: AbortSignal,
): Promise<Redis> {
  const { name, longestReadMs, longestPauseMs } = settings;
  const options = { name, signal, longestPauseMs, onUnavailable: (error: Error) => watcher.logFailure(error) };
  return await openConnection(
    { ...docket, keys },
    role,
    role === 'blocking' ? { ...options, longestBlockMs: longestReadMs } : options,
  );
}

async function closeConnections(connections: Partial<Connections>): Promise<void> {
  await Promise.all(Object.values(connections).map(closeConnection));
}
