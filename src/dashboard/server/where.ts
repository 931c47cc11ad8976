/** Parses the conditions on arguments with which executions are looked for: `customerId=c-1 rows=3`. */
import type { StrikeValue } from '../../wire/strikes.js';
import { refuse } from './query.js';

const MOST_CONDITIONS = 10;

/**
 * Parses conditions that are separated by spaces. A value is JSON, or else text as it is; text with spaces is put in quotes.
 * @throws Refusal for anything else
 */
export function parseWhere(text: string): Record<string, StrikeValue> {
  const parts = text.match(/[^\s=]+=(?:"(?:[^"\\]|\\.)*"|\S*)/g) ?? [];
  const rest = parts.reduce((left, part) => left.replace(part, ''), text).trim();
  if (parts.length === 0 || parts.length > MOST_CONDITIONS || rest !== '') {
    refuse('where: expected conditions such as customerId=c-1, separated by spaces');
  }
  return Object.fromEntries(
    parts.map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at), argumentValueOf(part.slice(at + 1))];
    }),
  );
}

/** Reads a value as the command line does: a whole number keeps all its digits. */
function argumentValueOf(text: string): StrikeValue {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? text : (value as StrikeValue);
  } catch {
    return text;
  }
}
