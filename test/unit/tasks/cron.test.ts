import { expect, test } from 'vitest';
import { InvalidOptionError } from '../../../src/core/errors.js';
import { checkCron, nextCronMs } from '../../../src/tasks/cron.js';

const BERLIN = 'Europe/Berlin';
const NEW_YORK = 'America/New_York';

/** All matches after one time up to another, as `MM-DDTHH:mm` of UTC. */
function matches(expression: string, timezone: string, after: string, until: string): string[] {
  const found: string[] = [];
  const untilMs = Date.parse(until);
  for (let ms = nextCronMs(expression, timezone, Date.parse(after)); ms <= untilMs; ) {
    found.push(new Date(ms).toISOString().slice(5, 16));
    ms = nextCronMs(expression, timezone, ms);
  }
  return found;
}

test.each([
  ['0 9 * * MON-FRI', '2026-01-02T09:00:00Z', '2026-01-05T09:00:00Z'],
  ['@hourly', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00Z'],
  ['@daily', '2026-01-01T12:00:00Z', '2026-01-02T00:00:00Z'],
  ['@weekly', '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'],
  ['@monthly', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'],
  ['@yearly', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['*/10 * * * * *', '2026-01-01T00:00:10Z', '2026-01-01T00:00:20Z'],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
  ['0 0 13 * FRI', '2026-02-10T00:00:00Z', '2026-02-13T00:00:00Z'],
  ['0 0 1 * MON', '2026-01-01T00:00:00Z', '2026-01-05T00:00:00Z'],
])('%s matches next after %s at %s', (expression, after, expected) => {
  expect(nextCronMs(expression, 'UTC', Date.parse(after))).toBe(Date.parse(expected));
});

test('a match is strictly later than the time, to the millisecond', () => {
  const noon = Date.parse('2026-01-01T12:00:00Z');
  expect(nextCronMs('0 12 * * *', 'UTC', noon - 1)).toBe(noon);
  expect(nextCronMs('0 12 * * *', 'UTC', noon - 999)).toBe(noon);
  expect(nextCronMs('0 12 * * *', 'UTC', noon)).toBe(noon + 86_400_000);
  expect(nextCronMs('0 12 * * *', 'UTC', noon + 1)).toBe(noon + 86_400_000);
});

test.each([
  // Berlin, spring: 02:00 becomes 03:00 at 01:00 UTC
  ['30 2 * * *', BERLIN, '2026-03-28', ['03-28T01:30', '03-29T01:00', '03-30T00:30']],
  ['0 3 * * *', BERLIN, '2026-03-28', ['03-28T02:00', '03-29T01:00', '03-30T01:00']],
  ['0 2,3 * * *', BERLIN, '2026-03-29', ['03-29T01:00', '03-30T00:00', '03-30T01:00']],
  ['0 9 * * *', BERLIN, '2026-03-28', ['03-28T08:00', '03-29T07:00', '03-30T07:00']],
  // Berlin, autumn: 03:00 becomes 02:00 at 01:00 UTC
  ['30 2 * * *', BERLIN, '2026-10-24', ['10-24T00:30', '10-25T00:30', '10-26T01:30']],
  ['0,30 2 * * *', BERLIN, '2026-10-25', ['10-25T00:00', '10-25T00:30', '10-26T01:00', '10-26T01:30']],
  ['0 1-3 * * *', BERLIN, '2026-10-25', ['10-25T00:00', '10-25T02:00', '10-26T00:00', '10-26T01:00', '10-26T02:00']],
  // New York, spring: 02:00 becomes 03:00 at 07:00 UTC
  ['30 2 * * *', NEW_YORK, '2026-03-07', ['03-07T07:30', '03-08T07:00', '03-09T06:30']],
  // New York, autumn: 02:00 becomes 01:00 at 06:00 UTC
  ['30 1 * * *', NEW_YORK, '2026-10-31', ['10-31T05:30', '11-01T05:30', '11-02T06:30']],
])('each fixed time of %s in %s from %s runs once across a change of clocks', (...row) => {
  const [expression, timezone, day, expected] = row;
  const after = new Date(Date.parse(day) - 1).toISOString();
  const until = new Date(Date.parse(`2026-${expected.at(-1)}:00Z`)).toISOString();
  expect(matches(expression, timezone, after, until)).toEqual(expected);
});

test.each([
  [BERLIN, '2026-03-29T00:00:00Z'],
  [BERLIN, '2026-10-25T00:00:00Z'],
  [NEW_YORK, '2026-03-08T06:00:00Z'],
  [NEW_YORK, '2026-11-01T05:00:00Z'],
])('an expression for every half hour in %s runs evenly across the change of clocks after %s', (timezone, start) => {
  for (let i = 0; i < 8; i++) {
    const ms = Date.parse(start) + i * 1_800_000;
    expect(nextCronMs('*/30 * * * *', timezone, ms)).toBe(ms + 1_800_000);
  }
});

test('steps within an hour skip it when it is missing, and run twice when it is repeated', () => {
  expect(matches('*/30 2 * * *', BERLIN, '2026-03-29T00:00:00Z', '2026-03-29T22:00:00Z')).toEqual([]);
  expect(matches('*/30 2 * * *', BERLIN, '2026-10-24T22:00:00Z', '2026-10-25T22:00:00Z')).toEqual([
    '10-25T00:00',
    '10-25T00:30',
    '10-25T01:00',
    '10-25T01:30',
  ]);
});

test.each([
  ['30 2 * * *', BERLIN, '2026-03-28T20:00:00Z'],
  ['30 2 * * *', BERLIN, '2026-10-24T20:00:00Z'],
  ['0,30 1-4 * * *', BERLIN, '2026-10-24T20:00:00Z'],
  ['*/15 * * * *', NEW_YORK, '2026-11-01T04:00:00Z'],
  ['30 1 * * *', NEW_YORK, '2026-11-01T04:00:00Z'],
])('%s in %s around %s has the same next match from any time before it', (expression, timezone, start) => {
  let lastMs = Date.parse(start);
  for (let i = 0; i < 6; i++) {
    const nextMs = nextCronMs(expression, timezone, lastMs);
    expect(nextMs).toBeGreaterThan(lastMs);
    for (let ms = lastMs; ms < nextMs; ms += 421_337) expect(nextCronMs(expression, timezone, ms)).toBe(nextMs);
    lastMs = nextMs;
  }
});

test.each(['0 0 30 2 *', '0 0 31 4,6,9,11 *'])('%s never matches and is refused', (expression) => {
  expect(() => checkCron(expression, 'UTC')).toThrow(/never matches/);
});

test('the error of an unknown time zone does not blame the expression', () => {
  expect(() => checkCron('@daily', 'Nowhere/Land')).toThrow(expect.objectContaining({ option: 'cron.timezone' }));
});

test('a search without a later match is refused', () => {
  expect(() => nextCronMs('@yearly', 'UTC', Date.parse('9000-01-01'))).toThrow(InvalidOptionError);
});
