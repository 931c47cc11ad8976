/**
 * The connections of a worker to partitions of a cluster that it does not read. It needs them to move an execution
 * there, and to ask whether the chain of an automatic task is there. Each is opened with its first use, and stays open
 * until the worker ends.
 *
 * Their commands fail fast, because nothing that the worker has in hand depends on them: what fails is tried again.
 */
import type { Redis } from 'ioredis';
import { ProducerConnection } from '../client/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { Keys } from '../redis/keys.js';

export class UnreadPartitions {
  readonly #docket: DocketSettings;
  readonly #byPrefix = new Map<string, ProducerConnection>();
  readonly #closing = new AbortController();

  constructor(docket: DocketSettings) {
    this.#docket = docket;
  }

  /**
   * Returns a connection for commands about the keys of a partition.
   * @throws RedisUnavailableError when its server cannot be reached
   */
  async open(keys: Keys, tag: string): Promise<Redis> {
    let connection = this.#byPrefix.get(keys.prefix);
    if (!connection) {
      const settings = { ...this.#docket, keys, partition: tag };
      connection = new ProducerConnection(settings, this.#closing.signal);
      this.#byPrefix.set(keys.prefix, connection);
    }
    await connection.open(this.#closing.signal); // which a close ends at once
    return await connection.ready();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#byPrefix.values()].map((connection) => connection.close()));
  }
}
