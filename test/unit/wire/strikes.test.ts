import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { encodeValue } from '../../../src/wire/codec.js';
import { pickArguments } from '../../../src/wire/pick.js';
import {
  describeStrike,
  parseStrike,
  type Strike,
  type StrikeOperand,
  type StrikeOperator,
  Strikes,
  type StrikeValue,
  strikeOf,
} from '../../../src/wire/strikes.js';

type Parts = Parameters<typeof strikeOf>;

function listOf(...entries: Parts[]) {
  const warnings: string[] = [];
  const strikes = new Strikes((problem) => warnings.push(problem));
  for (const entry of entries) strikes.add(strikeOf(...entry));
  const isStruck = (task: string | null, args: object = {}) => strikes.findFor(task, args) !== null;
  return { strikes, warnings, isStruck };
}

/** Returns the values of `x` that are struck. */
function struckOf(values: readonly unknown[], operator: StrikeOperator, operand: StrikeOperand): unknown[] {
  const { isStruck } = listOf([null, 'x', operator, operand]);
  return values.filter((x) => isStruck('any', { x }));
}

test.each<[StrikeOperator, StrikeOperand, number[]]>([
  ['==', 2, [2]],
  ['!=', 2, [1, 3, 4]],
  ['<', 2, [1]],
  ['<=', 2, [1, 2]],
  ['>', 2, [3, 4]],
  ['>=', 2, [2, 3, 4]],
  ['between', [2, 3], [2, 3]],
])('a strike by x %s %s meets the values that pass the comparison', (operator, operand, struck) => {
  expect(struckOf([1, 2, 3, 4], operator, operand)).toEqual(struck);
});

test('text, bigints and Dates are compared by their order', () => {
  expect(struckOf(['a', 'b', 'c'], 'between', ['b', 'c'])).toEqual(['b', 'c']);
  expect(struckOf([1n, 10n ** 30n], '>', 10n ** 29n)).toEqual([10n ** 30n]);
  const days = [1, 2, 3].map((day) => new Date(2026, 0, day));
  expect(struckOf(days, '>=', days[1]!)).toEqual(days.slice(1));
});

test('a number and a bigint are compared by their values', () => {
  expect(struckOf([1, 1n, 2, 2n], '==', 1)).toEqual([1, 1n]);
  expect(struckOf([1, 1n, 2, 2n], '>', 1n)).toEqual([2, 2n]);
  expect(struckOf([2 ** 60, 2n ** 60n, 2n ** 60n + 1n], '==', 2 ** 60)).toEqual([2 ** 60, 2n ** 60n]);
  expect(strikeOf(null, 'x', '==', 1n)).toEqual(strikeOf(null, 'x', '==', 1));
  expect(strikeOf(null, 'x', '==', -0).field).toBe(strikeOf(null, 'x', '==', 0).field);
});

test('null equals only null', () => {
  expect(struckOf([null, 0, '', false], '==', null)).toEqual([null]);
  expect(struckOf([null, 0, '', false], '!=', null)).toEqual([0, '', false]);
  expect(struckOf([null, 'a'], '!=', 'a')).toEqual([null]);
  const { isStruck, warnings } = listOf([null, 'x', '==', null], [null, 'x', '==', 1], [null, 'x', '!=', null]);
  expect([isStruck(null, { x: null }), isStruck(null, { x: 2 }), warnings]).toEqual([true, true, []]);
});

test('strikes of a task, of a parameter and of both are independent', () => {
  const { strikes, isStruck } = listOf(['charge'], [null, 'customer', '==', 'c'], ['refund', 'customer', '==', 'c']);
  expect(isStruck('charge')).toBe(true);
  expect(isStruck('ship', { customer: 'c' })).toBe(true);
  strikes.delete(strikeOf(null, 'customer', '==', 'c'));
  expect(isStruck('ship', { customer: 'c' })).toBe(false);
  expect(isStruck('refund', { customer: 'c' })).toBe(true);
  expect(isStruck('refund', { customer: 'd' })).toBe(false);
  strikes.delete(strikeOf('charge'));
  expect(isStruck('charge')).toBe(false);
  expect(isStruck(null, { customer: 'c' })).toBe(false);
  expect(strikes.size).toBe(1);
});

test('a strike that is added twice is on the list once', () => {
  const { strikes, isStruck } = listOf(['t'], ['t'], ['t', 'x', '==', 1], ['t', 'x', '==', 1]);
  expect(strikes.size).toBe(2);
  strikes.delete(strikeOf('t'));
  strikes.delete(strikeOf('t'));
  expect(isStruck('t', { x: 1 })).toBe(true);
});

test('an argument that is missing or undefined is not struck', () => {
  const { isStruck, warnings } = listOf([null, 'x', '!=', 1], [null, 'toString', '!=', 'a']);
  expect([isStruck('t', {}), isStruck('t', { x: undefined }), warnings]).toEqual([false, false, []]);
});

test('a value that cannot be compared is not struck, and each strike warns once', () => {
  const { isStruck, warnings } = listOf(
    [null, 'x', '>', 5],
    [null, 'x', '==', 5],
    [null, 'x', '!=', 5],
    ['t', 'x', 'between', ['a', 'b']],
  );
  for (const x of ['5', true, new Date(9), { n: 9 }, [9], '6']) expect(isStruck('u', { x })).toBe(false);
  expect(warnings.sort()).toEqual([
    'the strike of x != 5 did not apply: x was text, which cannot be compared with a number',
    'the strike of x == 5 did not apply: x was text, which cannot be compared with a number',
    'the strike of x > 5 did not apply: x was text, which cannot be compared with a number',
  ]);
  expect(isStruck('t', { x: { y: 1 } })).toBe(false);
  expect(warnings.at(-1)).toMatch(/task 't' with x between 'a' and 'b' .* x was an object, .* text/);
  expect(warnings).toHaveLength(4);
});

test('arguments are read only when a strike names one for the task', () => {
  const asked: (readonly string[])[] = [];
  const read = (names: readonly string[]) => {
    asked.push(names);
    return new Map();
  };
  const { strikes } = listOf(['t']);
  strikes.find('t', read);
  strikes.find('u', read);
  expect(asked).toEqual([]);
  strikes.add(strikeOf('u', 'a', '==', 1));
  strikes.add(strikeOf(null, 'b', '==', 1));
  strikes.add(strikeOf('u', 'b', '==', 1));
  for (const task of ['t', 'u', 'v', null]) strikes.find(task, read);
  expect(asked).toEqual([['a', 'b'], ['b'], ['b']]);
});

test.each<[string, unknown[]]>([
  ['nothing at all', []],
  ['an empty task', ['']],
  ['a task that is a number', [7]],
  ['an empty parameter', ['t', '', '==', 1]],
  ['a value without its parameter', ['t', null, '==', 1]],
  ['a parameter without a value', ['t', 'x']],
  ['an unknown operator', ['t', 'x', '=~', 1]],
  ['an object', ['t', 'x', '==', {}]],
  ['a function', ['t', 'x', '==', () => 1]],
  ['NaN', ['t', 'x', '==', Number.NaN]],
  ['an invalid Date', ['t', 'x', '==', new Date(Number.NaN)]],
  ['one end of two', ['t', 'x', 'between', 1]],
  ['three ends', ['t', 'x', 'between', [1, 2, 3]]],
  ['ends of two kinds', ['t', 'x', 'between', [1, '2']]],
  ['ends in the wrong order', ['t', 'x', 'between', [2, 1]]],
  ['two values for an operator that takes one', ['t', 'x', '==', [1, 2]]],
  ['an order of booleans', ['t', 'x', '<', true]],
  ['an order of null', ['t', 'x', '>=', null]],
  ['a strike that is too large', ['t', 'x', '==', 'x'.repeat(5_000)]],
])('%s is refused', (_, parts) => {
  expect(() => strikeOf(...(parts as Parts))).toThrow(InvalidOptionError);
});

test('a text that is not canonical is not a strike', () => {
  for (const text of [
    '',
    '{}',
    'null',
    '[]',
    '[null]',
    '["t","x"]',
    '["t","x","~",1]',
    '["t","x","==",{"new":1}]',
    '[1]',
  ]) {
    expect(parseStrike(text)).toBeNull();
  }
});

test('a strike is described in a line of bounded length', () => {
  const describe = (...parts: Parts) => describeStrike(strikeOf(...parts));
  expect(describe('charge')).toBe("task 'charge'");
  expect(describe(null, 'customer', '==', 'c')).toBe("customer == 'c'");
  expect(describe('charge', 'at', 'between', [new Date(0), new Date(1)])).toBe(
    "task 'charge' with at between 1970-01-01T00:00:00.000Z and 1970-01-01T00:00:00.001Z",
  );
  expect(describe('t'.repeat(200), 'x'.repeat(200), '==', 'v'.repeat(200)).length).toBeLessThan(250);
  expect(describe(null, 'x', '<', 10n ** 20n)).toBe(`x < ${10n ** 20n}n`);
});

// ---------------------------------------------------------------- properties

const scalar: fc.Arbitrary<StrikeValue> = fc.oneof(
  fc.constantFrom(0, 1, 2, 1n, 2n, '1', 'a', 'b', true, false, null, new Date(0), new Date(1)),
  fc.string(),
  fc.double({ noNaN: true }),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
);
const operator = fc.constantFrom<StrikeOperator>('==', '!=', '<', '<=', '>', '>=', 'between');
const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', 'ä');
const task = fc.option(fc.constantFrom('t', 'u', 'toString'), { nil: null });
const strike: fc.Arbitrary<Strike> = fc
  .tuple(task, fc.option(name, { nil: null }), operator, scalar, scalar)
  .map(([of, parameter, by, low, high]) => {
    try {
      if (parameter === null) return strikeOf(of);
      return strikeOf(of, parameter, by, by === 'between' ? [low, high] : low);
    } catch {
      return strikeOf('t');
    }
  });
const args = fc.dictionary(fc.constantFrom('a', 'b', 'constructor', 'ä', 'c'), scalar, { noNullPrototype: true });

test('a strike survives its canonical text', () => {
  fc.assert(
    fc.property(strike, (one) => {
      expect(parseStrike(one.field)).toEqual(one);
    }),
  );
});

test('a list strikes what any of its strikes alone would, whatever was added and removed', () => {
  fc.assert(
    fc.property(fc.array(strike), fc.array(strike), task, args, (kept, gone, of, given) => {
      const { strikes } = listOf();
      for (const one of [...gone, ...kept]) strikes.add(one);
      const isKept = (one: Strike) => kept.some(({ field }) => field === one.field);
      for (const one of gone) if (!isKept(one)) strikes.delete(one);
      const alone = kept.some((one) => {
        const { strikes: list } = listOf();
        list.add(one);
        return list.findFor(of, given) !== null;
      });
      expect(strikes.findFor(of, given) !== null).toBe(alone);
      expect(strikes.size).toBe(new Set(kept.map(({ field }) => field)).size);
    }),
  );
});

test('encoded arguments are struck like decoded ones', () => {
  fc.assert(
    fc.property(fc.array(strike), task, args, (entries, of, given) => {
      const { strikes } = listOf();
      strikes.replaceAll(entries);
      const bytes = encodeValue(given, 'args');
      const found = strikes.find(of, (names) => pickArguments(bytes, names));
      expect(found !== null).toBe(strikes.findFor(of, given) !== null);
    }),
  );
});

test('a list that was replaced behaves like a new one', () => {
  fc.assert(
    fc.property(fc.array(strike), fc.array(strike), task, args, (before, after, of, given) => {
      const { strikes } = listOf();
      strikes.replaceAll(before);
      strikes.replaceAll(after);
      const { strikes: anew } = listOf();
      anew.replaceAll(after);
      expect(strikes.findFor(of, given) !== null).toBe(anew.findFor(of, given) !== null);
      expect(strikes.size).toBe(anew.size);
    }),
  );
});

test('one look-up is enough for thousands of values of a parameter', () => {
  const { strikes } = listOf();
  for (let i = 0; i < 20_000; i++) strikes.add(strikeOf(null, 'customer', '==', `c-${i}`));
  const began = performance.now();
  for (let i = 0; i < 20_000; i++) strikes.findFor('t', { customer: `d-${i}` });
  expect(performance.now() - began).toBeLessThan(1_000); // takes 20 ms; a linear search would make 400 million comparisons
});
