import { expect, test } from 'vitest';
import { lineOf } from '../../../src/thread/failure.js';

test.each([
  ['an error with a message', new TypeError('no such order'), 'TypeError: no such order'],
  ['an error without a message', new RangeError(), 'RangeError'],
  ['an error with several lines', new Error('first\nsecond'), 'Error: first'],
  ['what is no error', 42, '42'],
])('%s is told in one line', (_what, error, line) => {
  expect(lineOf(error)).toBe(line);
});
