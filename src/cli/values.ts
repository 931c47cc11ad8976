/** What is written on a command line, read: arguments, points in time, values of strikes. */
import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../core/duration.js';
import { InvalidOptionError } from '../core/errors.js';
import type { StrikeOperand } from '../wire/strikes.js';

/** An empty variable, which compose files make of one that is not set, is as good as none. */
export function forgetEmptyVariables(): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith('DOCKET_') && value === '') delete process.env[name];
  }
}

/**
 * Refuses a common flag that was given without a value: a variable of the shell that is not set would mean the default.
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
 * Reads the arguments of a task: one JSON object.
 * @throws InvalidOptionError when it is none; commander's own error would repeat all of the text
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
 * Reads a duration; see `parseDuration`.
 * @throws InvalidOptionError when it is none; commander's own error would say it twice
 */
export function durationArgument(text: string): number {
  return parseDuration(text, 'duration');
}

/**
 * Reads when something is due: a duration from now, or a point in time that begins with its date.
 * @throws InvalidOptionError when it is neither
 */
export function parseWhen(text: string): Date | number {
  const date = /^\d{4}-/.test(text) ? new Date(text) : null;
  if (date && !Number.isNaN(date.getTime())) return date;
  const dated = 'a date such as 2030-01-31T12:00:00Z';
  if (date) throw new InvalidOptionError('--when', `'${text}' is not ${dated}`);
  try {
    return parseDuration(text, '--when');
  } catch (error) {
    const problem = (error as Error).message.replace('--when: ', '');
    throw new InvalidOptionError('--when', `${problem}, nor ${dated}`);
  }
}

/**
 * Reads the value of a strike: JSON, else the text as it is. A whole number keeps all its digits.
 * @throws InvalidOptionError for what no value can be compared with exactly
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

/** Reads a whole number. */
export function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`'${text}' is not a whole number.`);
}
