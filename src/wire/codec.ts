/**
 * Turns values into bytes and back. Owns two promises: a value that cannot come back whole is refused before anything
 * is written, and no bytes, however hostile, cause more than an UndecodableValueError.
 *
 * The format is described in `encodable.ts`. It is read here and not by msgpackr, whose reader compiles the records it
 * finds in any input with `new Function`, recurses without bound, and shares its extensions with the whole process.
 */

import { UndecodableValueError } from '../core/errors.js';
import { EXTENSION, isPlain, MAX_DEPTH, plainPackr, ValueWriter, VIEWS, type Written } from './encodable.js';
import { addField, createError, type ErrorClass, isError, standInFor } from './error-codec.js';
import { TextCache } from './text-cache.js';

export type { ErrorClass } from './error-codec.js';

/** Packs one checked value, alone or inside a message. The bytes do not change when more is packed later. */
export interface Encoder {
  pack(value: unknown): Buffer;
}

/**
 * Checks that `value` can travel and returns the fastest encoder that keeps it whole: msgpackr for plain data, docket's
 * own writer for everything else (two to three times slower).
 * @param root - the start of the path in the error, such as `args`
 * @throws UnencodableValueError when the value holds a function, a symbol, a promise, an instance of a class and the
 *   like
 */
export function encoderFor(value: unknown, root: string): Encoder {
  return isPlain(value) ? plainPackr : new WrittenEncoder(root, new ValueWriter(root).write(value));
}

/** The check has already written the value, so packing it only places those bytes. */
class WrittenEncoder implements Encoder {
  readonly #root: string;
  readonly #written: Written;

  constructor(root: string, written: Written) {
    this.#root = root;
    this.#written = written;
  }

  pack(value: unknown): Buffer {
    return new ValueWriter(this.#root, this.#written).write(value).bytes;
  }
}

/**
 * Encodes one value.
 * @param root - the start of the path in the error, such as `args`
 * @throws UnencodableValueError see `encoderFor`
 */
export function encodeValue(value: unknown, root: string): Buffer {
  return isPlain(value) ? plainPackr.pack(value) : new ValueWriter(root).write(value).bytes;
}

/** Encodes a thrown value, shortened to what a record may hold. Never throws, whatever the value is. */
export function encodeError(error: unknown): Buffer {
  try {
    return new ValueWriter('error').writeThrown(error);
  } catch {
    return new ValueWriter('error').writeThrown(standInFor(error)); // a proxy that throws when it is inspected
  }
}

/**
 * Decodes bytes that `encodeValue` or an encoder wrote.
 * @throws UndecodableValueError when the bytes are not exactly one value
 */
export function decodeValue(bytes: Uint8Array): unknown {
  return decodeError(bytes);
}

/**
 * Decodes bytes that `encodeError` wrote: usually to an Error, otherwise to the value that was thrown.
 * @param classes - classes to revive by name, besides the built-in ones and docket's own. Their constructors do not
 *   run.
 * @throws UndecodableValueError see `decodeValue`
 */
export function decodeError(bytes: Uint8Array, classes: readonly ErrorClass[] = []): unknown {
  try {
    return new ValueReader(bytes, classes).readAll();
  } catch (error) {
    if (error instanceof UndecodableValueError) throw error;
    throw new UndecodableValueError('the bytes are not a value docket wrote', { cause: error });
  }
}

/**
 * Reads the stack of an encoded error with those of its causes, without its fields; `null` when there is none. Bytes that
 * are no error have none.
 */
export function stackOfError(bytes: Uint8Array): string | null {
  const stacks: string[] = [];
  try {
    let error = decodeError(bytes);
    for (let depth = 0; depth < MAX_STACKS && isError(error) && error.stack; depth++) {
      stacks.push(error.stack);
      error = error.cause;
    }
  } catch {} // it cannot be read
  return stacks.length > 0 ? stacks.join('\ncaused by ') : null;
}

/** More than an encoded error has; an error may be its own cause. */
const MAX_STACKS = 8;

/** Deeper than the writer's limit, because a message, its arguments and the fields of an error each add a level. */
const MAX_READ_DEPTH = MAX_DEPTH + 8;

/**
 * Reads one value. No memory is reserved for a length before that many bytes are known to be there, and a read beyond
 * the end of an extension is noticed where the extension ends.
 */
class ValueReader {
  readonly #bytes: Buffer;
  readonly #classes: readonly ErrorClass[];
  readonly #objects: unknown[] = [];
  #position = 0;
  #end: number;
  #depth = 0;

  constructor(bytes: Uint8Array, classes: readonly ErrorClass[]) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#classes = classes;
    this.#end = bytes.length;
  }

  readAll(): unknown {
    const value = this.#value();
    if (this.#position !== this.#end) throw malformed('bytes are left over');
    return value;
  }

  #value(): unknown {
    const type = this.#byte();
    if (type < 0x80) return type;
    if (type < 0x90) return this.#record(type & 0x0f);
    if (type < 0xa0) return this.#array(type & 0x0f);
    if (type < 0xc0) return this.#text(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    return this.#wide(type);
  }

  #wide(type: number): unknown {
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#register(Buffer.from(this.#slice(this.#size(type - 0xc4))));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#size(type - 0xc7));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#size(type - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#size(type - 0xdb));
      case 0xde:
      case 0xdf:
        return this.#record(this.#size(type - 0xdd));
      default:
        return type < 0xd4 ? this.#numeric(type) : this.#extension(1 << (type - 0xd4));
    }
  }

  #numeric(type: number): number | bigint {
    const bytes = this.#bytes;
    switch (type) {
      case 0xca:
        return bytes.readFloatBE(this.#take(4));
      case 0xcb:
        return bytes.readDoubleBE(this.#take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#size(type - 0xcc);
      case 0xcf:
        return bytes.readBigUInt64BE(this.#take(8));
      case 0xd0:
        return bytes.readInt8(this.#take(1));
      case 0xd1:
        return bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return bytes.readInt32BE(this.#take(4));
      case 0xd3:
        return bytes.readBigInt64BE(this.#take(8));
      default:
        throw malformed(`type ${type} is not in use`);
    }
  }

  #record(size: number): Record<string, unknown> {
    const record = this.#register<Record<string, unknown>>({});
    this.#down();
    for (let i = 0; i < size; i++) {
      const key = this.#key();
      // Renamed, because even an own `__proto__` is dangerous when the object is copied by assignment. docket never
      // writes one.
      record[key === '__proto__' ? '__proto_' : key] = this.#value();
    }
    this.#depth -= 1;
    return record;
  }

  #array(size: number): unknown[] {
    const array = this.#register<unknown[]>([]);
    this.#down();
    for (let i = 0; i < size; i++) array.push(this.#value());
    this.#depth -= 1;
    return array;
  }

  #key(): string {
    const type = this.#bytes[this.#position]!;
    if (type < 0xa0 || type >= 0xc0) return this.#string();
    this.#position += 1;
    const size = type & 0x1f;
    return KEYS.read(this.#bytes, this.#take(size), size);
  }

  #string(): string {
    const value = this.#value();
    if (typeof value !== 'string') throw malformed('text is missing');
    return value;
  }

  #text(size: number): string {
    const start = this.#take(size);
    return this.#bytes.toString('utf8', start, start + size);
  }

  #extension(size: number): unknown {
    const type = this.#byte();
    const outerEnd = this.#end;
    const end = this.#take(size) + size;
    this.#position = end - size;
    this.#end = end;
    this.#down();
    const value = this.#payload(type, size);
    if (this.#position !== end) throw malformed(`extension ${type} has an unexpected size`);
    this.#depth -= 1;
    this.#end = outerEnd;
    return value;
  }

  #payload(type: number, size: number): unknown {
    switch (type) {
      case EXTENSION.undefined:
        this.#take(1);
        return undefined;
      case EXTENSION.reference:
        return this.#reference(this.#bytes.readUInt32BE(this.#take(4)));
      case EXTENSION.date:
        return this.#register(new Date(this.#bytes.readDoubleBE(this.#take(8))));
      case EXTENSION.map: {
        const map = this.#register(new Map<unknown, unknown>());
        while (this.#position < this.#end) map.set(this.#value(), this.#value());
        return map;
      }
      case EXTENSION.set: {
        const set = this.#register(new Set<unknown>());
        while (this.#position < this.#end) set.add(this.#value());
        return set;
      }
      case EXTENSION.regExp:
        return this.#register(new RegExp(this.#string(), this.#string()));
      case EXTENSION.bigint:
        return this.#bigint(this.#slice(size).toString('latin1'));
      case EXTENSION.arrayBuffer:
        return this.#register(this.#arrayBuffer(size));
      case EXTENSION.view:
        return this.#register(this.#view(this.#byte(), size - 1));
      case EXTENSION.text:
        return this.#slice(size).toString('utf16le');
      case EXTENSION.error:
        return this.#error();
      case EXTENSION.array:
        return this.#arrayWithFields(this.#bytes.readUInt32BE(this.#take(4)));
      default:
        throw malformed(`extension ${type} is unknown`);
    }
  }

  #reference(distance: number): unknown {
    const object = this.#objects[this.#objects.length - distance];
    if (object === undefined) throw malformed('a reference leads nowhere');
    return object;
  }

  #bigint(digits: string): bigint {
    if (!/^-?[0-9a-f]+$/.test(digits)) throw malformed('a bigint is not hexadecimal');
    return digits.startsWith('-') ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
  }

  #view(kind: number, size: number): ArrayBufferView {
    const View = VIEWS[kind];
    if (!View) throw malformed(`kind ${kind} of view is unknown`);
    const buffer = this.#arrayBuffer(size);
    return View === Buffer ? Buffer.from(buffer) : new (View as typeof Uint8Array)(buffer);
  }

  /** Copies the bytes, so that a few of them neither keep a whole batch in memory nor change with it. */
  #arrayBuffer(size: number): ArrayBuffer {
    return new Uint8Array(this.#slice(size)).buffer;
  }

  #arrayWithFields(size: number): unknown[] {
    const array = this.#register<unknown[]>([]);
    for (let i = 0; i < size; i++) array.push(this.#value());
    while (this.#position < this.#end) {
      const key = this.#key();
      if (key === '__proto__' || Object.hasOwn(array, key)) throw malformed('a field of an array is not one');
      Reflect.set(array, key, this.#value());
    }
    return array;
  }

  #error(): Error {
    const [name, className, message, stack] = [this.#string(), this.#value(), this.#string(), this.#value()];
    if (!isTextOrNull(className) || !isTextOrNull(stack)) throw malformed('an error has no stack');
    const error = this.#register(createError({ name, className, message, stack }, this.#classes));
    while (this.#position < this.#end) addField(error, this.#string(), this.#value());
    return error;
  }

  /** Numbers the object for references to it, like the writer, in the order in which objects begin. */
  #register<T extends object>(object: T): T {
    this.#objects.push(object);
    return object;
  }

  /** Enters a level of nesting. */
  #down(): void {
    if (++this.#depth > MAX_READ_DEPTH) throw malformed('it is nested too deeply');
  }

  /** Reads a length or number of 1, 2 or 4 bytes. */
  #size(power: number): number {
    const width = 1 << power;
    const start = this.#take(width);
    if (width === 1) return this.#bytes[start]!;
    return width === 2 ? this.#bytes.readUInt16BE(start) : this.#bytes.readUInt32BE(start);
  }

  #slice(size: number): Buffer {
    const start = this.#take(size);
    return this.#bytes.subarray(start, start + size);
  }

  #byte(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #take(size: number): number {
    const start = this.#position;
    if (size > this.#end - start) throw malformed('it is cut off');
    this.#position = start + size;
    return start;
  }
}

const KEYS = new TextCache();

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

function malformed(problem: string): UndecodableValueError {
  return new UndecodableValueError(`the bytes are not a value docket wrote: ${problem}`);
}
