/** What the parts of one worker share: its connections, its identity, its clock, and where it logs and counts. */
import type { Redis } from 'ioredis';
import type { TaskCounters } from '../observe/task-counters.js';
import type { Keys } from '../redis/keys.js';
import type { CommandLink } from './command-link.js';
import type { ServerClock } from './fleet/server-clock.js';
import type { Streams } from './fleet/streams.js';
import type { WorkerLogger } from './options.js';

/** Each part picks the members it needs. */
export interface WorkerContext {
  /** For every command that does not block. */
  readonly redis: Redis;
  /** Whether commands about deliveries get through. */
  readonly link: CommandLink;
  /** For blocking reads; nothing else may use it. */
  readonly blocking: Redis;
  /** For subscriptions. */
  readonly subscriber: Redis;
  readonly keys: Keys;
  /** Makes the streams again when they are gone. */
  readonly streams: Pick<Streams, 'onLost' | 'restore'>;
  /** Tag of the partition; '' for partition 0. */
  readonly tag: string;
  /** This worker as the streams know it. Names of workers may repeat, consumers must not. */
  readonly consumer: string;
  /** This worker as users know it. */
  readonly workerName: string;
  readonly leaseMs: number;
  readonly clock: ServerClock;
  readonly logger: WorkerLogger;
  /** Counts how executions end; `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
}
