/** What `snapshot()` and `workers()` of a docket return. */
import type { Priority } from '../core/priority.js';
import type { Pause } from './pause.js';

/** An execution, as every list of a snapshot shows it. */
export interface SnapshotEntry {
  readonly key: string;
  readonly task: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly priority: Priority;
}

/** An execution that is due and that no worker has taken. */
export interface QueuedEntry extends SnapshotEntry {
  /** When it became due. */
  readonly when: Date;
  /** Whether a live worker has its task, or a fallback. If none has, it waits, however many workers there are. */
  readonly hasWorker: boolean;
}

/** An execution that is scheduled for later. */
export interface FutureEntry extends SnapshotEntry {
  /** When it is due; while it waits for a limit, when it comes there again. */
  readonly when: Date;
  /** Whether a live worker has its task now, or a fallback. */
  readonly hasWorker: boolean;
  /** Name of the limit that made it wait, a rate limit or a debounce, as in {@link WaitingEntry}; otherwise `null`. */
  readonly waitingFor: string | null;
}

/** An execution in the hands of a worker. */
export interface RunningEntry extends SnapshotEntry {
  /** Name of the worker that has it. */
  readonly worker: string;
  /** When that worker claimed it; `null` before the claim, and for executions without a record (no key, `executionTtl: 0`). */
  readonly since: Date | null;
}

/** An execution that waits for a permit of a concurrency limit, or for the end of the pause of its task. */
export interface WaitingEntry extends SnapshotEntry {
  /**
   * Name of the limit: `<task>`, `<task>:<argument>:<value>` or `@<scope>...`, percent-encoded. `paused` when `isPaused`.
   */
  readonly waitingFor: string;
  /** Whether it waits because its task is paused. */
  readonly isPaused: boolean;
}

/** A live worker that can take work. */
export interface WorkerInfo {
  readonly name: string;
  /** Unique, also among workers of the same name. */
  readonly id: string;
  readonly threads: number;
  /** How many executions it runs at once, at most. */
  readonly concurrency: number;
  /** How many executions it has, including those it has read ahead. */
  readonly running: number;
  /** Names of the tasks it can run. */
  readonly tasks: readonly string[];
  /** Whether it has a fallback, so that it runs tasks of any name. */
  readonly hasFallback: boolean;
  /** Version of docket that it runs; `null` when it is older than this field. */
  readonly version: string | null;
  /** Version of Node that it runs on; `null` when it is older than this field. */
  readonly nodeVersion: string | null;
  /** Time of its last heartbeat. */
  readonly lastSeen: Date;
  /** When it is no longer listed unless another heartbeat comes. */
  readonly expiresAt: Date;
}

/** The contents of a docket at one time. All times are by the clock of the Redis server. */
export interface Snapshot {
  /** When it was taken. */
  readonly taken: Date;
  /** How many there are, whether listed here or not. */
  readonly totals: {
    /** Due, and not taken by a worker. */
    readonly queued: number;
    /** Due later. */
    readonly scheduled: number;
    /** Waiting for a permit of a concurrency limit. */
    readonly waiting: number;
    /** Waiting because their tasks are paused. While the whole docket is paused, executions stay `queued`. */
    readonly paused: number;
    /** In the hands of a worker, including what it has read ahead. */
    readonly running: number;
    /** Failures that are kept, see `docket.failures()`: executions that failed for good, and messages that can never run. */
    readonly failures: number;
  };
  /** The next executions that workers take, in order. Shorter when messages are long: it ends once they exceed 1 MiB. */
  readonly queued: readonly QueuedEntry[];
  /** The scheduled executions, the earliest first. */
  readonly future: readonly FutureEntry[];
  /** The running executions, the oldest first. */
  readonly running: readonly RunningEntry[];
  /**
   * The waiters, limit by limit, each in the order in which they get their permits, and those of paused tasks, in the order in
   * which they start.
   */
  readonly waiting: readonly WaitingEntry[];
  /** The pauses: those of the whole docket first. */
  readonly pauses: readonly Pause[];
  readonly workers: readonly WorkerInfo[];
}

/** Options of `docket.snapshot()`. */
export interface SnapshotOptions {
  /**
   * How many entries each list has at most, 0 to 1000. `pauses` and `workers` are always whole.
   * @default 100
   */
  limit?: number;
}
