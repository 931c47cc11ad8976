/** Whether timers run, which a test docket asks before it waits for any. */
import { afterEach, expect, test, vi } from 'vitest';
import { FakeTimersError } from '../../../src/core/errors.js';
import { checkTimersRun } from '../../../src/testing/timers.js';

afterEach(() => {
  vi.useRealTimers();
});

test('real timers run, also when only the date is faked', async () => {
  await expect(checkTimersRun()).resolves.toBeUndefined();
  vi.useFakeTimers({ toFake: ['Date'] });
  await expect(checkTimersRun()).resolves.toBeUndefined();
});

test.each([
  ['all timers', undefined],
  ['setTimeout', ['setTimeout' as const]],
  ['setImmediate', ['setImmediate' as const]],
])('faked timers (%s) that nothing advances do not run', async (_which, toFake) => {
  vi.useFakeTimers(toFake ? { toFake } : {});
  await expect(checkTimersRun()).rejects.toThrow(FakeTimersError);
});

test('faked timers that advance by themselves run', async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  await expect(checkTimersRun()).resolves.toBeUndefined();
});
