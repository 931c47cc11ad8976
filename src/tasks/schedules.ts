/** Schedules: the chains of a docket as `docket.schedules()` lists them. */
import type { TerminalState } from '../core/states.js';
import type { AnyTask } from './declared-task.js';

/** When the runs of a schedule are due. */
export type SchedulePolicy =
  /** At the times of a cron expression. */
  | { readonly kind: 'cron'; readonly expression: string; readonly timezone: string }
  /** At an interval, in milliseconds; with 0, each run follows the one before at once. */
  | { readonly kind: 'perpetual'; readonly everyMs: number };

/** A chain: the runs of one task under one key. */
export interface Schedule {
  readonly key: string;
  readonly task: string;
  readonly policy: SchedulePolicy;
  /** The policy in words, such as `At 09:00, Monday through Friday`, in the time zone of the policy. */
  readonly description: string;
  /** When the next runs are due, three at most; less when the chain ends before, or when they follow each other at once. */
  readonly nextRuns: readonly Date[];
  /** How the last run ended; `null` before the first one has. */
  readonly lastOutcome: {
    readonly state: TerminalState;
    readonly at: Date;
    /** Its error, or the reason why it ended without one, in one line. */
    readonly errorLine: string | null;
  } | null;
  /** How many runs are left, one that is running included; `null` when they are not counted. */
  readonly runsLeft: number | null;
  /** No run is due later than this; `null` when there is no such time. */
  readonly until: Date | null;
  /** Whether workers start it by themselves, because its task is declared so. */
  readonly isAutomatic: boolean;
}

/** Options of `Docket.schedules`. */
export interface SchedulesOptions {
  /**
   * Lists the schedules of this task only, which is given itself or by name.
   * @default all tasks
   */
  readonly task?: AnyTask | string;
  /**
   * Maximum number of schedules, at least 1.
   * @default all of them
   */
  readonly limit?: number;
}
