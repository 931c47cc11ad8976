/** What `docket.count()` takes and returns. */
import type { StrikeValue } from '../wire/strikes.js';
import type { ListFilter } from './listing.js';

/** Options of `docket.count()`. */
export interface CountOptions extends ListFilter {
  /**
   * Name of an argument: executions are counted apart by its value, too.
   * @default they are counted by task only
   */
  by?: string;
  /**
   * How many executions are looked at, 1 or more. To look at 100,000 takes about a second, and twice as long with arguments.
   * @default 100_000
   */
  lookAt?: number;
  /** Ends the count with its reason when it aborts. */
  signal?: AbortSignal;
}

/** How many executions there are, by task and perhaps by the value of an argument. */
export interface ExecutionCounts {
  /** The largest first: up to 10,000 of them. */
  readonly counts: readonly ExecutionCount[];
  /** How many were counted that are of none of these. */
  readonly others: number;
  /** How many executions were looked at. */
  readonly lookedAt: number;
  /** Whether these were all. Otherwise `lookAt` ended the count. */
  readonly isWhole: boolean;
}

/** The executions that have a task, and perhaps a value, in common. */
export interface ExecutionCount {
  readonly task: string;
  /** Value of the argument; absent without `by`, and for executions that lack it or have something else there. */
  readonly value?: StrikeValue;
  readonly count: number;
}
