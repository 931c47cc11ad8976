/** What `list` and `listPage` of a docket take and return. */
import type { Priority } from '../core/priority.js';
import type { ExecutionState } from '../core/states.js';
import type { StrikeValue } from '../wire/strikes.js';
import type { AnyTask } from './declared-task.js';

/** Which executions are listed: those that match all that is given. */
export interface ListFilter {
  /** Task, or its name. */
  task?: AnyTask | string;
  /**
   * State, or several. To find executions that have ended, all keys of the database are looked through, so it takes longer the
   * more there are.
   * @default 'scheduled', 'queued' and 'running'
   */
  state?: ExecutionState | readonly ExecutionState[];
  /**
   * Values of arguments. They are compared as strikes with `==` do: values of one kind only, where numbers and bigints are one
   * kind. An execution that has ended matches only if its arguments were kept (`WorkerOptions.keepArguments`).
   */
  where?: Readonly<Record<string, StrikeValue>>;
}

/** Options of `docket.list()`. */
export interface ListOptions extends ListFilter {
  /**
   * How many executions are listed at most, 1 or more.
   * @default 100
   */
  limit?: number;
  /** Ends the listing with its reason when it aborts. */
  signal?: AbortSignal;
}

/** Options of `docket.listPage()`. */
export interface ListPageOptions extends ListFilter {
  /**
   * How many executions a page has at most, 1 to 1000.
   * @default 100
   */
  limit?: number;
  /**
   * Where the page begins: `next` of the page before, for the same filter.
   * @default the beginning
   */
  after?: string | null;
  /**
   * How many executions are looked at for this page, 1 to 10,000, when fewer than `limit` of them match. Fewer bring the page
   * sooner, and then its end is further from that of the listing. It may be exceeded by what the last command looked at.
   * @default 10000
   */
  lookAt?: number;
}

/** A page of a listing. */
export interface ListPage {
  /** May be fewer than `limit`, even none, and not be the last ones: see `lookAt`. */
  readonly executions: readonly ListedExecution[];
  /** How many executions were looked at; where those that have ended are listed, how many records. */
  readonly lookedAt: number;
  /** Where the next page begins; `null` when this is the last one. */
  readonly next: string | null;
}

/** An execution as a listing shows it. Times are by the clock of the Redis server. */
export interface ListedExecution {
  /** Its key, or its id. */
  readonly key: string;
  readonly task: string;
  readonly state: ExecutionState;
  /** Whether docket keeps a record of it. Without one, little is known of it, and nothing once it has ended. */
  readonly hasRecord: boolean;
  /** Number of the attempt, from 1. While a retry waits, it is that of the attempt to come. */
  readonly attempt: number;
  /** `null` once it has ended: it is not kept. */
  readonly priority: Priority | null;
  /** When it is or was due. */
  readonly when: Date;
  /** Name of the worker that has it or started it last; `null` before its first start. */
  readonly worker: string | null;
  /** When this attempt was started; `null` before that, and when it has no record. */
  readonly startedAt: Date | null;
  /** When it ended; `null` before. */
  readonly completedAt: Date | null;
  /** Its error as one line, or the reason why it ended without one; shortened to 1 KiB. */
  readonly error: string | null;
  /** Name of the limit that makes it wait, as in `Docket.snapshot`; `paused` while its task is; otherwise `null`. */
  readonly waitingFor: string | null;
}
