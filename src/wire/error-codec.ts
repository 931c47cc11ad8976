/**
 * Writes the parts of an error that travel, and makes an error of them again: its class is found by name, and no
 * constructor runs. Owns the bounds: an error is data that the author of a task did not choose, so it may never make a
 * record large or fail an attempt a second time. Parts that cannot be encoded are described; parts that find no room
 * are left out.
 */
import { types } from 'node:util';
import * as docketErrors from '../core/errors.js';

/** A class of errors that `decodeError` may revive. It is found by its `name`. */
export type ErrorClass = abstract new (...args: never) => Error;

/** The four parts with which an error starts on the wire. */
export interface ErrorHeader {
  readonly name: string;
  /** Name of the class when it differs from `name`; the prefix `docket:` marks docket's own classes. */
  readonly className: string | null;
  readonly message: string;
  readonly stack: string | null;
}

/** The functions of a writer that writing an error needs. */
export interface ErrorSink {
  readonly position: number;
  text(text: string | null): void;
  value(value: unknown): void;
  /** Writes a value; the parts of it that cannot travel are described. */
  partialValue(value: unknown): void;
  /** Opens an array; the caller writes the values in it. */
  list(length: number): void;
  /** Runs `write`, and undoes it when it throws or needs more than `room` bytes. @returns whether it was written */
  tryWrite(room: number, write: () => void): boolean;
}

/** Maximum number of bytes for the fields of an error and of all errors within it. */
export const MAX_FIELD_BYTES = 16 * 1024;
const MAX_CAUSES = 5;
const MAX_ERRORS = 20;
const MAX_FIELDS = 256;
const MAX_NAME = 256;
const MAX_TEXT = 8 * 1024;
const MAX_DESCRIPTION = 1_000;
const UNBOUNDED = Number.POSITIVE_INFINITY;
const OWN_CLASS = 'docket:';
const HEADER_KEYS = new Set(['name', 'message', 'stack', 'code', 'cause', 'errors', '__proto__']);

const BUILT_IN: ReadonlyMap<string, ErrorClass> = new Map(
  [TypeError, RangeError, SyntaxError, EvalError, ReferenceError, URIError, AggregateError].map((it) => [it.name, it]),
);
/** By the names of their errors, which a minifier leaves alone, unlike those of the classes. */
const DOCKET: ReadonlyMap<string, ErrorClass> = new Map(
  Object.values(docketErrors).map((it) => [OWN_CLASS + it.prototype.name, it]),
);

/** Tells whether a value is an error of any realm (`instanceof` fails for errors of another one). */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

/** Writes one error and the errors within it: its causes, the errors of an AggregateError, and errors in fields. */
export class ErrorWriter {
  readonly #sink: ErrorSink;
  #depth = 0;
  #errorsLeft = MAX_ERRORS;
  #fieldRoom = MAX_FIELD_BYTES;

  constructor(sink: ErrorSink) {
    this.#sink = sink;
  }

  /** @throws RangeError when the error lies too deep within others, or there are too many of them */
  write(error: Error): void {
    if (this.#depth > MAX_CAUSES || this.#errorsLeft === 0) throw new RangeError('too many errors within an error');
    this.#depth += 1;
    this.#errorsLeft -= 1;
    try {
      const { name, className, message, stack } = headerOf(error);
      for (const part of [name, className, message, stack]) this.#sink.text(part);
      for (const [key, value] of fieldsOf(error)) this.#field(error, key, value);
    } finally {
      this.#depth -= 1;
    }
  }

  #field(error: Error, key: string, value: unknown): void {
    // Errors are bounded by their number and the length of their texts; the room for fields is for everything else.
    if (key === 'cause' && isError(value) && this.#tryWrite(key, UNBOUNDED, () => this.#sink.value(value))) return;
    if (isErrorList(error, key, value) && this.#tryWrite(key, UNBOUNDED, () => this.#errors(value))) return;
    if (this.#charged(() => this.#tryWrite(key, this.#fieldRoom, () => this.#sink.partialValue(value)))) return;
    if (typeof value === 'function') return;
    this.#charged(() => this.#tryWrite(key, this.#fieldRoom, () => this.#sink.text(describe(value))));
  }

  #errors(errors: readonly unknown[]): void {
    const first = errors.slice(0, this.#errorsLeft);
    this.#sink.list(first.length);
    for (const error of first) {
      const write = (): void => this.#sink.partialValue(error);
      if (isError(error) && this.#sink.tryWrite(UNBOUNDED, write)) continue;
      if (!this.#charged(() => this.#sink.tryWrite(this.#fieldRoom, write))) this.#sink.text(describe(error));
    }
  }

  #tryWrite(key: string, room: number, write: () => void): boolean {
    return this.#sink.tryWrite(room, () => {
      this.#sink.text(key);
      write();
    });
  }

  /** Takes the bytes that `write` needs from the room for fields. */
  #charged(write: () => boolean): boolean {
    const start = this.#sink.position;
    const left = this.#fieldRoom;
    const isWritten = write();
    this.#fieldRoom = left - (this.#sink.position - start);
    return isWritten;
  }
}

/** Reads the header. A getter that throws loses only its own part. */
function headerOf(error: Error): ErrorHeader {
  const name = cut(textOf(() => error.name) || 'Error', MAX_NAME);
  const isOwn = error instanceof docketErrors.DocketError;
  const className = cut(isOwn ? OWN_CLASS + name : textOf(() => error.constructor.name), MAX_NAME);
  const stack = textOf(() => error.stack);
  return {
    name,
    className: className === '' || className === name ? null : className,
    message: cut(
      textOf(() => error.message),
      MAX_TEXT,
    ),
    stack: stack === '' ? null : cut(stack, MAX_TEXT),
  };
}

function fieldsOf(error: Error): [string, unknown][] {
  const fields: [string, unknown][] = [];
  const add = (key: string): void => {
    try {
      const value: unknown = Reflect.get(error, key);
      if (value !== undefined) fields.push([key, value]);
    } catch {
      // A field that cannot be read is left out; the rest of the error still travels.
    }
  };
  for (const key of ['code', 'cause', 'errors']) add(key);
  for (const key of Object.keys(error).slice(0, MAX_FIELDS)) if (!HEADER_KEYS.has(key)) add(key);
  return fields;
}

/** Creates the error to which `addField` then adds the fields. */
export function createError(header: ErrorHeader, classes: readonly ErrorClass[]): Error {
  const { name, className, message, stack } = header;
  // A native error with another prototype, so that util.types, inspect and structuredClone recognize it as an error.
  const error = new Error(message);
  const errorClass = classFor(name, className, classes);
  if (errorClass !== Error) Object.setPrototypeOf(error, errorClass.prototype);
  if (textOf(() => error.name) !== name) define(error, 'name', name, false);
  error.stack = stack ?? `${name}: ${message}`; // assigned, because defining it would make V8 format the stack it has first
  return error;
}

/** Adds one of the encoded fields, enumerable or not as it is on a native error. */
export function addField(error: Error, key: string, value: unknown): void {
  if (key === '__proto__') return;
  define(error, key, value, key !== 'cause' && !isErrorList(error, key, value));
}

function isErrorList(error: Error, key: string, value: unknown): value is readonly unknown[] {
  return key === 'errors' && error instanceof AggregateError && Array.isArray(value);
}

function classFor(name: string, className: string | null, classes: readonly ErrorClass[]): ErrorClass {
  const docketClass = className !== null && DOCKET.get(className);
  if (docketClass) return docketClass;
  const registered = (wanted: string | null): ErrorClass | undefined => classes.find((it) => it.name === wanted);
  return registered(className) ?? registered(name) ?? BUILT_IN.get(className ?? name) ?? BUILT_IN.get(name) ?? Error;
}

function define(error: Error, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
}

/** Describes a value that cannot travel or is too large, in a few words. Never throws. */
export function describe(value: unknown): string {
  try {
    if (isError(value)) return cut(`${textOf(() => value.name)}: ${textOf(() => value.message)}`, MAX_DESCRIPTION);
    if (typeof value === 'function') return `[function ${cut(value.name, MAX_NAME)}]`;
    if (typeof value === 'object' && value !== null) return `[${cut(classNameOf(value), MAX_NAME)}]`;
    return cut(String(value), MAX_DESCRIPTION);
  } catch {
    return '[unreadable]';
  }
}

/** Returns an error that stands for a thrown value that is not an error and cannot be encoded. */
export function standInFor(thrown: unknown): Error {
  const error = new Error(`the task threw something that cannot be stored: ${describe(thrown)}`);
  error.stack = ''; // it would show where docket created the error
  return error;
}

/** Returns the name of an object's class, for messages. */
export function classNameOf(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const made = typeof prototype === 'object' && prototype !== null ? prototype.constructor : undefined;
  return typeof made === 'function' && made.name !== '' ? made.name : 'Object';
}

/** Returns the text, or an empty one when it cannot be read or is not text. */
function textOf(read: () => unknown): string {
  try {
    const text = read();
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
