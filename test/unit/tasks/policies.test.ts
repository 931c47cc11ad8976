import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { exponentialRetry, retry } from '../../../src/tasks/policies.js';

test('retry makes three attempts without delay by default', () => {
  expect(retry()).toEqual({
    kind: 'retry',
    attempts: 3,
    minimumDelayMs: 0,
    maximumDelayMs: 0,
    factor: 1,
    jitter: 0,
  });
});

test('retry waits the same delay each time', () => {
  expect(retry({ attempts: 5, delay: '2s' })).toMatchObject({
    minimumDelayMs: 2_000,
    maximumDelayMs: 2_000,
    factor: 1,
  });
});

test('exponentialRetry doubles from 1 s to 64 s by default', () => {
  expect(exponentialRetry()).toEqual({
    kind: 'retry',
    attempts: 3,
    minimumDelayMs: 1_000,
    maximumDelayMs: 64_000,
    factor: 2,
    jitter: 0,
  });
});

test('forever is null in the data', () => {
  expect(retry({ attempts: 'forever' }).attempts).toBeNull();
  expect(exponentialRetry({ attempts: 'forever' }).attempts).toBeNull();
});

test('a policy is plain data that cannot be changed', () => {
  const policy = exponentialRetry({ jitter: 0.5 });
  expect(structuredClone(policy)).toEqual(policy);
  expect(Object.isFrozen(policy)).toBe(true);
});

test.each([
  ['retry.attempts', () => retry({ attempts: 0 })],
  ['retry.attempts', () => retry({ attempts: 1.5 })],
  ['retry.attempts', () => retry({ attempts: Number.NaN })],
  ['retry.attempts', () => retry({ attempts: 'always' as never })],
  ['retry.delay', () => retry({ delay: -1 })],
  ['retry.delay', () => retry({ delay: 'soon' as never })],
  ['exponentialRetry.attempts', () => exponentialRetry({ attempts: -1 })],
  ['exponentialRetry.minimumDelay', () => exponentialRetry({ minimumDelay: Number.NaN })],
  ['exponentialRetry.maximumDelay', () => exponentialRetry({ minimumDelay: '2s', maximumDelay: '1s' })],
  ['exponentialRetry.maximumDelay', () => exponentialRetry({ minimumDelay: '2m' })],
  ['exponentialRetry.jitter', () => exponentialRetry({ jitter: 1.1 })],
  ['exponentialRetry.jitter', () => exponentialRetry({ jitter: Number.NaN })],
])('an invalid %s is refused at the declaration', (option, declare) => {
  expect(declare).toThrow(InvalidOptionError);
  expect(declare).toThrow(expect.objectContaining({ option }));
});
