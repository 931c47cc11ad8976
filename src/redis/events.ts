/** Reads the events of executions: a line `<generation> <kind> <server time in us>`, then lines for each kind. */
import { type ProgressRecord, readProgressLines, readState, type StateChange } from './record.js';
import { EVENT_FIELDS } from './schema.js';

/** A change of one execution. By its time a reader can tell whether the event or a reading of the record is newer. */
export type RecordEvent = { readonly generation: number; readonly timeUs: number } & (
  | ({ readonly kind: 'state' } & StateChange)
  | { readonly kind: 'progress'; readonly progress: ProgressRecord }
);

export function parseEvent(text: string): RecordEvent {
  const [head = '', ...lines] = text.split('\n');
  const [placed, kind = '', publishedUs] = head.split(' ');
  const generation = Number(placed);
  const timeUs = Number(publishedUs);
  if (kind === 'progress') return { kind, generation, timeUs, progress: readProgressLines(lines) };
  const fields = new Map<string, string>();
  for (const [i, field] of EVENT_FIELDS.entries()) if (lines[i]) fields.set(field, lines[i]);
  return { kind: 'state', generation, timeUs, ...readState(kind, generation, fields) };
}
