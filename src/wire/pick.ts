/**
 * Reads a few named values out of encoded arguments and skips the rest, for limits and strikes, which need single
 * arguments and not the data. Whatever the bytes are, the time it takes is linear in their length, it needs hardly any
 * stack, and it throws nothing but an UndecodableValueError. Malformed bytes after the last wanted value go unnoticed
 * here; the thread finds them.
 */

import { UndecodableValueError } from '../core/errors.js';
import { decodeValue } from './codec.js';
import { EXTENSION } from './encodable.js';
import { TextCache } from './text-cache.js';

/** A value that was picked: a scalar, or anything else described in words. */
export type Picked =
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'bigint'; readonly value: bigint }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'null'; readonly value: null }
  /** A Date in milliseconds since the epoch; NaN when it is invalid. */
  | { readonly type: 'date'; readonly value: number }
  | { readonly type: 'other'; readonly value: string };

/**
 * Picks top-level values by name. Values that are missing or undefined are not in the result.
 * @throws UndecodableValueError when the bytes are not arguments
 */
export function pickArguments(bytes: Uint8Array, names: readonly string[]): Map<string, Picked> {
  const walker = new Walker(bytes);
  const found = new Map<string, Picked>();
  for (let left = walker.fields(); left > 0 && found.size < names.length; left--) {
    const name = walker.name();
    const start = walker.position;
    walker.skip();
    if (!names.includes(name)) continue;
    const picked = pick(walker.bytes, start, walker.position, name);
    if (picked) found.set(name, picked);
  }
  return found;
}

/**
 * Lists the names of all arguments.
 * @throws UndecodableValueError when the bytes are not arguments
 */
export function argumentNames(bytes: Uint8Array): string[] {
  const walker = new Walker(bytes);
  const names: string[] = [];
  for (let left = walker.fields(); left > 0; left--) {
    names.push(walker.name());
    walker.skip();
  }
  return names;
}

const KEYS = new TextCache();
const OTHER_EXTENSIONS = new Map<number, string>([
  [EXTENSION.map, 'a Map'],
  [EXTENSION.set, 'a Set'],
  [EXTENSION.regExp, 'a RegExp'],
  [EXTENSION.arrayBuffer, 'an ArrayBuffer'],
  [EXTENSION.view, 'a typed array'],
  [EXTENSION.error, 'an error'],
  [EXTENSION.array, 'an array'],
]);

function pick(bytes: Buffer, start: number, end: number, name: string): Picked | undefined {
  const type = bytes[start]!;
  if (isRecord(type)) return { type: 'other', value: 'an object' };
  if ((type >= 0x90 && type < 0xa0) || type === 0xdc || type === 0xdd) return { type: 'other', value: 'an array' };
  if (type >= 0xc4 && type <= 0xc6) return { type: 'other', value: 'bytes' };
  const extension = extensionAt(bytes, start);
  const other = OTHER_EXTENSIONS.get(extension);
  if (other) return { type: 'other', value: other };
  // The same Date occurs twice. The first one can be anywhere before this one, so everything is decoded.
  if (extension === EXTENSION.reference) return pickedOf((decodeValue(bytes) as Record<string, unknown>)[name]);
  return pickedOf(decodeValue(bytes.subarray(start, end)));
}

/** Classifies a decoded value as `pickArguments` does; `undefined` for `undefined`. */
export function pickedOf(value: unknown): Picked | undefined {
  switch (typeof value) {
    case 'undefined':
      return undefined;
    case 'string':
      return { type: 'string', value };
    case 'number':
      return { type: 'number', value };
    case 'bigint':
      return { type: 'bigint', value };
    case 'boolean':
      return { type: 'boolean', value };
    default:
      if (value === null) return { type: 'null', value };
      if (value instanceof Date) return { type: 'date', value: value.getTime() };
      return { type: 'other', value: Array.isArray(value) ? 'an array' : 'an object' };
  }
}

/** Returns the type of the extension that starts here; -1 when there is none. */
function extensionAt(bytes: Buffer, start: number): number {
  const type = bytes[start]!;
  if (type >= 0xd4 && type <= 0xd8) return bytes[start + 1]!;
  if (type >= 0xc7 && type <= 0xc9) return bytes[start + 1 + (1 << (type - 0xc7))]!;
  return -1;
}

function isRecord(type: number): boolean {
  return (type >= 0x80 && type < 0x90) || type === 0xde || type === 0xdf;
}

class Walker {
  readonly bytes: Buffer;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Reads the number of fields of the record that starts here. */
  fields(): number {
    const type = this.#byte();
    if (!isRecord(type)) throw new UndecodableValueError('the bytes are not arguments: an object is missing');
    return type < 0x90 ? type & 0x0f : this.#size(type - 0xdd);
  }

  name(): string {
    const start = this.position;
    const type = this.bytes[start]!;
    this.skip();
    if (type >= 0xa0 && type < 0xc0) return KEYS.read(this.bytes, start + 1, type & 0x1f);
    const isText = (type >= 0xd9 && type <= 0xdb) || extensionAt(this.bytes, start) === EXTENSION.text;
    if (isText) return decodeValue(this.bytes.subarray(start, this.position)) as string;
    throw new UndecodableValueError('the bytes are not arguments: a name is missing');
  }

  /** Skips one value with all its parts. The payload of an extension holds its parts, so nesting needs no stack. */
  skip(): void {
    for (let left = 1; left > 0; left--) left += this.#step();
  }

  /** Skips the head of a value, or the whole value when it has no parts. @returns the number of parts that follow */
  #step(): number {
    const type = this.#byte();
    if (type < 0x80 || type >= 0xe0) return 0;
    if (type < 0x90) return 2 * (type & 0x0f);
    if (type < 0xa0) return type & 0x0f;
    if (type < 0xc0) return this.#take(type & 0x1f);
    if (type >= 0xde) return 2 * this.#size(type - 0xdd);
    if (type >= 0xdc) return this.#size(type - 0xdb);
    return this.#take(this.#sizeOfScalar(type));
  }

  #sizeOfScalar(type: number): number {
    if (type >= 0xd9) return this.#size(type - 0xd9); // text
    if (type >= 0xd4) return 1 + (1 << (type - 0xd4)); // extension of fixed size, with its type
    if (type >= 0xd0) return 1 << (type - 0xd0); // signed
    if (type >= 0xcc) return 1 << (type - 0xcc); // unsigned
    if (type >= 0xca) return 4 << (type - 0xca); // floating
    if (type >= 0xc7) return 1 + this.#size(type - 0xc7); // extension
    if (type >= 0xc4) return this.#size(type - 0xc4); // bytes
    if (type === 0xc1) throw new UndecodableValueError('the bytes are not arguments: type 193 is not in use');
    return 0; // null, false, true
  }

  /** Reads a length of 1, 2 or 4 bytes. */
  #size(power: number): number {
    const start = this.position;
    this.#take(1 << power);
    if (power === 0) return this.bytes[start]!;
    return power === 1 ? this.bytes.readUInt16BE(start) : this.bytes.readUInt32BE(start);
  }

  #byte(): number {
    this.#take(1);
    return this.bytes[this.position - 1]!;
  }

  /** Skips bytes, and returns that no parts follow. */
  #take(size: number): 0 {
    if (size > this.bytes.length - this.position) throw new UndecodableValueError('the bytes are cut off');
    this.position += size;
    return 0;
  }
}
