import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UndecodableValueError } from '../../../src/core/errors.js';
import { decodeValue, encodeValue } from '../../../src/wire/codec.js';
import { argumentNames, type Picked, pickArguments } from '../../../src/wire/pick.js';

const pickFrom = (args: object, ...names: string[]) =>
  Object.fromEntries(pickArguments(encodeValue(args, 'args'), names));

/** Returns the picked form of a decoded value; for a value that is not a scalar, only that it is none. */
function expected(value: unknown): Picked | { type: 'other' } {
  if (value === null) return { type: 'null', value };
  if (value instanceof Date) return { type: 'date', value: value.getTime() };
  if (typeof value === 'object') return { type: 'other' };
  return { type: typeof value, value } as Picked;
}

test('scalars are picked with their types', () => {
  const args = { s: 'x', n: 1, f: 1.5, i: 5n, big: 2n ** 70n, t: true, nil: null, when: new Date(7), rest: [1] };
  expect(pickFrom(args, 's', 'n', 'f', 'i', 'big', 't', 'nil', 'when')).toEqual({
    s: { type: 'string', value: 'x' },
    n: { type: 'number', value: 1 },
    f: { type: 'number', value: 1.5 },
    i: { type: 'bigint', value: 5n },
    big: { type: 'bigint', value: 2n ** 70n },
    t: { type: 'boolean', value: true },
    nil: { type: 'null', value: null },
    when: { type: 'date', value: 7 },
  });
});

test('values that are missing or undefined are not in the result', () => {
  expect(pickFrom({ a: undefined, b: 1 }, 'a', 'b', 'c')).toEqual({ b: { type: 'number', value: 1 } });
  expect(pickFrom({}, 'a')).toEqual({});
});

test.each([
  ['an object', { a: 1 }],
  ['an array', [1]],
  ['bytes', null],
  ['a Map', new Map()],
  ['a Set', new Set()],
  ['a RegExp', /x/],
  ['an ArrayBuffer', new ArrayBuffer(3)],
  ['a typed array', new Uint8Array(3)],
  ['an error', new Error('x')],
])('%s is described and not picked', (words, value) => {
  if (words === 'bytes') {
    const bytes = Buffer.from([0x81, 0xa1, 0x78, 0xc4, 1, 0]);
    expect(pickArguments(bytes, ['x']).get('x')).toEqual({ type: 'other', value: words });
  } else {
    expect(pickFrom({ x: value }, 'x')).toEqual({ x: { type: 'other', value: words } });
  }
});

test('only top-level values are picked', () => {
  expect(pickFrom({ in: { x: 1 }, list: [{ x: 2 }] }, 'x')).toEqual({});
});

test('a value that is written as a reference to an earlier one is found', () => {
  const when = new Date(5);
  const list = [1];
  const args: Record<string, unknown> = { first: { when }, list, x: when, y: list };
  args.self = args;
  expect(pickFrom(args, 'x', 'y', 'self')).toEqual({
    x: { type: 'date', value: 5 },
    y: { type: 'other', value: 'an array' },
    self: { type: 'other', value: 'an object' },
  });
});

test('all names are listed, however they are written', () => {
  const args = { a: 1, ['long'.repeat(20)]: [{ b: 1 }], 'ü \ud800': 2, ['x'.repeat(70_000)]: 3 };
  expect(argumentNames(encodeValue(args, 'args'))).toEqual(Object.keys(args));
});

test('arguments that are not an object are refused', () => {
  for (const value of [null, 1, 'x', [1], new Map()]) {
    expect(() => pickArguments(encodeValue(value, 'args'), ['a'])).toThrow(UndecodableValueError);
    expect(() => argumentNames(encodeValue(value, 'args'))).toThrow(UndecodableValueError);
  }
});

test('deep nesting needs no stack', () => {
  const depth = 2_000_000;
  const bytes = Buffer.concat([
    Buffer.from([0x82, 0xa1, 0x61]),
    Buffer.alloc(depth, 0x91),
    Buffer.from([1, 0xa1, 0x62, 2]),
  ]);
  expect(pickArguments(bytes, ['b']).get('b')).toEqual({ type: 'number', value: 2 });
  expect(() => pickArguments(bytes.subarray(0, depth), ['b'])).toThrow(UndecodableValueError);
});

const NAMES = ['a', 'customerId', 'x'.repeat(40), '__proto', 'ü', '1'];
const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(31, 32, 255, 256, 65_535, 65_536).map((length) => 'x'.repeat(length)),
  fc.constant('\ud800x'),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
  fc.float64Array(),
  fc.anything({ withMap: true, withSet: true, withDate: true, withBigInt: true, withTypedArray: true }),
);

test('picked values agree with decoded ones for any arguments', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...NAMES), anything), fc.boolean(), (given, sharesDate) => {
      const args: Record<string, unknown> = { ...given };
      if (sharesDate) args.ü = args.a = new Date(1); // one of them is written as a reference to the other
      let bytes: Buffer;
      try {
        bytes = encodeValue(args, 'args');
      } catch {
        return; // it cannot be encoded
      }
      const decoded = decodeValue(bytes) as Record<string, unknown>;
      const picked = pickArguments(bytes, NAMES);
      for (const name of NAMES) {
        if (decoded[name] === undefined || !Object.hasOwn(decoded, name)) expect(picked.has(name)).toBe(false);
        else expect(picked.get(name)).toMatchObject(expected(decoded[name]));
      }
      expect(argumentNames(bytes)).toEqual(expect.arrayContaining(Object.keys(decoded)));
    }),
    { numRuns: 500 },
  );
});

test('hostile bytes cause no error but an UndecodableValueError', () => {
  const survives = (bytes: Uint8Array) => {
    for (const read of [() => pickArguments(bytes, NAMES), () => argumentNames(bytes)]) {
      try {
        read();
      } catch (error) {
        expect(error).toBeInstanceOf(UndecodableValueError);
      }
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: 3_000 });
  const first = fc.constantFrom(...Array.from({ length: 256 }, (_, i) => i));
  const field = fc.tuple(first, fc.uint8Array({ maxLength: 20 }));
  const oneField = field.map(([type, rest]) => Uint8Array.from([0x81, 0xa1, 0x61, type, ...rest]));
  fc.assert(fc.property(oneField, survives), { numRuns: 5_000 });
});

test('bytes that are cut off anywhere are refused', () => {
  const bytes = encodeValue({ a: 'text', list: [1, { b: 2 }], when: new Date(1), last: 2n ** 70n }, 'args');
  for (let end = 0; end < bytes.length; end++) {
    expect(() => argumentNames(bytes.subarray(0, end))).toThrow(UndecodableValueError);
  }
});
