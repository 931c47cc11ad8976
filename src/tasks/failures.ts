/** What `failures()`, `failure()`, `retry()` and `discard()` of a docket take and return. */
import type { Priority } from '../core/priority.js';
import type { AnyTask } from './declared-task.js';

/** An execution that failed for good, or a message that can never run. */
export interface Failure {
  /** Names this failure: the same key may fail many times. */
  readonly id: string;
  /** Key of the execution, or its id if it had none; `null` when its message cannot be read. */
  readonly key: string | null;
  /** Name of the task; `null` when its message cannot be read. */
  readonly task: string | null;
  /** `failed` when its last attempt failed or none could be made; `quarantined` when its message or record cannot be used. */
  readonly kind: 'failed' | 'quarantined';
  /** Name of the error, such as `TypeError`; `null` when there is none. */
  readonly errorName: string | null;
  /** The error as one line, or the reason why it can never run. */
  readonly errorLine: string;
  /**
   * The error with its stack, its fields and its causes, as `result()` rejects with; the value, when something else was thrown.
   * `null` for what was quarantined. Its class is revived if the docket has it among its `errors`.
   */
  readonly error: unknown;
  /** Why it can never run as it is; `null` when it failed. */
  readonly reason: string | null;
  /** How many attempts there were. */
  readonly attempts: number;
  /** How many deliveries of the last attempt ended without an outcome before that. */
  readonly deliveries: number;
  /** Name of the worker on which it failed; `null` when it is not known. */
  readonly worker: string | null;
  /** Node's id of the thread on which it failed; `null` when it did not end there by itself. */
  readonly thread: number | null;
  /** The priority with which a retry adds it again. */
  readonly priority: Priority;
  /** When the execution was added; in a chain, when this run was placed. `null` when it is not known. */
  readonly addedAt: Date | null;
  /** When the last attempt started; `null` when it is not known, or none did. */
  readonly startedAt: Date | null;
  /** When it failed, by the clock of the Redis server. */
  readonly failedAt: Date;
  /**
   * Decodes its arguments.
   * @throws UndecodableValueError when its message cannot be read
   */
  args(): unknown;
  /** Returns what `JSON.stringify` shows: everything but the arguments. */
  toJSON(): object;
}

/** Selects failures. Without any of these it selects all. */
export interface FailureFilter {
  /** Only those of this task, which is given itself or by name. */
  readonly task?: AnyTask | string;
  /** Only those with an error of this name, such as `TypeError`. */
  readonly errorName?: string;
  /** Only those that failed at this time or later. */
  readonly since?: Date;
  /** Only those that failed at this time or earlier. */
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

/** What a retry did. Only those in `retried` run again; all others are as they were. */
export interface RetryReport {
  /** They were added again, and are no failures any more. */
  readonly retried: readonly RetriedFailure[];
  /** Another execution has their key and has not ended. */
  readonly taken: readonly RetriedFailure[];
  /** A strike meets them. */
  readonly struck: readonly (RetriedFailure & { readonly reason: string })[];
  /** They cannot run, for this reason: their message is lost or cannot be read, or another program's data is under their key. */
  readonly unusable: readonly (RetriedFailure & { readonly reason: string })[];
  /** There are no failures with these ids: they were retried or discarded before, or are no longer kept. */
  readonly missing: readonly string[];
}
