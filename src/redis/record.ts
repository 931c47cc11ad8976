/** Reads the record of an execution: the fields that `RECORD`, `PROGRESS` and `PARKED` name in the schema. */
import { DEFAULT_TOTAL } from '../core/progress.js';
import type { ExecutionState } from '../core/states.js';
import { Envelope } from '../wire/envelope.js';
import { waitingForOf } from './pause-store.js';
import { PARKED, PROGRESS, RECORD, STAGE } from './schema.js';
import { placedTime, storedTime } from './stored-time.js';

/** The fields of an execution that change during its life. Times are server milliseconds. */
export interface StateChange {
  readonly state: ExecutionState;
  readonly dueMs: number;
  readonly startedMs: number | null;
  readonly completedMs: number | null;
  readonly attempt: number;
  readonly worker: string | null;
  readonly errorLine: string | null;
}

/** An execution as its record shows it. */
export interface ExecutionRecord extends StateChange {
  readonly generation: number;
  readonly task: string;
  readonly result: Buffer | null;
  readonly error: Buffer | null;
  readonly progress: ProgressRecord;
  /** Server time of the reading, in microseconds. */
  readonly readUs: number;
  /** Name of the limit at which it waits: for a permit, for its turn at a rate, or for a debounce to settle; `paused`. */
  readonly waitingFor: string | null;
  /** The message; `null` once the execution has ended, unless its arguments are kept. */
  readonly message: Buffer | null;
}

/** The progress of an execution. */
export interface ProgressRecord {
  readonly current: number;
  readonly total: number;
  readonly message: string | null;
  /** Server milliseconds; `null` when nothing was ever reported. */
  readonly updatedMs: number | null;
}

export const NO_PROGRESS: ProgressRecord = { current: 0, total: DEFAULT_TOTAL, message: null, updatedMs: null };

/** Fields and values, by the names of the schema. */
export type RecordFields = ReadonlyMap<string, Buffer | string>;

/** Reads a whole record, with what `read.lua` adds to it: the time, and the message if it is in an entry. */
export function readRecord(
  fields: ReadonlyMap<string, Buffer>,
  read: { readonly timeUs: number; readonly message: Buffer },
): ExecutionRecord {
  const generation = Number(fields.get(RECORD.generation)) || 0;
  const bytes = fields.get(PARKED.message) ?? read.message;
  const message = bytes.length > 0 ? bytes : null;
  const state = readState(fields.get(RECORD.state)!.toString(), generation, fields);
  return {
    generation,
    task: fields.get(RECORD.task)?.toString() ?? '',
    result: fields.get(RECORD.result) ?? null,
    error: fields.get(RECORD.error) ?? null,
    progress: readProgress(fields),
    readUs: read.timeUs,
    waitingFor: limitOf(fields),
    message,
    // Last: V8 takes 60 times as long for an object that begins with a spread of this size.
    ...(message === null || state.startedMs === null ? state : ofWaitingAttempt(state, message)),
  };
}

/** Returns the name of the limit at which an execution waits; `null` when it waits at none. */
export function limitOf(fields: RecordFields): string | null {
  const text = (field: string) => fields.get(field)?.toString();
  const settling = text(PARKED.stage) === STAGE['debounce-over'] ? text(PARKED.debounce) : undefined;
  const waits = text(PARKED.limit);
  if (waits !== undefined) return waitingForOf(waits);
  return text(PARKED.booking)?.split(' ')[1] ?? settling ?? null;
}

/**
 * While a retry waits, the record has the number, worker and start of the attempt before. The message has the number of the
 * attempt to come, which has no worker or start yet.
 */
function ofWaitingAttempt(state: StateChange, message: Buffer): StateChange {
  if (state.state !== 'scheduled' && state.state !== 'queued') return state;
  const attempt = attemptOf(message);
  return attempt > state.attempt ? { ...state, attempt, worker: null, startedMs: null } : state;
}

function attemptOf(message: Buffer): number {
  try {
    return new Envelope(message).attempt;
  } catch {
    return 0; // a worker will put it into quarantine
  }
}

/** Reads the fields that a record and its events share. */
export function readState(state: string, generation: number, fields: RecordFields): StateChange {
  const time = (field: string) => storedTime(fields.get(field));
  return {
    state: state as ExecutionState,
    dueMs: time(RECORD.due) ?? placedTime(generation),
    startedMs: time(RECORD.started),
    completedMs: time(RECORD.ended),
    attempt: fields.has(RECORD.attempt) ? Number(fields.get(RECORD.attempt)) : 1,
    worker: fields.get(RECORD.worker)?.toString() ?? null,
    errorLine: fields.get(RECORD.errorLine)?.toString() ?? null,
  };
}

/** Reads current, total, time and message, as scripts return and publish them. The message may have several lines. */
export function readProgressLines([current, total, updatedMs, ...message]: readonly string[]): ProgressRecord {
  return {
    current: Number(current),
    total: Number(total),
    message: message.join('\n') || null,
    updatedMs: storedTime(updatedMs),
  };
}

/** Reads the fields of a record that `PROGRESS` names. */
export function readProgress(fields: RecordFields): ProgressRecord {
  if (!fields.has(PROGRESS.updated)) return NO_PROGRESS;
  return {
    current: Number(fields.get(PROGRESS.counted) ?? 0) + Number(fields.get(PROGRESS.added) ?? 0),
    total: Number(fields.get(PROGRESS.total) ?? DEFAULT_TOTAL),
    message: fields.get(PROGRESS.message)?.toString() || null,
    updatedMs: storedTime(fields.get(PROGRESS.updated)),
  };
}
