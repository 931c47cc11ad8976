/**
 * How handles show themselves in JSON, in logs and on the console. Owns the rule that arguments and results are not
 * shown: they may be private, and a log is not the place that decides.
 */
import { type InspectOptions, inspect } from 'node:util';
import type { Disposition, ExecutionState } from '../core/states.js';

/** What `execution.progress` shows of itself. */
export interface ProgressSummary {
  readonly current: number;
  readonly total: number;
  readonly message: string | null;
  readonly updatedAt: Date | null;
}

/** What an execution shows of itself: its fields as of the last read, without arguments and result. */
export interface ExecutionSummary {
  readonly key: string;
  readonly task: string;
  readonly state: ExecutionState;
  readonly disposition: Disposition;
  readonly when: Date;
  readonly attempt: number;
  readonly worker: string | null;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly error: string | null;
  readonly waitingFor: string | null;
  readonly progress: ProgressSummary;
}

/** Reads the fields of a progress. */
export function progressSummary({ current, total, message, updatedAt }: ProgressSummary): ProgressSummary {
  return { current, total, message, updatedAt };
}

/** Reads the fields of an execution. */
export function executionSummary(execution: ExecutionSummary): ExecutionSummary {
  const { key, task, state, disposition, when, attempt, worker, startedAt, completedAt, error } = execution;
  const { waitingFor } = execution;
  const progress = progressSummary(execution.progress);
  return { key, task, state, disposition, when, attempt, worker, startedAt, completedAt, error, waitingFor, progress };
}

/** Formats what `util.inspect` and the console show of a handle: its class and its summary. */
export function inspectSummary(name: string, summary: unknown, depth: number, options: InspectOptions): string {
  if (depth < 0) return `[${name}]`;
  return `${name} ${inspect(summary, { ...options, depth })}`;
}
