import { describe, expect, test } from 'vitest';
import { InvalidOptionError, UndecodableValueError } from '../../../src/core/errors.js';
import {
  hasOverrides,
  overridesOfNextRun,
  type PolicyOverrides,
  policiesWith,
  resolveOverrides,
} from '../../../src/tasks/overrides.js';
import { cron, debounce, perpetual, resolvePolicies, retry } from '../../../src/tasks/policies.js';

// biome-ignore lint/suspicious/noExplicitAny: what plain JavaScript passes, the compiler would refuse
const js = (value: unknown): any => value;
const HOURLY = perpetual({ every: '1h' });
const DAILY = cron('0 9 * * *', { timezone: 'Europe/Berlin' });
const UNTIL = new Date('2030-01-01T00:00:00Z');

/** The policies of an execution after its overrides have travelled. */
function travelled(overrides: PolicyOverrides, declared = {}) {
  return policiesWith(declared, resolveOverrides(overrides, declared).text);
}

describe('overrides', () => {
  test('stand in place of what the task declares, each by itself', () => {
    const declared = resolvePolicies({ retry: retry({ attempts: 3 }), timeout: '1m', perpetual: HOURLY });
    expect(travelled({ timeout: '5s' }, declared)).toEqual({ ...declared, timeoutMs: 5_000 });
    expect(travelled({ retry: retry({ attempts: 'forever', delay: 7 }) }, declared)).toEqual({
      ...declared,
      retry: { kind: 'retry', attempts: null, minimumDelayMs: 7, maximumDelayMs: 7, factor: 1, jitter: 0 },
    });
    expect(travelled({ perpetual: DAILY }, declared)).toEqual({
      ...declared,
      perpetual: { kind: 'cron', expression: '0 9 * * *', timezone: 'Europe/Berlin', isAutomatic: false },
      isOwnSchedule: true,
    });
    expect(travelled({ until: UNTIL, times: 3 }, declared)).toEqual({
      ...declared,
      untilMs: UNTIL.getTime(),
      runsLeft: 3,
    });
  });

  test('leave the policies as they are when there are none', () => {
    const declared = resolvePolicies({ timeout: '1m' });
    expect(policiesWith(declared, null)).toBe(declared);
    expect(hasOverrides({})).toBe(false);
    for (const one of [{ retry: retry() }, { timeout: 1 }, { perpetual: HOURLY }, { until: UNTIL }, { times: 1 }]) {
      expect(hasOverrides(one)).toBe(true);
    }
  });

  test('keep the chain of an automatic task one that workers know', () => {
    const declared = resolvePolicies({ perpetual: perpetual({ every: '1h', automatic: true }) });
    expect(travelled({ perpetual: DAILY }, declared).perpetual).toMatchObject({ kind: 'cron', isAutomatic: true });
  });

  test('count down the runs of a chain, and nothing else changes', () => {
    const { text } = resolveOverrides({ perpetual: DAILY, times: 3 }, {});
    expect(policiesWith({}, overridesOfNextRun(text))).toEqual({ ...policiesWith({}, text), runsLeft: 2 });
  });

  test.each<[string, PolicyOverrides, string]>([
    ['a retry that was not made by its function', { retry: js({ attempts: 3 }) }, 'retry'],
    ['a timeout of 0', { timeout: 0 }, 'timeout'],
    ['a perpetual policy that was not made by its function', { perpetual: js('* * * * *') }, 'perpetual'],
    ['a retry with no number of attempts', { retry: js({ kind: 'retry', attempts: Number.NaN }) }, 'retry'],
    ['an interval that is none', { perpetual: js({ kind: 'perpetual', everyMs: Number.NaN }) }, 'perpetual'],
    ['an automatic one', { perpetual: perpetual({ automatic: true }) }, 'perpetual'],
    ['an end that is no date', { perpetual: HOURLY, until: js('2030') }, 'until'],
    ['an invalid date', { perpetual: HOURLY, until: new Date('x') }, 'until'],
    ['no runs at all', { perpetual: HOURLY, times: 0 }, 'times'],
    ['half a run', { perpetual: HOURLY, times: 1.5 }, 'times'],
    ['an end of a task that runs once', { until: UNTIL }, 'until'],
    ['a number of runs of a task that runs once', { times: 2 }, 'times'],
    ['an expression that is too long', { perpetual: cron(`${'0,'.repeat(500)}0 * * * *`) }, 'perpetual'],
  ])('that have %s are refused', (_, overrides, option) => {
    expect(() => resolveOverrides(overrides, {})).toThrow(InvalidOptionError);
    expect(() => resolveOverrides(overrides, {})).toThrow(new RegExp(`^${option}: `));
  });

  test('of a task that is known by its name only are left to the workers to check', () => {
    expect(resolveOverrides({ times: 2 }, null).policies).toEqual({ runsLeft: 2 });
  });

  test('cannot make a task repeat that is debounced', () => {
    const declared = resolvePolicies({ limits: [debounce({ settle: '1s' })] });
    expect(() => resolveOverrides({ perpetual: HOURLY }, declared)).toThrow(/debounce/);
  });
});

describe('a text that is none of overrides', () => {
  test.each([
    '',
    'x',
    'null',
    '[]x',
    '7',
    '{"retry":1}',
    '{"retry":{"kind":"retry"}}',
    '{"retry":{"kind":"retry","attempts":0,"minimumDelayMs":0,"maximumDelayMs":0,"factor":1,"jitter":0}}',
    '{"retry":{"kind":"retry","attempts":1,"minimumDelayMs":0,"maximumDelayMs":0,"factor":1,"jitter":2}}',
    '{"timeoutMs":0}',
    '{"timeoutMs":"5"}',
    '{"timeoutMs":1e999}',
    '{"perpetual":{"kind":"perpetual"}}',
    '{"perpetual":{"kind":"perpetual","everyMs":-1}}',
    '{"perpetual":{"kind":"cron","expression":"* * * * *"}}',
    '{"perpetual":{"kind":"cron","expression":"* * * *","timezone":"UTC"}}',
    '{"perpetual":{"kind":"cron","expression":"* * * * *","timezone":"Moon/Crater"}}',
    '{"perpetual":{"kind":"weekly"}}',
    '{"untilMs":"2030"}',
    '{"runsLeft":0}',
  ])('is refused: %s', (text) => {
    expect(() => policiesWith({}, text)).toThrow(UndecodableValueError);
  });

  test('is not one that has something of a later version beside', () => {
    expect(policiesWith({}, '{"timeoutMs":5,"colour":"red"}')).toMatchObject({ timeoutMs: 5 });
  });
});
