import { expect, test } from 'vitest';
import { type StartCriteria, startVerdictOf } from '../../../../src/worker/intake/start-verdict.js';
import { deliveryWith } from '../deliveries.js';

const cancelled = { cancelListener: { isBarred: () => true } };
const paused = { pauseGuard: { isPaused: () => true } };
const struck = { strikeGuard: { reasonStruck: () => 'struck: it' } };

function verdict(charges: number, criteria: Partial<StartCriteria> = {}) {
  const nothing = {
    cancelListener: { isBarred: () => false },
    pauseGuard: { isPaused: () => false },
    strikeGuard: { reasonStruck: () => null },
  };
  return startVerdictOf(deliveryWith({ charges }), { maxDeliveries: 2, ...nothing, ...criteria });
}

test('what is neither charged too often, cancelled, paused nor struck may run', () => {
  expect(verdict(1)).toEqual({ kind: 'may-run' });
});

test('what was charged as often as it may be is poisoned, whatever else is asked of it', () => {
  expect(verdict(2)).toEqual({ kind: 'poisoned' });
  expect(verdict(3, { ...cancelled, ...struck })).toEqual({ kind: 'poisoned' });
});

test('what was cancelled is cancelled, struck or not', () => {
  expect(verdict(1, cancelled)).toEqual({ kind: 'cancelled' });
  expect(verdict(1, { ...cancelled, ...struck })).toEqual({ kind: 'cancelled' });
});

test('what is paused waits, struck or not, unless it was cancelled', () => {
  expect(verdict(1, { ...paused, ...struck })).toEqual({ kind: 'paused' });
  expect(verdict(1, { ...paused, ...cancelled })).toEqual({ kind: 'cancelled' });
});

test('what is struck is told by which strike', () => {
  expect(verdict(1, struck)).toEqual({ kind: 'struck', reason: 'struck: it' });
});
