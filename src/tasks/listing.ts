/** What `list` and `listPage` of a docket take and return. */
import type { ExecutionState } from '../core/states.js';
import type { StrikeValue } from '../wire/strikes.js';
import type { AnyTask } from './declared-task.js';

/** Selects executions: those that match all given parts. */
export interface ListFilter {
  /** The task, or its name. */
  task?: AnyTask | string;
  /**
   * One or more states. Executions that have ended are found by searching all keys of the database, so that takes longer the
   * more keys there are.
   * @default 'scheduled', 'queued' and 'running'
   */
  state?: ExecutionState | readonly ExecutionState[];
  /**
   * Values of arguments. They are compared as strikes with `==` compare them: only with values of the same kind, where numbers and
   * bigints are one kind. An execution that has ended matches only if its arguments were kept (`WorkerOptions.keepArguments`).
   */
  where?: Readonly<Record<string, StrikeValue>>;
}

/** Options of `docket.list()`. */
export interface ListOptions extends ListFilter {
  /**
   * Maximum number of executions, at least 1.
   * @default 100
   */
  limit?: number;
  /** Ends the listing with its reason when it aborts. */
  signal?: AbortSignal;
}

/** Options of `docket.listPage()`. */
export interface ListPageOptions extends ListFilter {
  /**
   * Maximum number of executions on the page, 1 to 1000.
   * @default 100
   */
  limit?: number;
  /**
   * Where the page begins: `next` of the page before, for the same filter.
   * @default the beginning
   */
  after?: string | null;
}

/** A page of a listing. */
export interface ListPage {
  /** May be fewer than `limit`, even none, and not be the last ones: each page looks at some ten thousand at most. */
  readonly executions: readonly ListedExecution[];
  /** Where the next page begins; `null` when this is the last one. */
  readonly next: string | null;
}

/** An execution in a list. Times are on the clock of the Redis server. */
export interface ListedExecution {
  /** Its key, or its id. */
  readonly key: string;
  readonly task: string;
  readonly state: ExecutionState;
  /** Whether docket keeps a record of it. Without a record, little is known of it, and nothing once it has ended. */
  readonly hasRecord: boolean;
  /** Number of the attempt, from 1. While a retry waits, it is that of the attempt to come. */
  readonly attempt: number;
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
  /** Name of the limit that it waits for, `paused` while its task is paused, or `null`. */
  readonly waitingFor: string | null;
}
