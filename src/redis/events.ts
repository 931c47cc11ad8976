/**
 * Reads the events of executions: a line `<generation> <kind> <server time in us>`, then lines for each kind. The event that
 * ends an execution also has its outcome, if that is small. An event of the kind `moved` has no lines: the execution is in another
 * partition now, where its listeners look for it.
 *
 * Whoever may publish on this server can publish anything, so nothing here is used before its shape was checked.
 */
import { type ExecutionState, STATES } from '../core/states.js';
import { type ProgressRecord, readProgressLines, readState, type StateChange } from './record.js';
import { EVENT_FIELDS, EVENT_OUTCOME, RECORD } from './schema.js';
import { storedTime } from './stored-time.js';

/** A change of one execution. By its time a reader can tell whether the event or a reading of the record is newer. */
export type RecordEvent = { readonly generation: number; readonly timeUs: number } & (
  | ({ readonly kind: 'state'; readonly outcome: EventOutcome | null } & StateChange)
  | { readonly kind: 'progress'; readonly progress: ProgressRecord }
);

/**
 * What an execution left when it ended, encoded. An event has none when the outcome is large, when there is progress to read
 * beside it, and when it comes from an older version: the record has it then.
 */
export interface EventOutcome {
  readonly result: Buffer | null;
  readonly error: Buffer | null;
}

/** Reads an event; `null` when it is none, or when the record has to be read for what it tells. */
export function parseEvent(bytes: Buffer): RecordEvent | null {
  const lines = new Lines(bytes);
  const [placed, kind = '', publishedUs] = lines.next().split(' ');
  const generation = Number(placed);
  const timeUs = Number(publishedUs);
  if (!Number.isSafeInteger(generation) || !Number.isFinite(timeUs)) return null;
  if (kind === 'progress') {
    const progress = readProgressLines(lines.rest().toString().split('\n'));
    const isSound = Number.isFinite(progress.current) && Number.isFinite(progress.total);
    return isSound ? { kind, generation, timeUs, progress } : null;
  }
  if (!isState(kind)) return null;
  const fields = new Map<string, string>();
  for (const field of EVENT_FIELDS) {
    const line = lines.next();
    if (TIMES.has(field) && line && storedTime(line) === null) return null;
    if (line) fields.set(field, line);
  }
  const change = readState(kind, generation, fields);
  if (!Number.isFinite(change.attempt)) return null;
  return { kind: 'state', generation, timeUs, outcome: readOutcome(lines), ...change };
}

const TIMES: ReadonlySet<string> = new Set([RECORD.due, RECORD.started, RECORD.ended]);

function readOutcome(lines: Lines): EventOutcome | null {
  switch (lines.next()) {
    case EVENT_OUTCOME.none:
      return { result: null, error: null };
    case EVENT_OUTCOME.result:
      return { result: lines.rest(), error: null };
    case EVENT_OUTCOME.error:
      return { result: null, error: lines.rest() };
    default:
      return null; // also what a later version may write
  }
}

function isState(kind: string): kind is ExecutionState {
  return (STATES as readonly string[]).includes(kind);
}

/** Takes lines from the front of bytes that are not text to their end. */
class Lines {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Returns the next line; '' when there is none. */
  next(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    const line = this.#bytes.toString('utf8', this.#at, end < 0 ? this.#bytes.length : end);
    this.#at = end < 0 ? this.#bytes.length : end + 1;
    return line;
  }

  /** Returns all bytes behind the lines that were taken. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}
