/**
 * The connections of a worker. Those of partition 0 are open from its start to its end. On one server, each further
 * partition has one more connection, for blocking reads. In a cluster each has three of its own, since it may be on
 * another master. A partition that the worker does not read may have one (`unread-partitions.ts`).
 */
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { Keys } from '../redis/keys.js';
import { isClusterUrl } from '../redis/url.js';
import { type Connections, closeConnections, openConnections } from './connections.js';
import type { WorkerSettings } from './options.js';
import { UnreadPartitions } from './unread-partitions.js';
import type { ConnectionWatch } from './watch/connection-watch.js';

export interface ConnectionPoolOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly watch: Pick<ConnectionWatch, 'logFailure' | 'watch'>;
}

export class ConnectionPool {
  /** The connections of partition 0. */
  readonly first: Connections;
  /** Those to partitions of a cluster that the worker does not read. */
  readonly unread: UnreadPartitions;
  readonly #options: ConnectionPoolOptions;
  /** For the connections of each further partition: those that were opened for it alone. */
  readonly #own = new Map<Connections, Partial<Connections>>();
  #isClosed = false;

  constructor(first: Connections, options: ConnectionPoolOptions) {
    this.first = first;
    this.unread = new UnreadPartitions(options.docket);
    this.#options = options;
  }

  /**
   * Opens the connections of partition 0.
   * @throws what `openConnections` throws
   */
  static async open(options: ConnectionPoolOptions, signal: AbortSignal): Promise<ConnectionPool> {
    const { docket, settings, watch } = options;
    const first = await openConnections(docket, settings, signal, (error) => watch.logFailure(error));
    watch.watch(first);
    return new ConnectionPool(first, options);
  }

  /**
   * Opens the connections of another partition. Keeps trying until `signal` aborts.
   * @param nameOf - returns the fields that name the partition in the log
   * @throws RedisUnavailableError when trying again cannot help
   */
  async openFor(keys: Keys, signal: AbortSignal, nameOf: () => object): Promise<Connections> {
    for (const shared of Object.values(this.first)) shared.setMaxListeners(0); // each partition adds a few
    const own = await this.#openOwn(keys, signal, nameOf);
    const connections = { ...this.first, ...own };
    this.#own.set(connections, own);
    if (this.#isClosed) await this.closeOf(connections);
    else this.#options.watch.watch(own, nameOf);
    return connections;
  }

  async #openOwn(keys: Keys, signal: AbortSignal, nameOf: () => object): Promise<Partial<Connections>> {
    const { docket, settings, watch } = this.#options;
    const onUnavailable = (error: Error) => watch.logFailure(error, nameOf());
    const partition = { ...docket, keys };
    if (isClusterUrl(docket.url)) return await openConnections(partition, settings, signal, onUnavailable);
    const { name, longestPauseMs, longestReadMs } = settings;
    const options = { name, signal, longestPauseMs, longestBlockMs: longestReadMs, onUnavailable };
    return { blocking: await openConnection(partition, 'blocking', options) };
  }

  /** Closes the connections that were opened for one partition alone. Those of partition 0 stay open. */
  async closeOf(connections: Connections): Promise<void> {
    const own = this.#own.get(connections) ?? {};
    this.#own.delete(connections);
    await Promise.all(Object.values(own).map(closeConnection));
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const own = [...this.#own.keys()].map((one) => this.closeOf(one));
    await Promise.all([closeConnections(this.first), this.unread.close(), ...own]);
  }
}
