/** One partition of a docket as a producer uses it: its keys, its connection and the objects that use both. */
import type { Redis } from 'ioredis';
import type { Keys } from '../redis/keys.js';
import type { StrikeSnapshot } from '../redis/strike-store.js';
import type { CancelResult } from '../tasks/cancelling.js';
import type { ProducerConnection } from './connection.js';
import { type FoundExecution, type PartitionSource, RedisExecutionSource } from './execution-source.js';
import { Failures } from './failures.js';
import { Listener } from './listener.js';
import type { ProducerSettings } from './options.js';

export interface PartitionOptions {
  /** Its text in the hash tag of its keys; '' for partition 0. */
  readonly tag: string;
  /** The settings of the docket, with the keys of this partition. */
  readonly settings: ProducerSettings;
  readonly connection: ProducerConnection;
  /** Aborts when the docket is closed. */
  readonly closed: AbortSignal;
  /** Cancels an execution of the docket. */
  readonly cancel: (key: string) => Promise<CancelResult>;
  /** Looks in the other partitions for an execution that is not in this one. */
  readonly findElsewhere: (key: string) => Promise<FoundExecution | null>;
  /** Reads the strikes of this partition. */
  readonly loadStrikes: (partition: Partition) => Promise<StrikeSnapshot>;
}

export class Partition {
  readonly tag: string;
  readonly settings: ProducerSettings;
  readonly connection: ProducerConnection;
  readonly listener: Listener;
  readonly source: PartitionSource;
  readonly failures: Failures;

  constructor({ tag, settings, connection, closed, cancel, findElsewhere, loadStrikes }: PartitionOptions) {
    this.tag = tag;
    this.settings = settings;
    this.connection = connection;
    this.listener = new Listener(settings, () => connection.open());
    const access = { settings, connection, listener: this.listener, closed };
    this.source = new RedisExecutionSource({ ...access, cancel, findElsewhere });
    this.failures = new Failures({ tag, settings, connection, loadStrikes: () => loadStrikes(this) });
  }

  /**
   * Sends commands about the keys of this partition.
   * @throws RedisUnavailableError when the server cannot be reached or refuses them
   */
  run<T>(commands: (redis: Redis, keys: Keys) => Promise<T>): Promise<T> {
    return this.connection.run((redis) => commands(redis, this.settings.keys));
  }
}
