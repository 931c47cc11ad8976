import { describe, expect, test } from 'vitest';
import { type Duration, parseDuration, toMs } from '../../../src/core/duration.js';
import { InvalidOptionError } from '../../../src/core/errors.js';

describe('a duration in code', () => {
  test.each<[Duration, number]>([
    [0, 0],
    [250, 250],
    [0.4, 0],
    [1.5, 2],
    ['250ms', 250],
    ['0s', 0],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['0.0004s', 0],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['0.5d', 43_200_000],
    ['007s', 7_000],
    ['3650000d', 315_360_000_000_000],
  ])('%j means %d ms', (duration, ms) => {
    expect(toMs(duration, 'when')).toBe(ms);
  });

  test.each([
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
    '3650001d',
    '',
    's',
    '5',
    '-5s',
    '+5s',
    '5S',
    '5 s',
    ' 5s',
    '5s ',
    '5sec',
    '1e3ms',
    '.5s',
    '5.s',
    '1h30m',
    '1:30',
    'Infinitys',
    null,
    undefined,
    {},
    [5],
    true,
    5n,
    new Date(5),
  ])('%o is refused', (duration) => {
    const error = errorOf(() => toMs(duration as Duration, 'retry.delay'));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option: 'retry.delay', message: expect.stringMatching(/^retry\.delay: expected /) });
  });
});

describe('a duration on a command line', () => {
  test.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['0:05', 5_000],
    ['1:30', 90_000],
    ['59:59', 3_599_000],
    ['01:02:03', 3_723_000],
    ['100:00:00', 360_000_000],
  ])('%s means %d ms', (text, ms) => {
    expect(parseDuration(text, '--when')).toBe(ms);
  });

  test.each(['', 'soon', '1:60', '60:00', '1:2:3', '1:02:60', ':30', '-1s', '1h 30m', '5 s'])(
    '%j is refused',
    (text) => {
      expect(() => parseDuration(text, '--when')).toThrow(InvalidOptionError);
      expect(() => parseDuration(text, '--when')).toThrow(/^--when: .*not a duration/);
    },
  );

  test.each(['30', '1.5', '0'])('the bare number %s is refused with a hint', (text) => {
    expect(() => parseDuration(text, '--when')).toThrow(`(did you mean ${text}s?)`);
  });
});

function errorOf(code: () => unknown): unknown {
  try {
    return code();
  } catch (error) {
    return error;
  }
}
