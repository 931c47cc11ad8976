/** What `execution.subscribe()` yields: plain data. */
import type { ExecutionState } from '../core/states.js';

/** The execution is in this state since a moment ago. */
export interface StateEvent {
  readonly type: 'state';
  readonly key: string;
  readonly state: ExecutionState;
  /** When it is due, or was. */
  readonly when: Date;
  /** Name of the worker that ran it last; `null` before the first start. */
  readonly worker: string | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  /** Message of the error it failed with, or why it was dropped; else `null`. */
  readonly error: string | null;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
}

/** The execution is so far. Within an attempt `current` never goes back; the next attempt starts anew. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly key: string;
  readonly current: number;
  readonly total: number;
  readonly message: string | null;
  /** `null` when nothing was reported yet. */
  readonly updatedAt: Date | null;
}

export type ExecutionEvent = StateEvent | ProgressEvent;
