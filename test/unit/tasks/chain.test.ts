import { describe, expect, test } from 'vitest';
import { chainText, parseChainText, upcomingRuns } from '../../../src/tasks/chain.js';
import { followingRun } from '../../../src/tasks/next-run.js';
import { type ExecutionPolicies, policiesWith, resolveOverrides } from '../../../src/tasks/overrides.js';
import { cron, perpetual } from '../../../src/tasks/policies.js';

const at = (time: string) => Date.parse(`2027-03-27T${time}:00Z`);
const HOURLY = { perpetual: perpetual({ every: '1h' }) };
/** In the night to 28 March, clocks in Berlin go from 2:00 to 3:00. */
const NIGHTLY = { perpetual: cron('30 2 * * *', { timezone: 'Europe/Berlin' }) };

function upcoming(policies: ExecutionPolicies, dueMs: number, isScheduled: boolean, nowMs: number, count = 3) {
  const times = upcomingRuns(parseChainText(chainText(policies)!)!, { dueMs, isScheduled }, nowMs, count);
  return times.map((ms) => new Date(ms).toISOString().slice(8, 16));
}

describe('the text of a chain', () => {
  test('says all that is told of it', () => {
    const { policies } = resolveOverrides({ ...NIGHTLY, until: new Date(7), times: 2 }, {});
    expect(parseChainText(chainText(policies)!)).toEqual({
      policy: { kind: 'cron', expression: '30 2 * * *', timezone: 'Europe/Berlin', isAutomatic: false },
      untilMs: 7,
      runsLeft: 2,
    });
    const automatic = { perpetual: perpetual({ every: 5, automatic: true }) };
    expect(parseChainText(chainText(automatic)!)).toEqual({
      policy: { kind: 'perpetual', everyMs: 5, isAutomatic: true },
      untilMs: null,
      runsLeft: null,
    });
  });

  test('begins with the interval, and says whether it is an override, where scripts look', () => {
    expect(chainText(HOURLY)).toBe('{"everyMs":3600000}');
    const { policies } = resolveOverrides(HOURLY, {});
    expect(chainText(policies)).toBe('{"everyMs":3600000,"isOwnSchedule":true}');
  });

  test('is not there for what runs once, and is none when somebody else wrote it', () => {
    expect(chainText({})).toBeNull();
    expect(parseChainText('x')).toBeNull();
  });
});

describe('the next runs', () => {
  test('are the pending one and those that follow', () => {
    expect(upcoming(HOURLY, at('10:00'), true, at('09:20'))).toEqual(['27T10:00', '27T11:00', '27T12:00']);
  });

  test('are those after a run that is late or goes on', () => {
    expect(upcoming(HOURLY, at('10:00'), false, at('10:20'))).toEqual(['27T11:00', '27T12:00', '27T13:00']);
    expect(upcoming(HOURLY, at('10:00'), true, at('11:20'))).toEqual(['27T12:00', '27T13:00', '27T14:00']);
  });

  test('are at the same time on the wall before and after the clocks change, and once in the missing hour', () => {
    expect(upcoming(NIGHTLY, at('01:30'), false, at('01:31'))).toEqual(['28T01:00', '29T00:30', '30T00:30']);
  });

  test('are no more than the chain has left, one that goes on included', () => {
    const twice = policiesWith({}, resolveOverrides({ ...HOURLY, times: 2 }, {}).text);
    expect(upcoming(twice, at('10:00'), true, at('09:20'))).toEqual(['27T10:00', '27T11:00']);
    expect(upcoming(twice, at('10:00'), false, at('10:20'))).toEqual(['27T11:00']);
  });

  test('are none after the end of the chain', () => {
    const ending = { ...HOURLY, untilMs: at('11:30') };
    expect(upcoming(ending, at('10:00'), true, at('09:20'))).toEqual(['27T10:00', '27T11:00']);
  });

  test('are not known where each follows the one before at once, or in a time zone that is not known', () => {
    const restless = { perpetual: perpetual() };
    expect(upcoming(restless, at('10:00'), false, at('10:20'))).toEqual([]);
    expect(upcoming(restless, at('10:00'), true, at('09:20'))).toEqual(['27T10:00']);
    const chain = parseChainText('{"expression":"0 9 * * *","timezone":"Moon/Crater"}')!;
    expect(upcomingRuns(chain, { dueMs: 0, isScheduled: false }, 0, 3)).toEqual([]);
  });
});

describe('the run that follows', () => {
  const run = { dueMs: at('10:00'), counts: true };

  test('is the one of the policy, unless the body has asked for another', () => {
    expect(followingRun(HOURLY, run, undefined, at('10:01'))).toEqual({ atMs: at('11:00') });
    expect(followingRun(HOURLY, run, { due: { delayMs: 7 } }, at('10:01'))).toEqual({ delayMs: 7 });
    expect(followingRun({}, run, undefined, at('10:01'))).toBeNull();
  });

  test('is none after the last one that counts; one that was skipped does not', () => {
    const once = { ...HOURLY, runsLeft: 1 };
    expect(followingRun(once, run, { due: { delayMs: 7 } }, at('10:01'))).toBeNull();
    expect(followingRun(once, { ...run, counts: false }, undefined, at('10:01'))).toEqual({ atMs: at('11:00') });
    expect(followingRun({ ...HOURLY, runsLeft: 2 }, run, undefined, at('10:01'))).toEqual({ atMs: at('11:00') });
  });

  test('is none that would be due after the end, however it is timed', () => {
    const ending = { ...HOURLY, untilMs: at('11:00') };
    expect(followingRun(ending, run, undefined, at('10:01'))).toEqual({ atMs: at('11:00') });
    expect(followingRun({ ...HOURLY, untilMs: at('11:00') - 1 }, run, undefined, at('10:01'))).toBeNull();
    expect(followingRun(ending, run, { due: { delayMs: 3_600_000 } }, at('10:01'))).toBeNull();
    expect(followingRun(ending, run, { due: { atMs: 0 } }, at('11:01'))).toBeNull(); // due in the past is due now
  });
});
