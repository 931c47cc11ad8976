import { expect, test } from 'vitest';
import { AttemptBudget } from '../../../../src/worker/intake/attempt-budget.js';
import { deliveryWith, messageOf } from '../deliveries.js';

const of = (record: string) => deliveryWith({ record });

/** Counts an attempt under the key, as the worker does; false when it may not. */
function take(budget: AttemptBudget, key: string): boolean {
  if (budget.isSpent(of(key))) return false;
  budget.take(of(key));
  return true;
}

test('a budget allows each of its keys as many attempts as it says, and all others any number', () => {
  const budget = new AttemptBudget([
    ['twice', 2],
    ['never', 0],
  ]);
  expect([1, 2, 3].map(() => take(budget, 'twice'))).toEqual([true, true, false]);
  expect(take(budget, 'never')).toBe(false);
  expect([1, 2, 3].map(() => take(budget, 'other'))).toEqual([true, true, true]);
  expect(budget.spentKeys).toEqual(['twice', 'never']);
});

test('an attempt that did not start after all may be taken again', () => {
  const budget = new AttemptBudget([['once', 1]]);
  budget.take(of('once'));
  budget.refund(of('once'));
  budget.refund(of('other'));
  expect(budget.spentKeys).toEqual([]);
  expect([take(budget, 'once'), take(budget, 'once'), take(budget, 'other')]).toEqual([true, false, true]);
});

test('an execution without a record counts under its id', () => {
  const budget = new AttemptBudget([['id', 1]]);
  budget.take(deliveryWith({ record: null, message: messageOf({ id: 'id' }) }));
  expect(budget.spentKeys).toEqual(['id']);
});

test('asking counts nothing', () => {
  const budget = new AttemptBudget([['once', 1]]);
  expect([1, 2, 3].map(() => budget.isSpent(of('once')))).toEqual([false, false, false]);
});
