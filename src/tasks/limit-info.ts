/** What `docket.limits()` takes and returns. */

/** Options of `docket.limits()`. */
export interface LimitsOptions {
  /**
   * Maximum number of limits, 1 to 1000. Those at which executions wait come first.
   * @default 100
   */
  limit?: number;
  /**
   * Maximum number of holders, and of waiters, that each limit is listed with, 0 to 100.
   * @default 10
   */
  each?: number;
}

/** A concurrency limit that is in use. */
export interface LimitInfo {
  /** Its name, as `waitingFor` has it: `<task>`, `<task>:<argument>:<value>` or `@<scope>...`, percent-encoded. */
  readonly name: string;
  /** Its name in words, such as `charge customerId 'c-1'`. */
  readonly description: string;
  /** How many executions it lets run at once; `null` when that is not known. */
  readonly max: number | null;
  /** How many of its permits are taken. */
  readonly taken: number;
  /** How many executions wait for a permit. */
  readonly waiting: number;
  /** Some of those that hold its permits. */
  readonly holders: readonly LimitHolder[];
  /** The first in line, in the order in which they get permits. */
  readonly waiters: readonly LimitWaiter[];
}

/** An execution that holds a permit. */
export interface LimitHolder {
  readonly key: string;
  readonly task: string;
  /** Name of the worker that has it; `null` while it has a permit and waits for a worker to read it. */
  readonly worker: string | null;
  /** When it was started; `null` before that, and when it has no record. */
  readonly since: Date | null;
}

/** An execution that waits for a permit. */
export interface LimitWaiter {
  readonly key: string;
  readonly task: string;
  /** When it was due. It began to wait then, or later. */
  readonly since: Date;
}
