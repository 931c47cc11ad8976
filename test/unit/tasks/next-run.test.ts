import { expect, test } from 'vitest';
import { fingerprintOf, nextRun } from '../../../src/tasks/next-run.js';
import { cron, perpetual } from '../../../src/tasks/policies.js';

const EVERY_MINUTE = perpetual({ every: '1m' });
const DAILY = cron('0 9 * * *', { timezone: 'UTC' });
const at = (time: string) => Date.parse(`2026-05-01T${time}Z`);
const TOMORROW = at('09:00') + 86_400_000;

test('the next run is due one interval after the due time of this one', () => {
  for (const now of ['09:59', '10:00', '10:00:59.999']) {
    expect(nextRun(EVERY_MINUTE, { dueMs: at('10:00') }, undefined, at(now))).toEqual({ atMs: at('10:01') });
  }
});

test('after a run that was late, or took longer, the next one is due at the first point of the grid after now', () => {
  const run = { dueMs: at('10:00') };
  expect(nextRun(EVERY_MINUTE, run, undefined, at('10:01'))).toEqual({ atMs: at('10:02') });
  expect(nextRun(EVERY_MINUTE, run, undefined, at('10:05:20'))).toEqual({ atMs: at('10:06') });
  expect(nextRun(EVERY_MINUTE, run, { everyMs: 7_000 }, at('10:00:15'))).toEqual({ atMs: at('10:00:21') });
});

test('without an interval, the next run is due at the due time of this one, and so at once', () => {
  expect(nextRun(perpetual(), { dueMs: at('10:00') }, undefined, at('10:05'))).toEqual({ atMs: at('10:00') });
});

test('the body can choose another interval, a delay or a time', () => {
  const run = { dueMs: at('10:00') };
  for (const policy of [EVERY_MINUTE, DAILY]) {
    expect(nextRun(policy, run, { everyMs: 5_000 }, at('10:00'))).toEqual({ atMs: at('10:00') + 5_000 });
    expect(nextRun(policy, run, { due: { delayMs: 7 }, everyMs: 5_000 }, at('10:05'))).toEqual({ delayMs: 7 });
    expect(nextRun(policy, run, { due: { atMs: 1 } }, at('10:05'))).toEqual({ atMs: 1 });
  }
});

test('the body can end the chain, whatever else it requested', () => {
  expect(nextRun(EVERY_MINUTE, { dueMs: 0 }, { isEnded: true, everyMs: 5, due: { delayMs: 1 } }, 0)).toBeNull();
  expect(nextRun(DAILY, { dueMs: 0 }, { isEnded: true }, 0)).toBeNull();
});

test('with new arguments only, the policy decides the time', () => {
  const override = { args: new Uint8Array() };
  expect(nextRun(EVERY_MINUTE, { dueMs: at('10:00') }, override, at('10:00'))).toEqual({ atMs: at('10:01') });
});

test('cron runs at the first match after now, and does not catch up missed matches', () => {
  const days = 5 * 86_400_000;
  expect(nextRun(DAILY, { dueMs: at('09:00') - days }, undefined, at('09:01'))).toEqual({ atMs: TOMORROW });
});

test('a clock that is behind the server does not find the match of this run again', () => {
  expect(nextRun(DAILY, { dueMs: at('09:00') }, undefined, at('08:59'))).toEqual({ atMs: TOMORROW });
});

test('a fingerprint changes with the times of a policy, and with nothing else', () => {
  const policies = [
    perpetual(),
    EVERY_MINUTE,
    DAILY,
    cron('0 9 * * *', { timezone: 'Europe/Berlin' }),
    cron('0 8 * * *', { timezone: 'UTC' }),
  ];
  expect(new Set(policies.map(fingerprintOf)).size).toBe(policies.length);
  expect(fingerprintOf(perpetual({ every: 60_000, automatic: true }))).toBe(fingerprintOf(EVERY_MINUTE));
  expect(fingerprintOf(cron(' 0 9  * * *', { timezone: 'UTC' }))).toBe('cron 0 9 * * * UTC');
});
