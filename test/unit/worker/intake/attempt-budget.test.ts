import { expect, test } from 'vitest';
import { AttemptBudget } from '../../../../src/worker/intake/attempt-budget.js';

test('an allowance lets each of its keys through so many times, and all others always', () => {
  const allowance = new AttemptBudget([
    ['twice', 2],
    ['never', 0],
  ]);
  expect([1, 2, 3].map(() => allowance.take('twice'))).toEqual([true, true, false]);
  expect(allowance.take('never')).toBe(false);
  expect([1, 2, 3].map(() => allowance.take('other'))).toEqual([true, true, true]);
  expect(allowance.spent).toEqual(['twice', 'never']);
});

test('what was not claimed after all may be taken again', () => {
  const allowance = new AttemptBudget([['once', 1]]);
  allowance.take('once');
  allowance.refund('once');
  allowance.refund('other');
  expect(allowance.spent).toEqual([]);
  expect([allowance.take('once'), allowance.take('once'), allowance.take('other')]).toEqual([true, false, true]);
});
