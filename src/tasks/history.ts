/** What `history()` and `stats()` of a docket return. */
import type { AnyTask } from './declared-task.js';

/** How many attempts began, and how they ended. */
export interface AttemptCounts {
  /** Attempts that began, retries included. */
  readonly started: number;
  /** Attempts that succeeded. */
  readonly succeeded: number;
  /** Executions that failed for good. */
  readonly failed: number;
  /** Attempts that failed and were followed by another. */
  readonly retried: number;
}

/** Percentiles of times, in milliseconds, accurate within 9 %. */
export interface Percentiles {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** How long attempts waited and took. They count in the minute in which they ended. */
export interface AttemptTimes {
  /** How long after their due time they began; `null` when none ended. */
  readonly waiting: Percentiles | null;
  /** How long they took; `null` when none ended. */
  readonly duration: Percentiles | null;
}

/** One minute of the history of a docket or a task. */
export interface HistoryMinute extends AttemptCounts, AttemptTimes {
  /** When the minute begins, on the clock of the Redis server. */
  readonly at: Date;
}

/** The attempts of one task in the last minutes. */
export interface TaskStats extends AttemptCounts, AttemptTimes {
  /** Name of the task; `other` for all tasks that are not counted separately. */
  readonly task: string;
  /** How many attempts began in each minute, the oldest first. */
  readonly startedByMinute: readonly number[];
  /** How many executions failed in each minute, the oldest first. */
  readonly failedByMinute: readonly number[];
}

/** Options of `docket.history()`. */
export interface HistoryOptions {
  /**
   * A task or its name.
   * @default all tasks together
   */
  task?: AnyTask | string;
  /**
   * How many minutes, 1 to 2880 (two days). The last one has not ended yet.
   * @default 60
   */
  minutes?: number;
}

/** Options of `docket.stats()`. */
export interface StatsOptions {
  /**
   * How many minutes, 1 to 2880 (two days). The last one has not ended yet.
   * @default 60
   */
  minutes?: number;
}
