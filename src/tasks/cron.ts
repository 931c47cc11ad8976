/**
 * Cron expressions, parsed and searched by croner. Owns the rule for changes of the clocks: fixed times run exactly
 * once (see `cron` in `perpetual.ts`), and expressions with a `*` or a step in the time follow the time that passes.
 */
import { Cron } from 'croner';
import { InvalidOptionError } from '../core/errors.js';

/**
 * Checks that an expression is valid and has a match.
 * @throws InvalidOptionError when it is not valid or has no match, or the time zone is unknown
 */
export function checkCron(expression: string, timezone: string): void {
  checkTimezone(timezone);
  if (parse(expression, timezone).nextRun(new Date(0)) !== null) return;
  throw new InvalidOptionError('cron.expression', `'${expression}' never matches, because there is no such date`);
}

/**
 * Returns the first match strictly after a time, in milliseconds since the epoch.
 * @param afterMs - milliseconds since the epoch
 * @throws InvalidOptionError when there is no match before the year 3000, or the expression is not valid
 */
export function nextCronMs(expression: string, timezone: string, afterMs: number): number {
  const next = parse(expression, timezone).nextRun(new Date(afterMs));
  if (next !== null) return next.getTime();
  throw new InvalidOptionError(
    'cron.expression',
    `'${expression}' has no match after ${new Date(afterMs).toISOString()}`,
  );
}

/** Longer than any that makes sense: six fields that list all their values have some 600 characters. */
const LONGEST_EXPRESSION = 1_024;

/** Parsed expressions, because parsing takes longer than searching. Bounded: calls may have expressions of their own. */
const PARSED = new Map<string, Cron>();
const MAXIMUM_PARSED = 4_096;

function parse(expression: string, timezone: string): Cron {
  const known = PARSED.get(`${timezone} ${expression}`);
  if (known) return known;
  // Before anything is kept of it, or told.
  if (typeof expression === 'string' && expression.length > LONGEST_EXPRESSION) {
    throw new InvalidOptionError('cron.expression', `it has more than ${LONGEST_EXPRESSION} characters`);
  }
  // croner would read text with a colon as a date.
  if (typeof expression !== 'string' || expression.includes(':')) throw unreadable(expression);
  try {
    const cron = new Cron(expression, { timezone, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard', paused: true });
    if (PARSED.size >= MAXIMUM_PARSED) PARSED.delete(PARSED.keys().next().value!); // the one that was parsed first
    PARSED.set(`${timezone} ${expression}`, cron);
    return cron;
  } catch (error) {
    throw unreadable(expression, error);
  }
}

function checkTimezone(timezone: string): void {
  try {
    if (typeof timezone === 'string') return void new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {} // unknown
  const given = typeof timezone === 'string' ? `'${timezone}'` : String(timezone);
  throw new InvalidOptionError('cron.timezone', `expected an IANA name such as 'Europe/Berlin', got ${given}`);
}

function unreadable(expression: unknown, cause?: unknown): InvalidOptionError {
  const given = typeof expression === 'string' ? `'${expression}'` : String(expression);
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  const problem = `expected five or six fields such as '0 9 * * MON-FRI', or '@daily', got ${given}${reason}`;
  return new InvalidOptionError('cron.expression', problem, { cause });
}
