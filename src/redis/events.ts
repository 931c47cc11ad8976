/** What scripts publish of an execution: `<generation> <kind> <server time in us>` and lines of more (`_events.lua`). */
import type { ExecutionState } from '../core/states.js';
import { type ProgressRecord, progressFrom } from './progress-store.js';

/** A change of one execution. Its time tells which is newer, it or a reading of the record. */
export type RecordEvent = { readonly generation: number; readonly timeUs: number } & (
  | ({ readonly kind: 'state' } & StateChange)
  | { readonly kind: 'progress'; readonly progress: ProgressRecord }
);

/** Times are server milliseconds. */
export interface StateChange {
  readonly state: ExecutionState;
  readonly dueMs: number;
  readonly startedMs: number | null;
  readonly completedMs: number | null;
  readonly attempt: number;
  readonly worker: string | null;
  readonly errorLine: string | null;
}

export function parseEvent(text: string): RecordEvent {
  const [head = '', ...lines] = text.split('\n');
  const [generation, kind, timeUs] = head.split(' ');
  const common = { generation: Number(generation), timeUs: Number(timeUs) };
  if (kind === 'progress') return { ...common, kind, progress: progressFrom(lines) };
  const [due, started, completed, attempt, worker, errorLine] = lines;
  return {
    ...common,
    kind: 'state',
    state: kind as ExecutionState,
    dueMs: due ? Number(due) : Math.floor(common.generation / 1_000), // a generation is the server's microseconds
    startedMs: started ? Number(started) : null,
    completedMs: completed ? Number(completed) : null,
    attempt: attempt ? Number(attempt) : 1,
    worker: worker || null,
    errorLine: errorLine || null,
  };
}
