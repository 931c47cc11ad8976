/** The value of an argument as people type it, in `docket ls --where` and in the dashboard. */
import type { StrikeValue } from '../wire/strikes.js';

/** Text that is read as it is: no blanks, no quotes, and nothing that is JSON. */
const PLAIN = /^(?!-?\d|true$|false$|null$)[\w.@:/+-]+$/;

/** Returns a text that is read as this value again, except for a Date, which can only be shown. */
export function argumentText(value: StrikeValue): string {
  if (typeof value === 'string') return PLAIN.test(value) ? value : JSON.stringify(value);
  return value instanceof Date ? dateText(value) : String(value);
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'an invalid date' : date.toISOString();
}
