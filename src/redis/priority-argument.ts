import type { Priority } from '../core/priority.js';
import { PRIORITY, STREAM } from './schema.js';

/** Writes a priority as scripts read it; normal when there is none. */
export function priorityArgument(priority: Priority = 'normal'): string {
  return PRIORITY[priority];
}

/** Returns the priority that a letter stands for, of a stream or in a field; normal for any other text. */
export function priorityOf(letter: string): Priority {
  return letter === STREAM.high ? 'high' : letter === STREAM.low ? 'low' : 'normal';
}
