import { expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { depends } from '../../../src/tasks/dependencies.js';
import { concurrencyLimit, debounce, perpetual, retry } from '../../../src/tasks/policies.js';
import { definitionOf, isTask, task } from '../../../src/tasks/task.js';

test('a task keeps its name, body and policies', () => {
  const run = ({ n }: { n: number }) => n * 2;
  const policy = retry({ attempts: 5 });
  const double = task('double', { retry: policy }, run);
  expect(double.name).toBe('double');
  expect(definitionOf(double)).toEqual({ name: 'double', policies: { retry: policy }, run });
});

test('a task without options has no policies, and none of the options that its thread handles', () => {
  const run = () => {};
  expect(definitionOf(task('plain', run))).toStrictEqual({ name: 'plain', policies: {}, run });
  expect(definitionOf(task('plain', {}, run))).toStrictEqual({ name: 'plain', policies: {}, run });
});

test('a task keeps all its options', () => {
  const [input, db] = [z.object({ n: z.number() }), depends(() => 1)];
  const limit = concurrencyLimit('n');
  const options = { timeout: '2s', limits: [limit], logged: { n: 'value' }, uses: { db }, input } as const;
  const policies = { timeoutMs: 2_000, limits: [limit] };
  const definition = definitionOf(task('full', options, () => {}) as never);
  expect(definition).toMatchObject({ policies, logged: { n: 'value' } });
  expect(definition.uses).toEqual({ db });
  expect(definition.input).toBe(input);
});

test('later changes of the options do not change the task', () => {
  const options = { uses: { db: depends(() => 1) }, logged: { n: 'value' as 'value' | 'length' } };
  const { uses, logged } = definitionOf(task('fixed', options, (_: { n: number }) => {}));
  Object.assign(options.uses, { other: depends(() => 2) });
  options.logged.n = 'length';
  expect(Object.keys(uses!)).toEqual(['db']);
  expect(logged).toEqual({ n: 'value' });
  expect([uses, logged].every(Object.isFrozen)).toBe(true);
});

test.each<[string, object]>([
  ['perpetual', { perpetual: { every: 5 } }],
  ['timeout', { timeout: 0 }],
  ['timeout', { timeout: 'soon' }],
  ['limits', { limits: concurrencyLimit('n') }],
  ['limits', { limits: [{ max: 1 }] }],
  ['limits', { limits: [concurrencyLimit('n'), concurrencyLimit('n', { max: 2 })] }],
  ['limits', { limits: [debounce({ settle: 1 })], perpetual: perpetual() }],
  ['logged', { logged: 'n' }],
  ['logged.n', { logged: { n: 'hash' } }],
  ['uses', { uses: null }],
  ['uses.db', { uses: { db: () => 1 } }],
  ['uses.key', { uses: { key: depends(() => 1) } }],
  ['uses.retry', { uses: { retry: depends(() => 1) } }],
  ['uses.timeout', { uses: { timeout: depends(() => 1) } }],
  ['uses.constructor', { uses: { constructor: depends(() => 1) } }],
  ['input', { input: { at: 'string' } }],
  ['input', { input: null }],
])('an invalid option %s is refused at the declaration (%o)', (option, options) => {
  const declare = () => task('bad', options, () => {});
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option: expect.stringMatching(`^${option}`) }));
});

test('a task cannot be changed', () => {
  const fixed = task('fixed', () => {});
  expect(Object.isFrozen(fixed)).toBe(true);
  expect(Object.isFrozen(definitionOf(fixed))).toBe(true);
});

test('a task of another copy of the package is recognized', () => {
  const key = Symbol.for('docket.task');
  const foreign = { name: 'foreign', [key]: { name: 'foreign', policies: {}, run: () => 1 } };
  expect(isTask(foreign)).toBe(true);
  expect([{ name: 'x', run() {} }, null, undefined, 'x', () => {}].some(isTask)).toBe(false);
});

test.each([
  ['empty', ''],
  ['too long', 'ü'.repeat(257)],
  ['control character', 'a\nb'],
  ['lone surrogate', 'a\ud800'],
])('a name that is invalid is refused (%s)', (_why, name) => {
  expect(() => task(name, () => {})).toThrow(InvalidOptionError);
});

test('a name can be any text of up to 512 bytes', () => {
  expect(task('ü'.repeat(256), () => {}).name).toHaveLength(256);
  expect(task('billing/charge v2 💳', () => {}).name).toBe('billing/charge v2 💳');
});

test('a body that is not a function is refused', () => {
  expect(() => task('nothing', {}, undefined as never)).toThrow(/'nothing' needs a function/);
  expect(() => task('nothing', undefined as never)).toThrow(/'nothing' needs a function/);
});

test('a policy that was not made by its function is refused', () => {
  expect(() => task('loose', { retry: { attempts: 3 } as never }, () => {})).toThrow(
    /retry\(\) or exponentialRetry\(\)/,
  );
});
