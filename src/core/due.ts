/** When an execution is due. Times and delays count on the server's clock. */
import { type Duration, toMs } from './duration.js';
import { InvalidOptionError } from './errors.js';

/** When an execution is due: after a delay, or at a point in time, in milliseconds. */
export type Due = { readonly delayMs: number } | { readonly atMs: number };

/** @throws InvalidOptionError naming `option` when `delay` is not a duration, or is the number of a point in time */
export function dueAfter(delay: Duration, option: string): { readonly delayMs: number } {
  if (typeof delay === 'number' && delay >= EARLIEST_TIMESTAMP_MS) {
    const problem = `${delay} is a point in time, not a delay: pass a Date, or a delay as text, such as '365d'`;
    throw new InvalidOptionError(option, problem);
  }
  return { delayMs: toMs(delay, option) };
}

/** A number from here on was meant as milliseconds since the epoch: this is in 2001, and as a delay it is 31 years. */
const EARLIEST_TIMESTAMP_MS = 1e12;

/** @throws InvalidOptionError naming `option` when `when` is not a valid date */
export function dueAt(when: Date, option: string): { readonly atMs: number } {
  if (when instanceof Date && !Number.isNaN(when.getTime())) return { atMs: when.getTime() };
  throw new InvalidOptionError(option, 'expected a valid date');
}
