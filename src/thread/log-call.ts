/**
 * Reads the arguments of a log call as pino does, and makes a line of them that can cross to the coordinator. Owns the
 * rule that no log call fails a task, whatever it is given.
 */
import { format, inspect } from 'node:util';
import type { LogLine } from '../channel/protocol.js';
import type { TaskLogger } from '../tasks/context.js';
import { describe, isError } from '../wire/error-codec.js';

/**
 * Returns a logger that hands on the lines it is given.
 * @param fields - what each line carries beside its own fields, and in place of those of the same names
 */
export function loggerInto(log: (line: LogLine) => void, fields: Readonly<Record<string, unknown>>): TaskLogger {
  const write =
    (level: LogLine['level']) =>
    (...args: unknown[]) => {
      const { message, fields: own } = readLogCall(args);
      try {
        log({ level, message, fields: { ...own, ...fields } });
      } catch {
        // With `threads: 0` a logger of the embedding program may throw. No task fails for that.
      }
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

type Read = Pick<LogLine, 'message' | 'fields'>;

const UNREADABLE = '[unreadable]';

/**
 * Returns the message and the fields of a log call:
 *
 *   (message, ...values)              values fill the placeholders of the message, or follow it
 *   (fields, message?, ...values)     a field `msg`, or the message of an error in `err`, stands in for the message
 *   (error, message?, ...values)      the error becomes the field `err`, and its message stands in for the message
 */
export function readLogCall([first, ...rest]: readonly unknown[]): Read {
  try {
    if (typeof first !== 'object' || first === null) {
      return { fields: {}, message: messageOf(first === undefined ? rest : [first, ...rest]) ?? '' };
    }
    const fields: Record<string, unknown> = isError(first) ? { err: printable(first) } : printableFields(first);
    return { fields, message: messageOf(rest) ?? standIn(first, fields) };
  } catch {
    return { fields: {}, message: 'a log call that cannot be read' };
  }
}

/** Returns the message; `undefined` when none was given. */
function messageOf([message, ...values]: readonly unknown[]): string | undefined {
  if (values.length === 0 && (message === undefined || typeof message === 'string')) return message;
  try {
    return format(message, ...values);
  } catch {
    return [message, ...values].map(describe).join(' ');
  }
}

/** Returns what stands in for a message that was not given. Takes a field `msg`, which would be the message twice. */
function standIn(first: object, fields: Record<string, unknown>): string {
  const { msg } = fields;
  if (typeof msg === 'string') {
    delete fields.msg;
    return msg;
  }
  const error: unknown = isError(first) ? first : Reflect.get(first, 'err');
  if (!isError(error)) return '';
  return typeof error.message === 'string' ? error.message : describe(error);
}

function printableFields(fields: object): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) read[name] = readField(fields, name);
  return read;
}

function readField(fields: object, name: string): unknown {
  try {
    return printable(Reflect.get(fields, name));
  } catch {
    return UNREADABLE;
  }
}

/** Formats what is not a scalar, because it must cross to the coordinator and end in one line of text. */
function printable(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  try {
    return inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY });
  } catch {
    return describe(value);
  }
}
