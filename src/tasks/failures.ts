/** What `failures()`, `failure()`, `retry()` and `discard()` of a docket take and return. */
import type { Priority } from '../core/priority.js';
import type { AnyTask } from './declared-task.js';

/** An execution that failed for good, or one that can never run because its message or record cannot be used. */
export interface Failure {
  /** Id of this failure. A key can have many failures. */
  readonly id: string;
  /** Key of the execution, or its id if it had none; `null` when its message cannot be read. */
  readonly key: string | null;
  /** Name of the task; `null` when its message cannot be read. */
  readonly task: string | null;
  /** `failed` if its last attempt failed or it could not start; `quarantined` if its message or record cannot be used. */
  readonly kind: 'failed' | 'quarantined';
  /** Name of the error, such as `TypeError`; `null` when there is none. */
  readonly errorName: string | null;
  /** The error as one line, or the reason why it can never run. */
  readonly errorLine: string;
  /**
   * The error that `result()` rejects with, with its stack, fields and causes; or the thrown value, if it was not an error.
   * `null` if it was quarantined. Its class is revived if the docket has it among its `errors`.
   */
  readonly error: unknown;
  /** Why it was quarantined; `null` when it failed. */
  readonly reason: string | null;
  /** How many attempts there were. */
  readonly attempts: number;
  /** How many times the last attempt had been delivered before without an outcome. */
  readonly deliveries: number;
  /** Name of the worker on which it failed; `null` when it is not known. */
  readonly worker: string | null;
  /** Node's id of the thread on which it failed; `null` when the thread was ended, or is not known. */
  readonly thread: number | null;
  /** The priority with which a retry adds it again. */
  readonly priority: Priority;
  /** When the execution was added; in a chain, when this run was placed. `null` when it is not known. */
  readonly addedAt: Date | null;
  /** When the last attempt started; `null` when it is not known, or none did. */
  readonly startedAt: Date | null;
  /** When it failed, on the clock of the Redis server. */
  readonly failedAt: Date;
  /**
   * Decodes its arguments.
   * @throws UndecodableValueError when its message cannot be read
   */
  args(): unknown;
  /** Returns everything but the arguments and the error object, for `JSON.stringify`. */
  toJSON(): object;
}

/** Selects failures. Without any of these it selects all. */
export interface FailureFilter {
  /** Only failures of this task, given as the task or its name. */
  readonly task?: AnyTask | string;
  /** Only failures with an error of this name, such as `TypeError`. */
  readonly errorName?: string;
  /** Only failures at this time or later. */
  readonly since?: Date;
  /** Only failures at this time or earlier. */
  readonly until?: Date;
  /** Only those that were kept before the failure with this id: where a page goes on behind the last one of the page before. */
  readonly before?: string;
  /**
   * At most this many, the newest.
   * @default no bound
   */
  readonly limit?: number;
}

/** Which failures `failureGroups` counts: all that match. */
export type FailureGroupFilter = Omit<FailureFilter, 'limit'>;

/** Failures of one task with errors of one name. */
export interface FailureGroup {
  /** Name of the task; `null` when the messages cannot be read. */
  readonly task: string | null;
  /** Name of the errors, such as `TypeError`; `null` when there are none. */
  readonly errorName: string | null;
  readonly count: number;
  /** When the newest of them failed. */
  readonly newestAt: Date;
}

/** A failure in the report of a retry. */
export interface RetriedFailure {
  readonly id: string;
  readonly key: string | null;
}

/** What `docket.retry()` did. Only the failures in `retried` were removed and run again; all others stay as they are. */
export interface RetryReport {
  /** Their executions were added again, and the failures are removed. */
  readonly retried: readonly RetriedFailure[];
  /** Their keys are taken by executions that have not ended. */
  readonly taken: readonly RetriedFailure[];
  /** A strike matches them. */
  readonly struck: readonly (RetriedFailure & { readonly reason: string })[];
  /** They cannot run, for the given reason: the message is lost or cannot be read, or another program wrote to the key. */
  readonly unusable: readonly (RetriedFailure & { readonly reason: string })[];
  /** There are no failures with these ids: they were retried or discarded before, or are no longer kept. */
  readonly missing: readonly string[];
}
