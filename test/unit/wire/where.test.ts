import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { encoderFor } from '../../../src/wire/codec.js';
import { encodeEnvelope } from '../../../src/wire/envelope.js';
import { type Where, whereOf } from '../../../src/wire/where.js';

const messageOf = (args: object) => encodeEnvelope(encoderFor(args, 'args'), 'charge', 0, null, args);
const isMet = (where: Where, args: object) => whereOf(where)!(messageOf(args));

test.each<[Where, object, boolean]>([
  [{ id: 'c-1' }, { id: 'c-1' }, true],
  [{ id: 'c-1' }, { id: 'c-2' }, false],
  [{ id: 'c-1' }, {}, false],
  [{ n: 1 }, { n: 1n }, true],
  [{ n: 1n }, { n: 1 }, true],
  [{ n: 0 }, { n: -0 }, true],
  [{ n: 2n ** 70n }, { n: 2 ** 70 }, true],
  [{ n: 1 }, { n: '1' }, false],
  [{ n: 1 }, { n: true }, false],
  [{ at: new Date(5) }, { at: new Date(5) }, true],
  [{ at: new Date(5) }, { at: 5 }, false],
  [{ x: null }, { x: null }, true],
  [{ x: null }, { x: 0 }, false],
  [{ x: 'a' }, { x: ['a'] }, false],
  [{ a: 1, b: 'x' }, { a: 1, b: 'x', c: 3 }, true],
  [{ a: 1, b: 'x' }, { a: 1, b: 'y' }, false],
])('%o compared with %o is %s, as a strike with == would be', (where, args, expected) => {
  expect(isMet(where, args)).toBe(expected);
});

test('no arguments ask for nothing', () => {
  expect([whereOf(undefined), whereOf({})]).toEqual([null, null]);
});

test('a message that cannot be read has no arguments', () => {
  const test = whereOf({ a: 1 })!;
  const newer = messageOf({ a: 1 });
  newer[1] = 2; // a later version of the format
  for (const bytes of [Buffer.alloc(0), Buffer.from('junk'), messageOf({ a: 1 }).subarray(0, 12), newer]) {
    expect(test(bytes)).toBe(false);
  }
});

test('a value that cannot be compared is refused by its name', () => {
  const wrong: [unknown, RegExp][] = [
    [{ a: {} }, /^where\.a: expected a string, number/],
    [{ a: Number.NaN }, /^where\.a: expected a value that can be compared/],
    [{ a: undefined }, /^where\.a: .*got nothing/],
    [{ '': 1 }, /expected a name/],
    [[1], /^where: expected an object/],
    ['a=1', /^where: expected an object/],
    [
      Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`a${i}`, i])),
      /^where: expected up to 16 arguments, got 17/,
    ],
  ];
  for (const [where, message] of wrong) {
    const make = () => whereOf(where as Where);
    expect(make).toThrow(InvalidOptionError);
    expect(make).toThrow(message);
  }
});
