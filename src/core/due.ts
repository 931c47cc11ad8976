/** When an execution is due. Times and delays count on the server's clock. */
import { type Duration, toMs } from './duration.js';
import { InvalidOptionError } from './errors.js';

/** When an execution is due: after a delay, or at a point in time, in milliseconds. */
export type Due = { readonly delayMs: number } | { readonly atMs: number };

/** @throws InvalidOptionError naming `option` when `delay` is not a duration */
export function dueAfter(delay: Duration, option: string): { readonly delayMs: number } {
  return { delayMs: toMs(delay, option) };
}

/** @throws InvalidOptionError naming `option` when `when` is not a valid date */
export function dueAt(when: Date, option: string): { readonly atMs: number } {
  if (when instanceof Date && !Number.isNaN(when.getTime())) return { atMs: when.getTime() };
  throw new InvalidOptionError(option, 'expected a valid date');
}
