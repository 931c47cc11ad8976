import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { retry } from '../../../src/tasks/policies.js';
import { definitionOf, isTask, task } from '../../../src/tasks/task.js';

test('a task keeps its name, body and policies', () => {
  const run = ({ n }: { n: number }) => n * 2;
  const policy = retry({ attempts: 5 });
  const double = task('double', { retry: policy }, run);
  expect(double.name).toBe('double');
  expect(definitionOf(double)).toEqual({ name: 'double', policies: { retry: policy }, run });
});

test('a task without options has no policies', () => {
  expect(definitionOf(task('plain', () => {})).policies).toEqual({});
});

test('a task cannot be changed', () => {
  const fixed = task('fixed', () => {});
  expect(Object.isFrozen(fixed)).toBe(true);
  expect(Object.isFrozen(definitionOf(fixed))).toBe(true);
});

test('a task made by another copy of the package is a task', () => {
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
])('a name that cannot travel is refused: %s', (_why, name) => {
  expect(() => task(name, () => {})).toThrow(InvalidOptionError);
});

test('a name may be any text of up to 512 bytes', () => {
  expect(task('ü'.repeat(256), () => {}).name).toHaveLength(256);
  expect(task('billing/charge v2 💳', () => {}).name).toBe('billing/charge v2 💳');
});

test('what is no function cannot be run', () => {
  expect(() => task('nothing', {}, undefined as never)).toThrow(/'nothing' needs a function/);
  expect(() => task('nothing', undefined as never)).toThrow(/'nothing' needs a function/);
});

test('a policy that was not made by its function is refused', () => {
  expect(() => task('loose', { retry: { attempts: 3 } as never }, () => {})).toThrow(
    /retry\(\) or exponentialRetry\(\)/,
  );
});
