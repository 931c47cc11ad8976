import { expect, test } from 'vitest';
import { parseStrikeValue } from '../../../src/cli/values.js';
import { parseWhere } from '../../../src/dashboard/server/where.js';
import { argumentText } from '../../../src/tasks/argument-text.js';

test.each([
  'c-1',
  'ada@example.com',
  '7',
  '-1',
  'true',
  'null',
  'two words',
  'a"b',
  '',
  '{"a":1}',
  7,
  8n,
  1.5,
  true,
  null,
])('the text of the argument %o is read as the same value on the command line and in the dashboard', (value) => {
  const text = argumentText(value);
  const given = typeof value === 'bigint' ? Number(value) : value; // both compare alike
  expect(parseStrikeValue(text)).toBe(given);
  expect(parseWhere(`name=${text}`)).toEqual({ name: given });
});

test('a date is shown', () => {
  expect([argumentText(new Date(0)), argumentText(new Date(Number.NaN))]).toEqual([
    '1970-01-01T00:00:00.000Z',
    'an invalid date',
  ]);
});
