/** What `docket.limits()` takes and returns. */

/** Options of `docket.limits()`. */
export interface LimitsOptions {
  /**
   * How many limits are listed at most, 1 to 1000. Those at which something waits come first.
   * @default 100
   */
  limit?: number;
  /**
   * How many holders, and how many waiters, each limit is listed with at most, 0 to 100.
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
  /** How many executions it lets run at once; `null` when that could not be found out. */
  readonly max: number | null;
  /** How many of its permits are taken. */
  readonly taken: number;
  /** How many executions wait for one. */
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
  /** Name of the worker that has it; `null` while it waits to be read, woken by a permit that was released. */
  readonly worker: string | null;
  /** When it was started; `null` before that, and when it has no record. */
  readonly since: Date | null;
}

/** An execution that waits for a permit. */
export interface LimitWaiter {
  readonly key: string;
  readonly task: string;
  /** When it was due: it has waited since then at most. */
  readonly since: Date;
}
