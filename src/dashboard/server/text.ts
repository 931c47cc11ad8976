/** Formats values of tasks as text for the page: bounded, and only those that may be shown. */
import { inspect } from 'node:util';
import type { ArgumentsJson } from '../api.js';

const SHOWN = { depth: 6, colors: false, maxStringLength: 2_000, maxArrayLength: 100, breakLength: 100 } as const;
const LONGEST_TEXT = 16 * 1_024;

/** Formats a value as code would write it. */
function textOf(value: unknown): string {
  return shortened(inspect(value, SHOWN));
}

/** Shortens text that is too long to be read. */
export function shortened(text: string, longest = LONGEST_TEXT): string {
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length - longest} more characters)` : text;
}

/** Decodes a value to text; `null` for `undefined`. If it cannot be decoded, the text is the problem. */
export function decodedText(decode: () => unknown): string | null {
  try {
    const value = decode();
    return value === undefined ? null : textOf(value);
  } catch (error) {
    return `(cannot be read: ${shortened((error as Error).message, 300)})`;
  }
}

/** Formats the arguments that may be shown; `null` when none are kept. */
export function argumentsJson(decode: () => unknown, isShown: (name: string) => boolean): ArgumentsJson | null {
  let args: unknown;
  try {
    args = decode();
  } catch (error) {
    return { text: `(cannot be read: ${shortened((error as Error).message, 300)})`, hidden: [] };
  }
  if (args === undefined) return null;
  if (typeof args !== 'object' || args === null) return { text: isShown('') ? textOf(args) : null, hidden: [] };
  const names = Object.keys(args);
  const shown = names.filter(isShown);
  const hidden = names.filter((name) => !isShown(name)).slice(0, MOST_NAMES);
  const values = Object.fromEntries(shown.map((name) => [name, (args as Record<string, unknown>)[name]]));
  return { text: shown.length === 0 && hidden.length > 0 ? null : textOf(values), hidden };
}

const MOST_NAMES = 100;
