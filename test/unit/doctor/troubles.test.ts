import { expect, test } from 'vitest';
import type { Docket } from '../../../src/client/docket.js';
import { checkFailing, checkSilent } from '../../../src/doctor/troubles.js';

/** A docket in which these tasks ended so often in the last minutes; each failed in the present minute unless it says otherwise. */
function docketOf(tasks: Record<string, { failed: number; succeeded: number; failedByMinute?: readonly number[] }>) {
  const stats = async ({ minutes }: { minutes: number }) =>
    Object.entries(tasks).map(([task, { failed, succeeded, failedByMinute }]) => {
      return { task, failed, succeeded, failedByMinute: failedByMinute ?? [...Array(minutes - 1).fill(0), failed] };
    });
  return { stats } as unknown as Docket;
}

test.each([
  ['few failures', { failed: 4, succeeded: 0 }],
  ['a small share of failures', { failed: 49, succeeded: 951 }],
  ['failures that are over', { failed: 900, succeeded: 100, failedByMinute: [450, 450, 0, 0, 0] }],
])('%s are normal', async (_, charge) => {
  expect(await checkFailing(docketOf({ charge }))).toMatchObject({ status: 'ok', advice: null });
});

test('of the tasks that fail, those with the most failures are named, and the first is dealt with first', async () => {
  const tasks = Object.fromEntries(
    [10, 40, 20, 30].map((failed) => [`t-${failed}`, { failed, succeeded: 100 - failed }]),
  );
  expect(await checkFailing(docketOf(tasks))).toMatchObject({
    status: 'warn',
    detail: expect.stringMatching(/: t-40 40 of 100, t-30 30 of 100, t-20 20 of 100, …$/),
    advice: 'docket failures --task t-40 shows why, docket pause t-40 keeps more from starting',
  });
});

test('what a silent worker has in several streams is told together, with the time since it was last heard', () => {
  const silent = [
    { consumer: 'w1:abc', pending: 1, idleMs: 20_000 },
    { consumer: 'w2:abc', pending: 5, idleMs: 50_000 },
    { consumer: 'w1:abc', pending: 2, idleMs: 12_300 },
  ];
  expect(checkSilent(silent, true)).toMatchObject({
    status: 'warn',
    detail: 'w2, silent for 50.0s, has 5 executions; w1, silent for 12.3s, has 3 executions',
    advice: expect.stringContaining('if it hangs, end it'),
  });
  expect(checkSilent(silent, false).advice).toBe('start a worker: it runs them when their leases end');
  const many = [1, 2, 3, 4, 5].map((n) => ({ consumer: `w${n}:x`, pending: n, idleMs: 1 }));
  expect(checkSilent(many, true).detail).toMatch(/^w5, .*; w4, .*; w3, .* has 3 executions; and 2 more$/);
  expect(checkSilent([], true)).toMatchObject({ status: 'ok' });
});
