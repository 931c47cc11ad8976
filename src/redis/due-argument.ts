/** Writes due times for scripts; `scripts/_due.lua` reads them. Scripts count them on the server's clock. */
import type { Due } from '../core/due.js';
import { DUE } from './schema.js';

/** Returns a due time as text, in whole milliseconds, rounded up; `null` is now. */
export function dueArgument(due: Due | null): string {
  if (due === null) return '';
  return 'delayMs' in due ? `${DUE.after}${Math.ceil(due.delayMs)}` : `${DUE.at}${Math.ceil(due.atMs)}`;
}
