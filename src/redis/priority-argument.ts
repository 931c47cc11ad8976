import type { Priority } from '../core/priority.js';
import { PRIORITY } from './schema.js';

/** Writes a priority as scripts read it; normal when there is none. */
export function priorityArgument(priority: Priority = 'normal'): string {
  return PRIORITY[priority];
}
