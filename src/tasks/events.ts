/** The events that `execution.subscribe()` yields: plain data. */
import type { ExecutionState } from '../core/states.js';

/** The execution has changed to a state; the first event of a subscription has the present one. */
export interface StateEvent {
  readonly type: 'state';
  readonly key: string;
  readonly state: ExecutionState;
  /** When the execution is or was due. */
  readonly when: Date;
  /** Name of the worker that last started this attempt; `null` before its first start. */
  readonly worker: string | null;
  /** When this attempt last started; `null` before its first start. */
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** Name and message of the error it failed with, or the reason why it was dropped or struck; otherwise `null`. */
  readonly error: string | null;
  /** Number of the attempt, from 1. While a retry waits, it is that of the attempt to come. */
  readonly attempt: number;
}

/** The execution has made progress. Within an attempt, `current` never decreases; the next attempt starts at 0. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly key: string;
  readonly current: number;
  /** The number that `current` is measured against. */
  readonly total: number;
  readonly message: string | null;
  /** When the progress last changed; `null` when none was reported yet. */
  readonly updatedAt: Date | null;
}

/** An event of an execution. */
export type ExecutionEvent = StateEvent | ProgressEvent;
