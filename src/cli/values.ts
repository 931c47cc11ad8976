/** Parses what is given on a command line: arguments, points in time, values of strikes. */
import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import type { StrikeOperand } from '../wire/strikes.js';

/** For the help of the commands. */
export const DURATIONS_HELP = 'Durations: 250ms, 30s, 5m, 1h, 2d, mm:ss, hh:mm:ss.';

/** Removes empty variables from the environment: compose files make them of variables that are not set. */
export function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('DOCKET_') && value === '') delete process.env[name];
  }
}

/**
 * Refuses a common flag with an empty value. It comes from a shell variable that is not set, and must not mean the default.
 * @throws InvalidOptionError naming the flag
 */
export function refuseEmptyFlags(command: Command): void {
  const values = command.optsWithGlobals<Record<string, unknown>>();
  for (const name of ['url', 'docket']) {
    if (values[name] !== '' || command.getOptionValueSourceWithGlobals(name) !== 'cli') continue;
    throw new InvalidOptionError(`--${name}`, 'it is empty: give it a value, or leave it out');
  }
}

/**
 * Parses the arguments of a task: one JSON object.
 * @throws InvalidOptionError for anything else; commander's own error would repeat the whole text
 */
export function parseArguments(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidOptionError('json', `it is not JSON (${(error as Error).message})`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new InvalidOptionError('json', `a task takes one object with named fields, such as '{"name": "ada"}'`);
}

/**
 * Parses a duration; see `parseDuration`.
 * @throws InvalidOptionError for anything else; commander's own error would repeat the problem
 */
export function durationArgument(text: string): number {
  return parseDuration(text, 'duration');
}

/**
 * Parses when something is due: a duration from now, or a point in time that begins with its date.
 * @throws InvalidOptionError for anything else
 */
export function parseWhen(text: string): Date | number {
  const date = /^\d{4}-/.test(text) ? new Date(text) : null;
  if (date && !Number.isNaN(date.getTime())) return date;
  const expected = 'a date such as 2030-01-31T12:00:00Z';
  if (date) throw new InvalidOptionError('--when', `'${text}' is not ${expected}`);
  try {
    return parseDuration(text, '--when');
  } catch (error) {
    const problem = (error as Error).message.replace('--when: ', '');
    throw new InvalidOptionError('--when', `${problem}, nor ${expected}`);
  }
}

/**
 * Parses a time in the past: a duration ago, or a point in time that begins with its date.
 * @throws InvalidArgumentError for anything else; commander puts the flag and the text in front of it
 */
export function parseSince(text: string): Date {
  try {
    const date = /^\d{4}-/.test(text) ? new Date(text) : new Date(Date.now() - parseDuration(text, 'duration'));
    if (date.getTime() >= 0) return date;
  } catch {} // one message for both
  throw new InvalidArgumentError('Expected a duration such as 2h, or a date such as 2030-01-31T12:00:00Z.');
}

/**
 * Parses the value of a strike: JSON, or else the text as it is. A whole number keeps all its digits.
 * @throws InvalidOptionError for a whole number inside JSON that is too large to be exact
 */
export function parseStrikeValue(text: string): StrikeOperand {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if ([value].flat().some((one) => Number.isInteger(one) && !Number.isSafeInteger(one))) {
    throw new InvalidOptionError('value', 'a whole number in it is too large to be read exactly');
  }
  return value as StrikeOperand;
}

/**
 * Parses a whole number of 0 or more.
 * @throws InvalidArgumentError for anything else; commander puts the flag and the text in front of it
 */
export function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number of 0 or more.');
}
