import { isDeepStrictEqual, types } from 'node:util';
import { runInNewContext } from 'node:vm';
import { pack } from 'msgpackr';
import { expect, test } from 'vitest';
import { ResultTooLargeError, UndecodableValueError, UnencodableValueError } from '../../../src/core/errors.js';
import {
  decodeError,
  decodeValue,
  type ErrorClass,
  encodeError,
  encoderFor,
  encodeValue,
} from '../../../src/wire/codec.js';
import { MAX_DEPTH } from '../../../src/wire/encodable.js';

const roundTrip = <T>(value: T): T => decodeValue(encodeValue(value, 'value')) as T;
const roundTripError = (error: unknown, classes?: readonly ErrorClass[]): Thrown =>
  decodeError(encodeError(error), classes) as Thrown;

/** An error with any fields. */
interface Thrown extends Error {
  [field: string]: unknown;
}

function pathOf(value: unknown): string {
  try {
    encoderFor(value, 'args');
  } catch (error) {
    if (error instanceof UnencodableValueError) return error.path;
    throw error;
  }
  return 'can travel';
}

function nested(levels: number): unknown {
  let value: unknown = 'core';
  for (let i = 0; i < levels; i++) value = { in: value };
  return value;
}

const VALUES: Record<string, unknown> = {
  'a flat object': { a: 1, b: 'x', c: true, d: null },
  'nested plain data': {
    rows: [
      { id: 1, tags: ['a', 'b'] },
      { id: 2, tags: [] },
    ],
    empty: {},
  },
  'undefined as a field': { a: undefined },
  'undefined alone': undefined,
  'an invalid number': { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY },
  'minus zero': { a: -0, b: 0 },
  'numbers at the edges': [
    127,
    128,
    255,
    256,
    65535,
    65536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53,
    -1,
    -32,
    -33,
    -129,
    -(2 ** 31),
    0.1,
  ],
  'long and non-Latin text': ['x'.repeat(31), 'x'.repeat(32), 'é'.repeat(300), '日本語', '😀'.repeat(20_000), ''],
  'half a surrogate pair': { text: 'cut \ud83d', 'key \udc00': 1 },
  'bigints of every size': [
    0n,
    1n,
    -1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 64n),
    7n ** 999n,
  ],
  'a date': { at: new Date(1_700_000_000_123), before: new Date(-1) },
  'maps, with any keys': new Map<unknown, unknown>([
    ['a', 1],
    [1, 'b'],
    [{ k: 1 }, new Map([[null, undefined]])],
  ]),
  sets: new Set<unknown>([1, 'a', { b: new Set([2]) }]),
  'a regular expression': /a\/b+?/giu,
  'an array buffer': new Uint8Array([1, 2, 3]).buffer,
  'a data view': new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2),
  'typed arrays': [
    new Int8Array([-1]),
    new Uint8Array([255]),
    new Uint8ClampedArray([255]),
    new Int16Array([-300]),
    new Uint16Array([65_535]),
    new Int32Array([-70_000]),
    new Uint32Array([2 ** 32 - 1]),
    new Float32Array([1.5]),
    new Float64Array([Math.PI]),
    new BigInt64Array([-1n]),
    new BigUint64Array([2n ** 64n - 1n]),
  ],
  'a buffer': { body: Buffer.from('hello'), empty: Buffer.alloc(0) },
  'names of built-in members as keys': { constructor: 1, hasOwnProperty: 2, toJSON: 'x', toString: null, length: 3 },
  'a match of a regular expression': 'k=v'.match(/(\w)=(\w)/),
  'a long array with a field': Object.assign(
    Array.from({ length: 1_000 }, (_, i) => i),
    { unit: 'ms' },
  ),
  'an empty array with a field': Object.assign([], { next: { page: 2 } }),
  'an object of 70,000 keys': Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])),
};

test.each(Object.entries(VALUES))('%s comes back as it was', (_, value) => {
  expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true);
});

test('a match keeps its named groups', () => {
  const copy = roundTrip('k=v'.match(/(?<key>\w)=/)!);
  expect(copy.groups).toEqual({ key: 'k' });
  expect([...copy, copy.index, copy.input]).toEqual(['k=', 'k', 0, 'k=v']);
});

test('references count past arrays with fields of their own', () => {
  const list: unknown[] & { owner?: unknown } = ['a'];
  const value = { before: { id: 1 }, list, after: { id: 2 }, again: [] as unknown[] };
  list.owner = value.before;
  value.again.push(value.after, list, value.before);
  const copy = roundTrip(value);
  expect(copy.list.owner).toBe(copy.before);
  expect(copy.again).toEqual([copy.after, copy.list, copy.before]);
  expect(copy.again[1]).toBe(copy.list);
});

test('an array has no fields when only some of its elements are missing', () => {
  const sparse: number[] = [];
  sparse[3] = 1;
  expect(roundTrip(sparse)).toEqual([undefined, undefined, undefined, 1]);
  expect(encodeValue(sparse, 'value')[0]).toBe(0x94); // an array, as any msgpack reader reads it
});

test.each([3, 100])('an array of %i elements keeps its fields when elements are missing', (length) => {
  const sparse: unknown[] & { note?: string } = Array.from({ length }, (_, i) => i);
  delete sparse[1];
  sparse.note = 'kept'; // as many names as a whole array has
  const copy = decodeValue(encodeValue(sparse, 'args')) as typeof sparse;
  expect([copy.note, copy.length, copy[1], copy.at(-1)]).toEqual(['kept', length, undefined, length - 1]);
});

test.each<[string, object]>([
  ['an array', [1]],
  ['a long array', Array.from({ length: 100 }, () => 1)],
  ['a typed array', new Uint8Array(3)],
  ['a Map', new Map()],
  ['a Date', new Date(0)],
])('a symbol for a key is refused on %s, as on an object', (_, value) => {
  Object.assign(value, { [Symbol('tag')]: 1 });
  expect(() => encodeValue({ value }, 'args')).toThrow('args.value has a symbol for a key: use a string');
});

test('bytes that say a field of an array is its length are refused', () => {
  const bytes = encodeValue(Object.assign([1], { lengtH: 9 }), 'value');
  bytes.write('h', bytes.indexOf('H'), 'latin1');
  expect(() => decodeValue(bytes)).toThrow(UndecodableValueError);
});

test('an invalid date comes back as an invalid date', () => {
  expect(roundTrip(new Date(Number.NaN)).getTime()).toBeNaN();
});

test('null takes one byte', () => {
  expect([...encodeValue(null, 'result')]).toEqual([0xc0]);
});

test('a buffer comes back as a buffer with memory of its own', () => {
  const bytes = encodeValue(Buffer.from('hello'), 'value');
  const decoded = decodeValue(bytes) as Buffer;
  bytes.fill(0);
  expect(Buffer.isBuffer(decoded) && decoded.toString()).toBe('hello');
});

test('an object that appears twice comes back as one object', () => {
  const shared = { id: 1 };
  const at = new Date(0);
  const value = roundTrip({ a: shared, b: [shared], map: new Map([['c', shared]]), at: [at, at] });
  expect(value.a).toBe(value.b[0]);
  expect(value.map.get('c')).toBe(value.a);
  expect(value.at[0]).toBe(value.at[1]);
});

test('cycles come back through objects, arrays, maps, sets and errors', () => {
  const list: unknown[] = [];
  const error: Thrown = Object.assign(new Error('x'));
  const value = { list, map: new Map<unknown, unknown>(), set: new Set<unknown>(), error, self: {} };
  value.self = value;
  list.push(list, value);
  value.map.set('map', value.map);
  value.set.add(value);
  error.cause = error;
  error.owner = value;
  const copy = roundTrip(value);
  expect(copy.self).toBe(copy);
  expect(copy.list[0]).toBe(copy.list);
  expect(copy.map.get('map')).toBe(copy.map);
  expect(copy.set.has(copy)).toBe(true);
  expect(copy.error.cause).toBe(copy.error);
  expect(copy.error.owner).toBe(copy);
});

const cyclic = { name: 'x', child: { at: new Date(0), parent: {} }, self: {} };
cyclic.self = cyclic;
cyclic.child.parent = cyclic;

test.each([
  ['plain', { a: 1, b: ['x'] }],
  ['rich', { at: new Date(5), map: new Map([['k', /r/]]) }],
  ['cyclic', cyclic],
])('%s arguments can be cut out of a message and read alone', (_, args) => {
  const head = [1, 'task', 60_000, 1, null, null];
  const message = encoderFor(args, 'args').pack([...head, args]);
  const cut = message.subarray(encodeValue(head, 'head').length);
  expect(isDeepStrictEqual(decodeValue(cut), args)).toBe(true);
  expect(isDeepStrictEqual(decodeValue(message), [...head, args])).toBe(true);
  expect(cut[0]! & 0xf0).toBe(0x80); // a map, whatever it contains
  expect(cut[1]! & 0xe0).toBe(0xa0); // whose first key is text
});

test('packed bytes do not change when more is packed', () => {
  const values = Array.from({ length: 500 }, (_, i) => ({ i, text: 'x'.repeat(i), at: i % 2 ? new Date(i) : null }));
  const packed = values.map((value) => encodeValue(value, 'value'));
  packed.forEach((bytes, i) => void expect(isDeepStrictEqual(decodeValue(bytes), values[i])).toBe(true));
});

const fail = (): never => {
  throw new Error('cannot be read');
};

class Invoice {
  total = 1;
}

test.each<[string, unknown, string]>([
  ['a function', { user: { items: [0, 1, 2, { onDone() {} }] } }, 'args.user.items[3].onDone'],
  ['a symbol', [Symbol('x')], 'args[0]'],
  ['an instance of a class', { invoice: new Invoice() }, 'args.invoice'],
  ['an instance of a class derived from a built-in one', { map: new (class extends Map {})() }, 'args.map'],
  ['an array of a class derived from Array', { list: new (class extends Array {})() }, 'args.list'],
  ['a promise', { later: Promise.resolve() }, 'args.later'],
  ['a WeakMap', { weak: new WeakMap() }, 'args.weak'],
  ['a URL', { url: new URL('http://a') }, 'args.url'],
  ['a symbol as a key', { a: { [Symbol.iterator]: 1 } }, 'args.a'],
  ['a function as a field of an array', { list: Object.assign([1], { next() {} }) }, 'args.list.next'],
  ['a field of a Date', { at: Object.assign(new Date(), { zone: 'CET' }) }, 'args.at.zone'],
  ['a field of a Map', { map: Object.assign(new Map(), { size2: 1 }) }, 'args.map.size2'],
  ['a field of a Set', Object.assign(new Set(), { name: 1 }), 'args.name'],
  ['a field of a buffer', { body: Object.assign(Buffer.alloc(100_000), { type: 'png' }) }, 'args.body.type'],
  ['a key named __proto__', { a: JSON.parse('{"__proto__": 1}') }, 'args.a.__proto__'],
  [
    'a getter that throws',
    {
      get broken() {
        throw new Error('no');
      },
    },
    'args.broken',
  ],
  ['something below an odd key', { 'a-b': { '.c': () => 1 } }, 'args["a-b"][".c"]'],
  ['something in a map', { map: new Map<unknown, unknown>([['k', () => 1]]) }, 'args.map.get("k")'],
  ['something in a set', new Set([1, () => 1]), 'args.keys()[1]'],
  ['something behind a date', { at: new Date(), fn: () => 1 }, 'args.fn'],
])('%s is refused with its path', (_, value, path) => {
  expect(pathOf(value)).toBe(path);
});

test('the error of a refusal says what was found and what to do', () => {
  expect(() => encodeValue({ a: new Invoice() }, 'args')).toThrow(
    'args.a is an instance of Invoice, which cannot travel: make plain data of it',
  );
  expect(() => encodeValue({ a: Promise.resolve() }, 'result')).toThrow('result.a is a promise: await it first');
});

test('a proxy that throws is refused with the path that leads to it', () => {
  expect(pathOf({ list: [new Proxy({}, { getPrototypeOf: fail })] })).toBe('args.list[0]');
  expect(pathOf({ list: [new Proxy({}, { ownKeys: fail })] })).toBe('args.list[0]');
});

test('values of accessors are encoded, and objects without a prototype are plain', () => {
  const bare = Object.assign(Object.create(null), { b: 2 });
  expect(
    roundTrip({
      get a() {
        return 1;
      },
      bare,
    }),
  ).toEqual({ a: 1, bare: { b: 2 } });
});

test('objects of another realm do not count as instances of classes', () => {
  const foreign = runInNewContext('({ list: [1], map: new Map([[1, new Date(2)]]), error: new TypeError("x") })');
  const copy = roundTrip(foreign);
  expect(copy).toMatchObject({ list: [1], map: new Map([[1, new Date(2)]]) });
  expect(copy.error).toBeInstanceOf(TypeError);
});

test('nesting that is too deep is refused when writing and when reading, without a stack overflow', () => {
  for (const levels of [99, 100, 101, 102, MAX_DEPTH]) expect(roundTrip(nested(levels))).toEqual(nested(levels));
  expect(() => encodeValue(nested(MAX_DEPTH + 2), 'args')).toThrow(/^args(\.in){30}… lies more than 500 levels deep/);
  expect(() => encodeValue(nested(200_000), 'args')).toThrow(UnencodableValueError);
  expect(() => encoderFor(nested(MAX_DEPTH), 'args').pack([1, nested(2)])).not.toThrow();
});

test('the deepest values that may be written can be read inside a message', () => {
  let maps: unknown = new Error('core', { cause: [1] });
  for (let i = 0; i < MAX_DEPTH - 2; i++) maps = new Map([['k', maps]]);
  for (const args of [nested(MAX_DEPTH), maps]) {
    const message = decodeValue(encoderFor(args, 'args').pack([1, args]));
    expect(isDeepStrictEqual(message, [1, args])).toBe(true);
  }
});

// -- errors ------------------------------------------------------------------------------------------------------------

class PaymentDeclined extends Error {
  override name = 'PaymentDeclined';
  static made = 0;
  constructor(readonly reason: string) {
    super(`declined: ${reason}`);
    PaymentDeclined.made += 1;
  }
  get isFinal() {
    return this.reason === 'fraud';
  }
}

test.each([TypeError, RangeError, SyntaxError, EvalError, ReferenceError, URIError, Error])(
  '%o comes back as itself with message, stack, code and cause',
  (Class) => {
    const error = Object.assign(new Class('boom', { cause: new Error('inner') }), { code: 'E_BOOM', data: { n: [1] } });
    const copy = roundTripError(error);
    expect(copy.constructor).toBe(Class);
    expect(types.isNativeError(copy)).toBe(true);
    expect(copy).toMatchObject({
      name: error.name,
      message: 'boom',
      stack: error.stack,
      code: 'E_BOOM',
      data: { n: [1] },
    });
    expect(copy.cause).toMatchObject({ message: 'inner' });
    expect(Object.keys(copy)).toEqual(['code', 'data']);
  },
);

test('an AggregateError keeps its errors', () => {
  const copy = roundTripError(new AggregateError([new TypeError('a'), 'b', () => 1], 'all'));
  expect(copy).toBeInstanceOf(AggregateError);
  expect(copy.errors).toEqual([expect.any(TypeError), 'b', expect.stringContaining('[function')]);
});

test('a registered class is revived without running its constructor', () => {
  const error = new PaymentDeclined('fraud');
  const made = PaymentDeclined.made;
  const copy = roundTripError(error, [PaymentDeclined]);
  expect(copy).toBeInstanceOf(PaymentDeclined);
  expect(copy.isFinal).toBe(true);
  expect(copy.stack).toBe(error.stack);
  expect(PaymentDeclined.made).toBe(made);
});

test('a class is found by its own name when its errors carry that of their parent', () => {
  class OutOfStock extends RangeError {}
  expect(roundTripError(new OutOfStock('x'), [OutOfStock])).toBeInstanceOf(OutOfStock);
  const unknown = roundTripError(new OutOfStock('x'));
  expect(unknown).toBeInstanceOf(RangeError);
});

test('an error of a class that is not registered comes back as an Error with the same name and fields', () => {
  const copy = roundTripError(new PaymentDeclined('funds'));
  expect(copy.constructor).toBe(Error);
  expect(copy).toMatchObject({ name: 'PaymentDeclined', message: 'declined: funds', reason: 'funds' });
});

test("docket's own errors come back as themselves", () => {
  const copy = roundTripError(new ResultTooLargeError('resize', 5, 4));
  expect(copy).toBeInstanceOf(ResultTooLargeError);
  expect(copy).toMatchObject({
    name: 'ResultTooLargeError',
    code: 'DOCKET_RESULT_TOO_LARGE',
    task: 'resize',
    bytes: 5,
  });
});

test("an error that only has the name of one of docket's errors does not come back as that one", () => {
  class TimeoutError extends Error {
    override name = 'TimeoutError';
  }
  expect(roundTripError(new TimeoutError('x')).constructor).toBe(Error);
  expect(roundTripError(new TimeoutError('x'), [TimeoutError])).toBeInstanceOf(TimeoutError);
});

test('a DOMException comes back as an Error with its name', () => {
  const copy = roundTripError(new DOMException('stopped', 'AbortError'));
  expect(copy).toBeInstanceOf(Error);
  expect(copy).toMatchObject({ name: 'AbortError', message: 'stopped' });
});

test('errors inside values come back as errors', () => {
  const value = roundTrip({ failed: [new TypeError('x')], by: new Map([['a', new PaymentDeclined('funds')]]) });
  expect(value.failed[0]).toBeInstanceOf(TypeError);
  expect(value.by.get('a')).toMatchObject({ name: 'PaymentDeclined', reason: 'funds' });
});

test('fields of an error that cannot travel are described or left out', () => {
  const error = Object.assign(new Error('x'), {
    socket: new Invoice(),
    retry: () => 1,
    kind: Symbol('s'),
    deep: { list: [new Invoice()] },
    at: new Date(1),
    ok: 1,
  });
  Object.defineProperty(error, 'unreadable', {
    enumerable: true,
    get: () => {
      throw new Error('no');
    },
  });
  const copy = roundTripError(error);
  expect(copy).toMatchObject({
    socket: '[Invoice]',
    kind: 'Symbol(s)',
    deep: { list: ['[Invoice]'] },
    at: new Date(1),
    ok: 1,
  });
  expect(copy).not.toHaveProperty('retry');
  expect(copy).not.toHaveProperty('unreadable');
});

test('a field of an error keeps all its parts that can travel', () => {
  const response = {
    status: 503,
    headers: new Map<string, unknown>([['retry-after', 5]]),
    config: { url: 'http://a', transform: [function parse() {}, { limit: 7n }] },
    body: 'b'.repeat(100_000),
    get json() {
      return fail();
    },
    json2: () => 1,
    at: new Date(2),
  };
  const copy = roundTripError(Object.assign(new Error('x'), { response }));
  expect(copy.response).toEqual({
    status: 503,
    headers: response.headers,
    config: { url: 'http://a', transform: ['[function parse]', { limit: 7n }] },
    body: `${'b'.repeat(999)}…`,
    json: '[unreadable]',
    json2: '[function json2]',
    at: new Date(2),
  });
});

test('a thrown object keeps all its parts that can travel', () => {
  expect(roundTripError({ status: 503, retry() {} })).toEqual({ status: 503, retry: '[function retry]' });
});

test('the stack, message, fields, causes and number of errors are bounded', () => {
  const error: Thrown = Object.assign(new Error('m'.repeat(100_000)));
  error.stack = 's'.repeat(100_000);
  for (let i = 0; i < 100; i++) error[`field${i}`] = 'f'.repeat(1_000);
  error.first = Buffer.alloc(1_000_000);
  const copy = roundTripError(error);
  expect(copy.stack?.length).toBe(8 * 1024);
  expect(copy.message.length).toBe(8 * 1024);
  expect(Object.keys(copy).length).toBeGreaterThan(10);
  expect(encodeError(error).length).toBeLessThan(33 * 1024);

  let chain = new Error('0');
  for (let i = 1; i < 50; i++) chain = new Error(String(i), { cause: chain });
  let depth = 0;
  for (let it = roundTripError(chain).cause; it instanceof Error; it = it.cause) depth += 1;
  expect(depth).toBe(5);

  const many = new AggregateError(Array.from({ length: 1_000 }, () => chain));
  expect(encodeError(many).length).toBeLessThan(100 * 1024);
});

test('errors that refer to each other in every field are written quickly', () => {
  const errors: Thrown[] = Array.from({ length: 100 }, (_, i) => Object.assign(new Error(String(i))));
  for (const error of errors) for (const other of errors) error[`to${other.message}`] = other;
  expect(encodeError(errors[0]).length).toBeLessThan(100 * 1024);
});

test('an object after an error keeps its identity, whatever was left out of the error', () => {
  const shared = { id: 1 };
  const failed = new AggregateError([new Error('a'), new Invoice(), [shared]], 'all');
  const error = Object.assign(new Error('x', { cause: failed }), { fn: () => shared, odd: [shared, new Invoice()] });
  const copy = roundTrip({ before: shared, error, after: [shared, error, failed] });
  expect(copy.after[0]).toBe(copy.before);
  expect(copy.after[1]).toBe(copy.error);
  expect(copy.after[2]).toBe(copy.error.cause);
});

test.each([null, undefined, 'text', 42, -0, { reason: 'x' }, [1], new Date(1)])(
  'a thrown %o comes back as itself',
  (it) => {
    expect(isDeepStrictEqual(roundTripError(it), it)).toBe(true);
  },
);

const everyTrapThrows = new Proxy({}, { get: () => fail });
const revoked = Proxy.revocable(() => 1, {});
revoked.revoke();

test.each<[string, () => unknown]>([
  ['a function', () => () => 1],
  ['a symbol', () => Symbol('s')],
  ['a promise', () => Promise.resolve()],
  ['a huge text', () => 'x'.repeat(1_000_000)],
  ['a proxy whose every trap throws', () => new Proxy({}, everyTrapThrows)],
  ['a proxy of an error whose every trap throws', () => new Proxy(new Error('x'), everyTrapThrows)],
  ['a revoked proxy', () => revoked.proxy],
  ['an error without a prototype', () => Object.setPrototypeOf(new Error('x'), null)],
  ['an error whose getters throw', () => unreadable(new Error('x'))],
  ['an error with odd fields', () => Object.assign(new Error('x'), { name: 1, message: {}, stack: [], code: fail })],
])('encoding never throws, though %s was thrown', (_, make) => {
  const bytes = encodeError(make());
  expect(bytes.length).toBeLessThan(32 * 1024);
  expect(decodeError(bytes)).toBeInstanceOf(Error);
});

function unreadable(error: Error): Error {
  // The stack comes first, because V8 builds it from the other fields when it is replaced.
  const keys = ['stack', 'name', 'message', 'constructor', 'code', 'cause', 'field'];
  return Object.defineProperties(error, Object.fromEntries(keys.map((key) => [key, { enumerable: true, get: fail }])));
}

test('a class is revived even when its prototype has no readable name', () => {
  class Odd extends Error {
    #kind = 'odd';
    override get name() {
      return this.#kind;
    }
  }
  const copy = roundTripError(new Odd('x'), [Odd]);
  expect(copy).toBeInstanceOf(Odd);
  expect(copy.name).toBe('odd');
});

// -- any value, any bytes ----------------------------------------------------------------------------------------------

/** mulberry32: gives the same numbers in every run, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let it = Math.imul(state ^ (state >>> 15), 1 | state);
    it = (it + Math.imul(it ^ (it >>> 7), 61 | it)) ^ it;
    return ((it ^ (it >>> 14)) >>> 0) % below;
  };
}

function anyValue(next: (below: number) => number, made: object[], depth: number): unknown {
  const some = <T>(make: () => T): T[] => Array.from({ length: next(5) }, make);
  const inner = (): unknown => anyValue(next, made, depth + 1);
  const text = (): string => String.fromCharCode(...some(() => next(next(2) ? 128 : 65_536)));
  const keep = <T extends object>(it: T, fill: (it: T) => void = () => {}): T => {
    made.push(it);
    fill(it);
    return it;
  };
  const scalars = [
    () => null,
    () => undefined,
    () => next(2) === 0,
    () => next(300) - 150,
    () => (next(2 ** 32) - 2 ** 31) * 2 ** next(30),
    () => next(1_000) / 7,
    () => -0,
    () => Number.NaN,
    text,
    () => BigInt(next(2 ** 32)) ** BigInt(next(6)) * -1n,
    () => keep(new Date(next(2 ** 32) * 1_000)),
    () => keep(Buffer.from(text())),
    () => keep(new Float64Array(some(() => next(9)))),
    () => keep(new RegExp('a'.repeat(next(4) + 1), 'g')),
    () => (made.length > 0 ? made[next(made.length)] : 1),
  ];
  const containers = [
    () =>
      keep<Record<string, unknown>>({}, (it) => {
        for (const key of some(text)) it[`k${key}`] = inner();
      }),
    () =>
      keep<unknown[]>([], (it) => {
        for (const value of some(inner)) it.push(value);
      }),
    () =>
      keep(new Map(), (it) => {
        for (const key of some(text)) it.set(key, inner());
      }),
    () =>
      keep(new Set(), (it) => {
        for (const value of some(inner)) it.add(value);
      }),
  ];
  const makers = depth < 5 && next(3) > 0 ? containers : scalars;
  return makers[next(makers.length)]!();
}

/** Numbers objects in the order in which they are met. The result is equal for two graphs only if they share objects alike. */
function shape(value: unknown, seen = new Map<unknown, number>()): string {
  if (typeof value !== 'object' || value === null) return typeof value;
  const known = seen.get(value);
  if (known !== undefined) return `#${known}`;
  seen.set(value, seen.size);
  const parts = value instanceof Map || value instanceof Set ? [...value.values()] : Object.values(value);
  return `${value.constructor.name}(${ArrayBuffer.isView(value) ? '' : parts.map((it) => shape(it, seen)).join()})`;
}

test('2,000 random values come back whole, alone and out of a message', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const value = anyValue(random(seed), [], 0);
    const copy = roundTrip(value);
    const [, inMessage] = decodeValue(encoderFor(value, 'args').pack(['task', value])) as unknown[];
    for (const it of [copy, inMessage]) {
      expect(isDeepStrictEqual(it, value) && shape(it) === shape(value), `seed ${seed}`).toBe(true);
    }
  }
});

function outcome(bytes: Uint8Array): 'value' | 'undecodable' {
  try {
    decodeError(bytes, [PaymentDeclined]);
    return 'value';
  } catch (error) {
    if (error instanceof UndecodableValueError) return 'undecodable';
    throw error;
  }
}

test('damaged and random bytes give a value or an UndecodableValueError, and nothing else', () => {
  const next = random(7);
  const good = [
    encodeError(new PaymentDeclined('x')),
    ...[1, 2, 3, 4, 5, 6].map((seed) => encodeValue(anyValue(random(seed * 31), [], 0), 'value')),
  ];
  const counts = { value: 0, undecodable: 0 };
  for (let i = 0; i < 20_000; i++) {
    const bytes =
      i % 2 === 0
        ? Buffer.from(good[next(good.length)]!)
        : Buffer.from(Array.from({ length: next(40) }, () => next(256)));
    if (bytes.length > 0) for (let flips = next(4); flips > 0; flips--) bytes[next(bytes.length)] = next(256);
    counts[outcome(bytes)] += 1;
  }
  expect(counts.value).toBeGreaterThan(100);
  expect(counts.undecodable).toBeGreaterThan(100);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test('a truncated value and a value with bytes after it are refused', () => {
  for (const value of [{ a: [1, 'text', 2.5, new Date(1), new Map([['k', 10n ** 30n]])] }, new Error('x')]) {
    const bytes = encodeValue(value, 'value');
    for (let length = 0; length < bytes.length; length++)
      expect(outcome(bytes.subarray(0, length))).toBe('undecodable');
    expect(outcome(Buffer.concat([bytes, Buffer.from([0])]))).toBe('undecodable');
  }
});

test.each<[string, readonly number[]]>([
  ['an array of four billion', [0xdd, 0xff, 0xff, 0xff, 0xff]],
  ['a map of four billion', [0xdf, 0xff, 0xff, 0xff, 0xff]],
  ['text of four billion bytes', [0xdb, 0xff, 0xff, 0xff, 0xff]],
  ['bytes of four billion', [0xc6, 0xff, 0xff, 0xff, 0xff]],
  ['an extension of four billion bytes', [0xc9, 0xff, 0xff, 0xff, 0xff, 7]],
  ['an extension that ends inside its value', [0x92, 0xc7, 2, 4, 0xcd, 1, 2]],
  ['a reference to nothing', [0xd6, 1, 0, 0, 0, 1]],
  ['a reference to an object that has not begun', [0x91, 0xd6, 1, 0, 0, 0, 0]],
  ['a key that is not text', [0x81, 1, 2]],
  ['the byte that is not in use', [0xc1]],
  ['an unknown extension', [0xd4, 0x63, 0]],
  ['a broken regular expression', [0xc7, 3, 5, 0xa1, 0x28, 0xa0]],
  ['a float array of three bytes', [0xc7, 4, 8, 9, 1, 2, 3]],
  ['a bigint without digits', [0xc7, 2, 6, 0x2d, 0x2d]],
])('%s is refused', (_, bytes) => {
  expect(outcome(Buffer.from(bytes))).toBe('undecodable');
});

test('nested lengths cannot make the reader reserve memory for bytes that are missing', () => {
  const bytes = Buffer.alloc(1 << 20, 0xc0);
  for (let at = 0; at < 4_000; at += 5) bytes.set([0xdd, 0x00, 0x0f, 0x00, 0x00], at);
  const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  expect(outcome(bytes)).toBe('undecodable');
  expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before).toBeLessThan(200 << 20);
});

test.each([0x91, 0x81])('a hundred thousand nested containers (%i) are refused and cause no crash', (type) => {
  const level = type === 0x81 ? [type, 0xa0] : [type];
  expect(outcome(Buffer.from(Array.from({ length: 100_000 }, () => level).flat()))).toBe('undecodable');
});

test('records, for which msgpackr compiles code, are refused', () => {
  const bytes = Buffer.from([0x93, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1, 0x40, 2, 0x40, 3]);
  expect(outcome(bytes)).toBe('undecodable');
});

test('a __proto__ key in foreign bytes becomes a field of another name', () => {
  const bytes = pack(
    new Map<string, unknown>([
      ['__proto__', { polluted: true }],
      ['constructor', { prototype: 1 }],
    ]),
  );
  const value = decodeValue(bytes) as Record<string, unknown>;
  expect(value.polluted).toBeUndefined();
  expect(Object.keys(value)).toEqual(['__proto_', 'constructor']);
  expect(Object.assign({}, value)).not.toHaveProperty('polluted');
  expect({}).not.toHaveProperty('polluted');
});

test('64-bit integers come back as bigints, whoever wrote them', () => {
  expect(decodeValue(Buffer.from([0xcf, 0, 0, 0, 0, 0, 0, 0, 5]))).toBe(5n);
  expect(decodeValue(Buffer.from([0xd3, 255, 255, 255, 255, 255, 255, 255, 255]))).toBe(-1n);
});

test('a value is read wherever its bytes are in their buffer', () => {
  const bytes = encodeValue({ at: new Date(1), list: new Float64Array([1]) }, 'value');
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  expect(decodeValue(shifted.subarray(3))).toEqual({ at: new Date(1), list: new Float64Array([1]) });
});
