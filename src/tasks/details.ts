/** What `docket.show()` returns: all that is known of one execution. */
import type { Priority } from '../core/priority.js';
import type { ExecutionState, TerminalState } from '../core/states.js';
import type { ProgressSummary } from './summary.js';

/** One execution, in whatever state it is. All times are by the clock of the Redis server. */
export interface ExecutionDetails {
  /** Its key, or its id. */
  readonly key: string;
  readonly task: string;
  readonly state: ExecutionState;
  /** Whether docket keeps a record of it. An execution without a key and with `executionTtl: 0` has none. */
  readonly hasRecord: boolean;
  /**
   * Where it is: on the `schedule`; in `line` for a permit; in the `backlog`, due and not taken; with a `worker`; nowhere, because
   * it has `ended`; or `lost`, because its place was deleted by hand: workers mend that within minutes.
   */
  readonly place: 'schedule' | 'line' | 'backlog' | 'worker' | 'ended' | 'lost';
  /** `null` once it has ended: it is not kept. */
  readonly priority: Priority | null;
  /** When this was read. */
  readonly readAt: Date;
  /** When it was placed: by `add` or `replace`, or as the next run of its chain. */
  readonly placedAt: Date | null;
  /** When it is or was due. */
  readonly when: Date | null;
  /** While it is on the schedule: when it leaves it. That is later than `when` if a limit or a missing worker put it off. */
  readonly scheduledFor: Date | null;
  /** When this attempt was started last; `null` before, and when it has no record. */
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** When its record is forgotten; `null` before it has ended. */
  readonly expiresAt: Date | null;
  /** Number of the attempt, from 1. While a retry waits, it is that of the attempt to come. */
  readonly attempt: number;
  /** Name of the worker that has it, or started it last. */
  readonly worker: string | null;
  /** Whether somebody has cancelled it and it has not ended yet. */
  readonly isCancelled: boolean;
  /** How often a worker had it and was lost, in this attempt. */
  readonly deliveries: number;
  /** How many of those it is charged with. */
  readonly charges: number;
  /** How often it was passed on because a worker could not run it. */
  readonly reroutes: number;
  /** What has happened to it and what is to come, in the order of time. */
  readonly history: readonly HistoryItem[];
  /** The last 20 of its attempts that failed and were retried, the oldest first. */
  readonly failedAttempts: readonly FailedAttempt[];
  /** Its error as one line, or the reason why it ended without one; otherwise `null`. */
  readonly errorLine: string | null;
  /** Its progress; `null` when none was reported. */
  readonly progress: ProgressSummary | null;
  /** The permits of limits that it holds. */
  readonly holds: readonly HeldPermit[];
  /** The limit that makes it wait; otherwise `null`. */
  readonly waitsFor: LimitWait | null;
  /** Names of its arguments; `null` when they are not kept. */
  readonly argumentNames: readonly string[] | null;
  /** What cannot be known of it, each with the reason. */
  readonly unknown: readonly string[];

  /**
   * Decodes its arguments; `undefined` when they are not kept.
   * @throws UndecodableValueError when they cannot be read
   */
  args(): unknown;
  /**
   * Decodes its result; `undefined` when it has none.
   * @throws UndecodableValueError when it cannot be read
   */
  result(): unknown;
  /**
   * Revives the error it failed with, stack included, as `execution.result()` does; `undefined` when it has none.
   * @throws UndecodableValueError when it cannot be read
   */
  error(): unknown;
}

/** One event in the life of an execution. */
export interface HistoryItem {
  readonly at: Date;
  /** `retried` says that an attempt failed and another one followed. */
  readonly kind: 'placed' | 'due' | 'started' | 'retried' | TerminalState;
  readonly attempt: number | null;
  readonly worker: string | null;
  /** The error of the attempt, or the reason for the end, as a line of text. */
  readonly detail: string | null;
}

/** An attempt that failed and was retried. */
export interface FailedAttempt {
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly startedAt: Date | null;
  readonly failedAt: Date;
  readonly worker: string | null;
  /** Its error as one line, of up to 300 characters. */
  readonly errorLine: string;
}

/** A permit of a concurrency limit. */
export interface HeldPermit {
  /** Name of the limit, as in `LimitInfo`. */
  readonly name: string;
  /** The name in words. */
  readonly description: string;
  /** How many executions the limit lets run at once. */
  readonly max: number;
}

/** A limit that makes an execution wait. */
export interface LimitWait {
  /** Name of the limit, as in `LimitInfo`. */
  readonly name: string;
  /** The name in words. */
  readonly description: string;
  /** What it waits for: a permit, its turn at a rate, or the end of a debounce. */
  readonly kind: 'permit' | 'rate' | 'debounce';
  /** How many wait before it; `null` when there is no line. */
  readonly ahead: number | null;
  /** All permits that it needs. */
  readonly needs: readonly HeldPermit[];
}
