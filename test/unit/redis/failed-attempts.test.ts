import { expect, test } from 'vitest';
import { failedLineOf, parseFailedAttempts } from '../../../src/redis/failed-attempts.js';

test('attempts are read the oldest first, whatever their errors say', () => {
  expect(parseFailedAttempts('2\t30\t40\terna\tError: a\tb\n1\t\t20\t\t')).toEqual([
    { attempt: 1, startedMs: null, failedMs: 20, worker: null, errorLine: '' },
    { attempt: 2, startedMs: 30, failedMs: 40, worker: 'erna', errorLine: 'Error: a\tb' },
  ]);
});

test('a list that is none has no attempts', () => {
  for (const text of ['', 'x', '1\t2', 'a\t1\t2\tw\te', '1\t1\tb\tw\te']) expect(parseFailedAttempts(text)).toEqual([]);
});

test('the line of an error is one line, and not long', () => {
  expect(failedLineOf('Error: a\n  b\tc')).toBe('Error: a   b c');
  expect(failedLineOf('x'.repeat(1_000))).toBe(`${'x'.repeat(299)}…`);
});
