/**
 * Cron expressions, read and searched by croner. Owns how they meet a change of clocks: fixed times are kept, each
 * exactly once (`cron` in `perpetual.ts` says how); what has a `*` or a step in its time follows the time that passes.
 */
import { Cron } from 'croner';
import { InvalidOptionError } from '../core/errors.js';

/**
 * Checks that an expression can be read and has a match.
 * @throws InvalidOptionError when it has not, or the time zone is unknown
 */
export function checkCron(expression: string, timezone: string): void {
  checkTimezone(timezone);
  if (parse(expression, timezone).nextRun(new Date(0)) !== null) return;
  throw new InvalidOptionError('cron.expression', `'${expression}' never matches: there is no such date`);
}

/**
 * Finds the first match after a time, strictly.
 * @param afterMs - milliseconds of the epoch
 * @throws InvalidOptionError when there is none before the year 3000, or the expression cannot be read
 */
export function nextCronMs(expression: string, timezone: string, afterMs: number): number {
  const next = parse(expression, timezone).nextRun(new Date(afterMs));
  if (next !== null) return next.getTime();
  throw new InvalidOptionError(
    'cron.expression',
    `'${expression}' has no match after ${new Date(afterMs).toISOString()}`,
  );
}

/** Reading one takes longer than searching. It never grows much: expressions stand in code. */
const PARSED = new Map<string, Cron>();

function parse(expression: string, timezone: string): Cron {
  const known = PARSED.get(`${timezone} ${expression}`);
  if (known) return known;
  // croner would take text with a colon for a date.
  if (typeof expression !== 'string' || expression.includes(':')) throw unreadable(expression);
  try {
    const cron = new Cron(expression, { timezone, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard', paused: true });
    PARSED.set(`${timezone} ${expression}`, cron);
    return cron;
  } catch (error) {
    throw unreadable(expression, error);
  }
}

function checkTimezone(timezone: string): void {
  try {
    if (typeof timezone === 'string') return void new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {} // it is unknown
  const given = typeof timezone === 'string' ? `'${timezone}'` : String(timezone);
  throw new InvalidOptionError('cron.timezone', `expected an IANA name such as 'Europe/Berlin', got ${given}`);
}

function unreadable(expression: unknown, cause?: unknown): InvalidOptionError {
  const given = typeof expression === 'string' ? `'${expression}'` : String(expression);
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  const problem = `expected five or six fields such as '0 9 * * MON-FRI', or '@daily', got ${given}${reason}`;
  return new InvalidOptionError('cron.expression', problem, { cause });
}
