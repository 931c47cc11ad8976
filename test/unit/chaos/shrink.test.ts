/** A plan that fails is cut down to what the failure needs. */
import { expect, test } from 'vitest';
import { shrink } from '../../chaos/shrink.js';

const PLAN = Array.from({ length: 40 }, (_, i) => i + 1);

/** Fails if all of these are in the part. */
const needs =
  (...culprits: number[]) =>
  async (part: readonly number[]) =>
    culprits.every((one) => part.includes(one));

test.each([[[7]], [[40]], [[3, 4]], [[1, 40]], [[2, 19, 33]]])('down to %j', async (culprits) => {
  const smallest = await shrink({ plan: PLAN, fails: needs(...culprits), runs: 1_000 });
  expect(smallest).toEqual(culprits);
});

test('as far as the number of runs allows', async () => {
  let runs = 0;
  const fails = async (part: readonly number[]) => {
    runs += 1;
    return part.includes(1);
  };
  expect(await shrink({ plan: PLAN, fails, runs: 3 })).toEqual([1, 2, 3, 4, 5]);
  expect(runs).toBe(3);
});

test('not at all when it does not fail again', async () => {
  expect(await shrink({ plan: PLAN, fails: async () => false, runs: 1_000 })).toEqual(PLAN);
});
