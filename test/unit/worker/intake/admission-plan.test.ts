import { expect, test } from 'vitest';
import { LimitArgumentError, UndecodableValueError } from '../../../../src/core/errors.js';
import type { AdmissionCheck } from '../../../../src/redis/admission-store.js';
import { concurrencyLimit, cooldown, debounce, type LimitPolicy, rateLimit } from '../../../../src/tasks/policies.js';
import { encodeValue } from '../../../../src/wire/codec.js';
import { AdmissionPlan } from '../../../../src/worker/intake/admission-plan.js';

function checks(limits: readonly LimitPolicy<string>[], args: object = {}, task = 'charge'): readonly AdmissionCheck[] {
  return new AdmissionPlan(task, limits).of(encodeValue(args, 'args'));
}

const keys = (...parameters: Parameters<typeof checks>) => checks(...parameters).map(({ key }) => key);
const keyOf = (value: unknown) => keys([concurrencyLimit('x')], { x: value })[0]!;

test('checks come in the order in which they are passed, whatever the order of limits', () => {
  const limits = [
    concurrencyLimit({ max: 3 }),
    rateLimit('a', { max: 2, per: '1s', onExceeded: 'drop' }),
    debounce({ settle: '5s' }),
    cooldown({ window: '1m' }),
    concurrencyLimit('a'),
  ];
  expect(checks(limits, { a: 'x' })).toEqual([
    { kind: 'cooldown', key: 'charge', windowMs: 60_000 },
    { kind: 'debounce', key: 'charge', settleMs: 5_000 },
    { kind: 'rate', key: 'charge:a:s=x', max: 2, perMs: 1_000, onExceeded: 'drop' },
    { kind: 'permit', key: 'charge', max: 3 },
    { kind: 'permit', key: 'charge:a:s=x', max: 1 },
  ]);
});

test('without limits there are no checks', () => {
  expect(checks([])).toEqual([]);
});

test('the checks of a task that counts by no argument are made once, and its arguments are not read', () => {
  const plan = new AdmissionPlan('charge', [concurrencyLimit({ max: 3 })]);
  expect(plan.of(Buffer.from('not arguments'))).toBe(plan.of(Buffer.alloc(0)));
});

test('permits are sorted by name, so that all executions take them in the same order', () => {
  const limits = [concurrencyLimit('b'), concurrencyLimit('a'), concurrencyLimit({ max: 1, scope: 'z' })];
  expect(keys(limits, { a: 'ä', b: 1 })).toEqual(['@z', 'charge:a:s=%C3%A4', 'charge:b:n=1']);
});

test('a scope is shared by tasks and by arguments of different names', () => {
  const crawl = keys([concurrencyLimit('host', { scope: 'hosts' })], { host: 'a.example' }, 'crawl');
  const ping = keys([concurrencyLimit('target', { scope: 'hosts' })], { target: 'a.example' }, 'ping');
  expect(crawl).toEqual(['@hosts:s=a.example']);
  expect(ping).toEqual(crawl);
});

test('two arguments with the same value in one scope take one permit, under the stricter limit', () => {
  const limits = [concurrencyLimit('from', { scope: 's', max: 3 }), concurrencyLimit('to', { scope: 's', max: 2 })];
  expect(checks(limits, { from: 1, to: 1 })).toEqual([{ kind: 'permit', key: '@s:n=1', max: 2 }]);
  expect(checks(limits, { from: 1, to: 2 })).toHaveLength(2);
});

test('a task named like a scope is not one, and no name or value runs into another', () => {
  expect(keys([concurrencyLimit({ max: 1 })], {}, '@db')).toEqual(['%40db']);
  expect(keys([concurrencyLimit({ max: 1, scope: 'db' })])).toEqual(['@db']);
  expect(keys([concurrencyLimit('b:c')], { 'b:c': 'd e:f' }, 'a')).toEqual(['a:b%3Ac:s=d%20e%3Af']);
  expect(keys([concurrencyLimit('c')], { c: 'x' }, 'a:b')).toEqual(['a%3Ab:c:s=x']);
});

test('values of different types are told apart', () => {
  const values = [1, '1', 1n, true, 'true', null, 'null', new Date(1), '', 1.5, -1, Number.NaN, 'NaN', -1n];
  values.push(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2n ** 300n, 'x'.repeat(100), '\ud800', '\udc00');
  expect(new Set(values.map(keyOf)).size).toBe(values.length);
});

test('values that are equal count together', () => {
  expect(keyOf(-0)).toBe(keyOf(0));
  expect(keyOf(Number.NaN)).toBe('charge:x:n=NaN');
  expect(keyOf(new Date(5))).toBe(keyOf(new Date(5)));
  expect(keyOf(2n ** 300n)).toBe(keyOf(2n ** 300n));
});

test('a long value is hashed, so that names stay short', () => {
  expect(keyOf('x'.repeat(64))).toBe(`charge:x:s=${'x'.repeat(64)}`);
  expect(keyOf('x'.repeat(65))).toMatch(/^charge:x:h=[\w-]{43}$/);
  expect(keyOf('ü'.repeat(33))).toMatch(/^charge:x:h=[\w-]{43}$/);
  expect(keyOf('x'.repeat(1_000_000))).not.toBe(keyOf('x'.repeat(1_000_001)));
});

test('a missing argument is an error that lists those there are', () => {
  for (const args of [
    { y: 1, z: 2 },
    { y: 1, z: 2, x: undefined },
  ]) {
    const declare = () => checks([concurrencyLimit('x')], args);
    expect(declare).toThrow(LimitArgumentError);
    expect(declare).toThrow(/'charge' is limited by its argument 'x', which is missing; its arguments are y, z/);
  }
  expect(() => checks([concurrencyLimit('x')], {})).toThrow(/it has no arguments/);
});

test('an argument that is not a scalar is an error that says what it is', () => {
  expect(() => checks([rateLimit('x', { max: 1, per: 1 })], { x: { id: 1 } })).toThrow(
    expect.objectContaining({ code: 'DOCKET_LIMIT_ARGUMENT', task: 'charge', argument: 'x', found: 'an object' }),
  );
  expect(() => checks([cooldown('x', { window: 1 })], { x: [1] })).toThrow(/'x', which is an array/);
});

test('bytes that are not arguments are an error of their own', () => {
  expect(() => new AdmissionPlan('charge', [concurrencyLimit('x')]).of(Buffer.from([0x81]))).toThrow(
    UndecodableValueError,
  );
});
