/** Durations: numbers of milliseconds, or strings with a unit. */
import { InvalidOptionError } from './errors.js';
import { shown } from './options.js';

/**
 * A length of time: a number of milliseconds, or a number with a unit, such as `'250ms'`, `'30s'`, `'5m'`, `'1h'` or
 * `'2d'`.
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** 10,000 years: anything longer is a mistake, and soon more than a Date can hold. */
const MAXIMUM_MS = 3_650_000 * UNIT_MS.d;
const WITH_UNIT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const CLOCK = /^(?:(\d+):)?([0-5]?\d):([0-5]\d)$/;

/**
 * Converts a duration to whole milliseconds.
 * @param option - name of the option, for the error
 * @throws InvalidOptionError when the duration is negative, longer than 10,000 years or not a duration at all
 */
export function toMs(duration: Duration, option: string): number {
  if (typeof duration === 'number') {
    if (duration >= 0 && duration <= MAXIMUM_MS) return Math.round(duration);
    throw new InvalidOptionError(option, `expected 0 to ${MAXIMUM_MS} milliseconds, got ${duration}`);
  }
  const match = typeof duration === 'string' ? WITH_UNIT.exec(duration) : null;
  if (match) return toMs(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS], option);
  throw new InvalidOptionError(option, `expected a duration such as 250, '30s' or '5m', got ${shown(duration)}`);
}

/**
 * Reads a duration from a command line or an environment variable, in milliseconds: `250ms`, `30s`, `5m`, `1h`, `mm:ss`
 * or `hh:mm:ss`. A bare number is refused, because some people would mean seconds by it and others milliseconds.
 * @param option - name of the option, for the error
 * @throws InvalidOptionError when the text is not a duration
 */
export function parseDuration(text: string, option: string): number {
  const clock = CLOCK.exec(text);
  if (clock) return toMs(((Number(clock[1] ?? 0) * 60 + Number(clock[2])) * 60 + Number(clock[3])) * 1_000, option);
  if (WITH_UNIT.test(text)) return toMs(text as Duration, option);
  const hint = /^\d+(\.\d+)?$/.test(text) ? ` (did you mean ${text}s?)` : '';
  throw new InvalidOptionError(option, `'${text}' is not a duration such as 250ms, 30s, 5m, 1h or mm:ss${hint}`);
}
