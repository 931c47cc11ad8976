/** Schedules: the chains of a docket as `docket.schedules()` lists them. */
import type { TerminalState } from '../core/states.js';
import type { AnyTask } from './declared-task.js';

/** When the runs of a schedule are due. */
export type SchedulePolicy =
  /** At the times of a cron expression. */
  | { readonly kind: 'cron'; readonly expression: string; readonly timezone: string }
  /** At an interval, in milliseconds. With 0, each run immediately follows the one before. */
  | { readonly kind: 'perpetual'; readonly everyMs: number };

/** A chain: the runs of one task under one key. */
export interface Schedule {
  readonly key: string;
  readonly task: string;
  readonly policy: SchedulePolicy;
  /** The policy in words, such as `At 09:00, Monday through Friday`, in the time zone of the policy. */
  readonly description: string;
  /** When the next three runs are due. Fewer if the chain ends earlier, none if each run immediately follows the last. */
  readonly nextRuns: readonly Date[];
  /** How the last run ended; `null` before the first run has ended. */
  readonly lastOutcome: {
    readonly state: TerminalState;
    readonly at: Date;
    /** Its error, or the reason why it ended without one, in one line. */
    readonly errorLine: string | null;
  } | null;
  /** How many runs are left, including a running one; `null` when they are not counted. */
  readonly runsLeft: number | null;
  /** No run is due later than this; `null` when the chain has no end. */
  readonly until: Date | null;
  /** Whether workers start it by themselves, because its task is declared so. */
  readonly isAutomatic: boolean;
}

/** Options of `Docket.schedules`. */
export interface SchedulesOptions {
  /**
   * Lists only the schedules of this task, given as the task or its name.
   * @default all tasks
   */
  readonly task?: AnyTask | string;
  /**
   * Maximum number of schedules, at least 1.
   * @default no bound
   */
  readonly limit?: number;
}
