/**
 * Writes every value that can travel, and names the path to the part that cannot.
 *
 * Plain data goes through msgpackr, the rest through the writer below. msgpackr [checked on 2.1] writes a Map like an
 * object and -0 like 0, reads its own cyclic objects back only with records, and lets any other user in the process
 * change how a Date is written (`addExtension` is global). Both write standard msgpack. A type that JSON lacks is an
 * extension whose payload holds the whole value, so that a reader can skip a value it does not want:
 *
 *   undefined  0      reference  1  uint32 n: the n-th last object begun before this one
 *   Date       2  milliseconds        Map   3  key, value, key, value ...      Set    4  value, value ...
 *   RegExp     5  source, flags      bigint beyond 64 bits  6  hexadecimal    ArrayBuffer  7  bytes
 *   view       8  kind, bytes        text with lone surrogates  9  UTF-16     Error  10  name, class, message, stack,
 *                                                                                        then key, value ...
 *   array with fields of its own, as a match has    11  uint32 n, n values, then key, value ...
 *
 * References count backwards, so they stay valid when the bytes of the value are cut out or copied elsewhere.
 */
import { inspect, types } from 'node:util';
import { Packr } from 'msgpackr';
import { UnencodableValueError } from '../core/errors.js';
import {
  classNameOf,
  describe,
  type ErrorSink,
  ErrorWriter,
  isError,
  MAX_FIELD_BYTES,
  standInFor,
} from './error-codec.js';

/** Extension types of the wire format. */
export const EXTENSION = {
  undefined: 0,
  reference: 1,
  date: 2,
  map: 3,
  set: 4,
  regExp: 5,
  bigint: 6,
  arrayBuffer: 7,
  view: 8,
  text: 9,
  error: 10,
  array: 11,
} as const;

/** Classes of views; their index is their number on the wire. */
export const VIEWS = [
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  Buffer,
] as const;

/**
 * Maximum number of levels of objects within objects. Maps take the most stack: Node's default overflows at 700 to
 * 1,000 of them.
 */
export const MAX_DEPTH = 500;

const MAX_PLAIN_DEPTH = 100;
/** Up to this number of objects, searching a list is cheaper than hashing. */
const FEW = 16;
/** Up to this number of elements, listing the names of a list is cheaper than having Node look for its fields. */
const FEW_ELEMENTS = 64;
const FIELDS_ONLY = { maxArrayLength: 0, depth: 0, customInspect: false } as const;
/** Text shorter than this has its length in its first byte. */
const SHORT = 32;
const MAX_PATH = 30;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** Packs plain data and, for the writer below, scalars. Without records, which would tie the bytes to this process. */
export const plainPackr = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false });

/**
 * Tells whether msgpackr keeps `value` whole: JSON-like data without an object that occurs twice, and without
 * extensions.
 */
export function isPlain(value: unknown): boolean {
  try {
    return typeof value === 'object' && value !== null ? new PlainCheck().isPlain(value, 0) : isPlainScalar(value);
  } catch {
    return false; // a getter threw: the writer will name its path
  }
}

function isPlainScalar(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      return isWellFormed(value);
    case 'number':
      return value !== 0 || 1 / value > 0;
    case 'boolean':
    case 'undefined':
      return true;
    case 'bigint':
      return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value;
    default:
      return value === null;
  }
}

/** Walks through one value. Runs before every add, so it is written for speed. */
class PlainCheck {
  /** The objects met so far, while there are few of them. */
  readonly #few: object[] = [];
  #many: Set<object> | undefined;

  isPlain(value: object, depth: number): boolean {
    const prototype = Object.getPrototypeOf(value);
    if (depth > MAX_PLAIN_DEPTH || !this.#visit(value)) return false;
    if (prototype === Object.prototype) return this.#isPlainRecord(value as Record<string, unknown>, depth);
    return prototype === Array.prototype && Array.isArray(value) && this.#isPlainArray(value, depth);
  }

  #isPlainRecord(record: Readonly<Record<string, unknown>>, depth: number): boolean {
    if (record.constructor !== Object || Object.getOwnPropertySymbols(record).length > 0) return false;
    for (const key in record) {
      if (key === '__proto__' || !isWellFormed(key)) return false;
      const part = record[key];
      if (typeof part === 'object' && part !== null ? !this.isPlain(part, depth + 1) : !isPlainScalar(part))
        return false;
    }
    return true;
  }

  #isPlainArray(array: readonly unknown[], depth: number): boolean {
    if (mayHaveFields(array)) return false;
    for (let i = 0; i < array.length; i++) {
      const part = array[i];
      if (typeof part === 'object' && part !== null ? !this.isPlain(part, depth + 1) : !isPlainScalar(part))
        return false;
    }
    return true;
  }

  /** Adds an object to those met so far. Returns false when it was met before. */
  #visit(value: object): boolean {
    if (this.#many) return this.#many.size < this.#many.add(value).size;
    if (this.#few.includes(value)) return false;
    if (this.#few.push(value) > FEW) this.#many = new Set(this.#few);
    return true;
  }
}

/** A value that `ValueWriter` has written, to be placed inside a message. */
export interface Written {
  readonly value: unknown;
  readonly bytes: Buffer;
  /** Number of objects in it, which references across it have to count. */
  readonly objects: number;
}

/** Writes one value. Can be used once only. */
export class ValueWriter implements ErrorSink {
  position = 0;
  #buffer = Buffer.allocUnsafe(512);
  /** Where writing must stop, because the size of an error is bounded. */
  #limit = Number.POSITIVE_INFINITY;
  /** Whether a part that cannot travel is described instead of refused. */
  #isPartial = false;
  #objects = 0;
  readonly #numbers = new Map<object, number>();
  readonly #numbered: object[] = [];
  readonly #path: (string | number | MapStep)[] = [];
  #errors: ErrorWriter | undefined;
  readonly #root: string;
  readonly #ready: Written | undefined;

  constructor(root: string, ready?: Written) {
    this.#root = root;
    this.#ready = ready;
  }

  /** @throws UnencodableValueError */
  write(value: unknown): Written {
    try {
      this.value(value);
    } catch (error) {
      if (error instanceof UnencodableValueError) throw error;
      this.#refuse(`cannot be read: ${describe(error)}`); // a getter or a proxy threw, at this path
    }
    return { value, bytes: this.#buffer.subarray(0, this.position), objects: this.#objects };
  }

  /** Writes a thrown value, usually an error, within the bounds for errors. */
  writeThrown(thrown: unknown): Buffer {
    const room = isError(thrown) ? Number.POSITIVE_INFINITY : MAX_FIELD_BYTES;
    if (!this.tryWrite(room, () => this.partialValue(thrown))) this.value(standInFor(thrown));
    return this.#buffer.subarray(0, this.position);
  }

  value(value: unknown): void {
    if (typeof value === 'string') this.text(value);
    else if (typeof value === 'object' && value !== null) this.#object(value);
    else if (typeof value === 'number' && value > 0 && value < 0x80 && Number.isInteger(value)) this.#byte(value);
    else if (isPlainScalar(value)) this.#bytes(plainPackr.pack(value));
    else if (typeof value === 'number') {
      this.#byte(0xcb);
      this.#double(value);
    } else if (typeof value === 'bigint') {
      this.#extension(EXTENSION.bigint, () => this.#bytes(Buffer.from(value.toString(16), 'latin1')));
    } else this.#refuse(`is a ${typeof value}, which cannot travel: pass data`);
  }

  partialValue(value: unknown): void {
    const outer = this.#isPartial;
    this.#isPartial = true;
    try {
      this.value(value);
    } finally {
      this.#isPartial = outer;
    }
  }

  text(text: string | null): void {
    if (text !== null && text.length < SHORT && this.#shortAscii(text)) return;
    if (text === null || isWellFormed(text)) this.#bytes(plainPackr.pack(text));
    else this.#extension(EXTENSION.text, () => this.#bytes(Buffer.from(text, 'utf16le')));
  }

  /** Writes short ASCII text. Most text is a key or a word; writing those here halves the time for an object. */
  #shortAscii(text: string): boolean {
    const start = this.#reserve(1 + text.length);
    const buffer = this.#buffer;
    buffer[start] = 0xa0 | text.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.position = start;
        return false;
      }
      buffer[start + 1 + i] = code;
    }
    return true;
  }

  list(length: number): void {
    this.#objects += 1;
    this.#length(0x90, 0xdc, 0xdd, length);
  }

  tryWrite(room: number, write: () => void): boolean {
    const { position } = this;
    const [objects, numbered, depth] = [this.#objects, this.#numbered.length, this.#path.length];
    const limit = this.#limit;
    this.#limit = Math.min(limit, position + room);
    try {
      write();
      return true;
    } catch {
      this.position = position;
      this.#objects = objects;
      this.#path.length = depth;
      for (const object of this.#numbered.splice(numbered)) this.#numbers.delete(object);
      return false;
    } finally {
      this.#limit = limit;
    }
  }

  #object(value: object): void {
    const number = this.#numbers.get(value);
    if (value === this.#ready?.value) this.#place(this.#ready);
    else if (number !== undefined) this.#reference(this.#objects - number);
    else this.#newObject(value);
  }

  #place(ready: Written): void {
    this.#objects += ready.objects;
    this.#bytes(ready.bytes);
  }

  #newObject(value: object): void {
    if (this.#path.length > MAX_DEPTH) this.#refuse(`lies more than ${MAX_DEPTH} levels deep: flatten it`);
    this.#numbers.set(value, this.#objects++);
    this.#numbered.push(value);
    const prototypes = countPrototypes(value);
    if (isError(value)) this.#error(value);
    else if (prototypes < 2) this.#record(value as Record<string, unknown>);
    else if (Array.isArray(value) && prototypes === 2) this.#array(value);
    else if (ArrayBuffer.isView(value) && (prototypes <= 3 || Buffer.isBuffer(value))) this.#view(value);
    else if (prototypes === 2) this.#builtIn(value);
    else this.#refuseInstance(value);
  }

  #record(record: Readonly<Record<string, unknown>>): void {
    this.#refuseSymbols(record);
    const keys = Object.keys(record);
    this.#length(0x80, 0xde, 0xdf, keys.length);
    for (const key of keys) this.#field(key, record);
  }

  #field(key: string, owner: object): void {
    this.text(key);
    this.#path.push(key);
    if (key === '__proto__') this.#refuse('is a key that could change the prototype of an object: rename it');
    if (this.#isPartial) this.#describable(() => Reflect.get(owner, key));
    else this.value(Reflect.get(owner, key));
    this.#path.pop();
  }

  #array(values: readonly unknown[]): void {
    const fields = this.#fieldsOfList(values);
    if (fields.length === 0) {
      this.#length(0x90, 0xdc, 0xdd, values.length);
      for (let i = 0; i < values.length; i++) this.#part(i, values[i]);
    } else {
      this.#extension(EXTENSION.array, () => {
        const start = this.#reserve(4);
        this.#buffer.writeUInt32BE(values.length, start);
        for (let i = 0; i < values.length; i++) this.#part(i, values[i]);
        for (const key of fields) this.#field(key, values);
      });
    }
  }

  #part(step: string | number | MapStep, value: unknown): void {
    this.#path.push(step);
    if (this.#isPartial) this.#describable(() => value);
    else this.value(value);
    this.#path.pop();
  }

  /** Writes a value, or its description when it cannot travel or finds no room. */
  #describable(read: () => unknown): void {
    let value: unknown = UNREAD;
    const isWritten = this.tryWrite(Number.POSITIVE_INFINITY, () => {
      value = read();
      this.value(value);
    });
    if (!isWritten) this.text(value === UNREAD ? '[unreadable]' : describe(value));
  }

  #reference(distance: number): void {
    this.#byte(0xd6);
    this.#byte(EXTENSION.reference);
    const start = this.#reserve(4);
    this.#buffer.writeUInt32BE(distance, start);
  }

  /** Writes an instance of a built-in class without a parent. A class derived from one counts as a user's class. */
  #builtIn(value: object): void {
    if (types.isDate(value)) {
      this.#wholeExtension(value, EXTENSION.date, () => this.#double(value.getTime()));
    } else if (types.isMap(value)) {
      this.#wholeExtension(value, EXTENSION.map, () => this.#map(value));
    } else if (types.isSet(value)) {
      this.#wholeExtension(value, EXTENSION.set, () => this.#set(value));
    } else if (types.isRegExp(value)) {
      this.#wholeExtension(value, EXTENSION.regExp, () => {
        this.text(value.source);
        this.text(value.flags);
      });
    } else if (types.isArrayBuffer(value)) {
      this.#wholeExtension(value, EXTENSION.arrayBuffer, () => this.#bytes(new Uint8Array(value)));
    } else this.#refuseInstance(value);
  }

  /** Writes an object that has nothing beside what `write` writes. */
  #wholeExtension(value: object, type: number, write: () => void): void {
    const [field] = Object.keys(value);
    if (field !== undefined) this.#refuseField(value, field);
    this.#refuseSymbols(value);
    this.#extension(type, write);
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    let entry = 0;
    for (const [key, value] of map) {
      this.#part({ entry: entry++ }, key);
      this.#part({ key }, value);
    }
  }

  #set(set: ReadonlySet<unknown>): void {
    let entry = 0;
    for (const value of set) this.#part({ entry: entry++ }, value);
  }

  #view(view: ArrayBufferView): void {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const name = Buffer.isBuffer(view) ? 'Buffer' : Object.prototype.toString.call(view).slice(8, -1);
    const kind = VIEWS.findIndex((it) => it.name === name);
    if (kind < 0) this.#refuseInstance(view);
    const [field] = types.isDataView(view) ? Object.keys(view) : this.#fieldsOfList(view as Uint8Array);
    if (field !== undefined) this.#refuseField(view, field);
    this.#extension(EXTENSION.view, () => {
      this.#byte(kind);
      this.#bytes(bytes);
    });
  }

  #error(error: Error): void {
    const outer = this.#errors;
    this.#errors ??= new ErrorWriter(this);
    this.#path.push('error');
    try {
      this.#extension(EXTENSION.error, () => this.#errors?.write(error));
    } finally {
      this.#errors = outer;
    }
    this.#path.pop();
  }

  #double(value: number): void {
    const start = this.#reserve(8);
    this.#buffer.writeDoubleBE(value, start);
  }

  #extension(type: number, write: () => void): void {
    const start = this.#reserve(6);
    write();
    this.#buffer[start] = 0xc9;
    this.#buffer.writeUInt32BE(this.position - start - 6, start + 1);
    this.#buffer[start + 5] = type;
  }

  #length(short: number, two: number, four: number, length: number): void {
    if (length < 16) {
      this.#byte(short | length);
    } else if (length < 0x10000) {
      this.#byte(two);
      const start = this.#reserve(2);
      this.#buffer.writeUInt16BE(length, start);
    } else {
      this.#byte(four);
      const start = this.#reserve(4);
      this.#buffer.writeUInt32BE(length, start);
    }
  }

  #byte(value: number): void {
    const start = this.#reserve(1);
    this.#buffer[start] = value;
  }

  #bytes(bytes: Uint8Array): void {
    const start = this.#reserve(bytes.length);
    this.#buffer.set(bytes, start);
  }

  /**
   * Makes room for `size` bytes and returns their position. Must be called before `#buffer` is used, which it may
   * replace.
   */
  #reserve(size: number): number {
    const start = this.position;
    const end = start + size;
    if (end > this.#limit) throw new RangeError('no room left');
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, start));
      this.#buffer = larger;
    }
    this.position = end;
    return start;
  }

  #refuseInstance(value: object): never {
    if (types.isPromise(value)) return this.#refuse('is a promise: await it first');
    return this.#refuse(`is an instance of ${classNameOf(value)}, which cannot travel: make plain data of it`);
  }

  /** Refuses a field that somebody put on an instance of a built-in class, because it would get lost. */
  /** Returns the names of the fields that an array or typed array has besides its elements. */
  #fieldsOfList(list: ArrayLike<unknown>): readonly string[] {
    if (!mayHaveFields(list)) return [];
    this.#refuseSymbols(list);
    return Object.keys(list).filter((key) => !isIndex(key, list.length));
  }

  #refuseSymbols(value: object): void {
    if (Object.getOwnPropertySymbols(value).length > 0) this.#refuse('has a symbol for a key: use a string');
  }

  #refuseField(value: object, field: string): never {
    this.#path.push(field);
    return this.#refuse(`is a field of its own of a ${classNameOf(value)}, which cannot travel: pass it beside it`);
  }

  #refuse(problem: string): never {
    const steps = this.#path.slice(0, MAX_PATH).map(stepText);
    if (this.#path.length > MAX_PATH) steps.push('…');
    throw new UnencodableValueError(this.#root + steps.join(''), problem);
  }
}

const UNREAD = Symbol('unread');

/** A step into a Map or Set: to the value under a key, or to the n-th key. */
type MapStep = { readonly key: unknown } | { readonly entry: number };

function stepText(step: string | number | MapStep): string {
  if (typeof step === 'number') return `[${step}]`;
  if (typeof step === 'string') return IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  if ('entry' in step) return `.keys()[${step.entry}]`;
  return `.get(${typeof step.key === 'string' ? JSON.stringify(step.key) : describe(step.key)})`;
}

/** Counts prototypes: object literals have one and array literals two, in any realm; instances of classes have more. */
function countPrototypes(value: object): number {
  let count = 0;
  for (let it = Object.getPrototypeOf(value); it !== null && count < 5; it = Object.getPrototypeOf(it)) count += 1;
  return count;
}

/**
 * Tells whether a list may have fields besides its elements, as the match of a regular expression has.
 * Never returns false for one that has. `Object.keys` makes a text of each index, 7 us for 1,000 elements; Node prints
 * the fields of any list in 0.7 us, and separates them by commas.
 */
function mayHaveFields(list: ArrayLike<unknown>): boolean {
  if (list.length > FEW_ELEMENTS) return inspect(list, FIELDS_ONLY).includes(',');
  const keys = Object.keys(list); // elements come first; where one is missing, a field may make up for it in the count
  const isDense = keys.length === list.length && (keys.length === 0 || keys.at(-1) === String(list.length - 1));
  return !isDense || Object.getOwnPropertySymbols(list).length > 0;
}

function isIndex(key: string, length: number): boolean {
  const index = Number(key) >>> 0;
  return index < length && String(index) === key;
}

/** Tells whether text has no lone surrogate, for which UTF-8 has no bytes. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}
