/** When the outcomes of several turns of a thread's event loop travel in one message. */
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, expect, test, vi } from 'vitest';
import type { TaskContext } from '../../../src/tasks/context.js';
import { task } from '../../../src/tasks/task.js';
import { outcomesOf, setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

/** The callbacks of the executor's timers, which the tests call. */
const timers = vi.hoisted((): (() => void)[] => []);

vi.mock(import('node:timers'), async (original) => {
  const real = await original();
  const setTimeout = ((callback: () => void) => timers.push(callback)) as unknown as typeof real.setTimeout;
  return { ...real, setTimeout, default: { ...real, setTimeout } };
});

beforeEach(() => void timers.splice(0));

/** Runs as many items as given, eight at once unless told; the test ends each of them. */
function running(
  count: number,
  resultOf: (n: number, context: TaskContext) => unknown = () => undefined,
  concurrency = 8,
) {
  const gates = Array.from({ length: count }, () => deferred());
  const wait = task('wait', async ({ n }: { n: number }, context) => {
    await gates[n]!.promise;
    return resultOf(n, context);
  });
  const { run, item, reported } = setUp([wait], { concurrency });
  const over = run(gates.map((_, n) => ({ ...item('wait', { n }, 1_000), record: `key-${n}` })));
  const end = async (n: number) => {
    gates[n]!.resolve();
    for (let i = 0; i < 3; i++) await turn();
  };
  const rowsReported = () => reported.map((batch) => [...outcomesOf(batch).keys()]);
  return { end, rowsReported, over };
}

test('outcomes without a result are collected over several turns while enough items wait', async () => {
  const { end, rowsReported } = running(20);
  await end(0);
  await end(1);
  expect([rowsReported(), timers.length]).toEqual([[], 1]);
  timers[0]!();
  expect(rowsReported()).toEqual([[0, 1]]);
  await end(2);
  expect([rowsReported(), timers.length]).toEqual([[[0, 1]], 2]);
});

test('what was collected is reported once too few items wait', async () => {
  const { end, rowsReported } = running(11);
  await end(0);
  await end(1);
  expect(rowsReported()).toEqual([]);
  await end(2);
  expect(rowsReported()).toEqual([[0, 1, 2]]);
});

test('a result is reported in its turn, with all that was collected', async () => {
  const { end, rowsReported } = running(20, (n) => (n === 1 ? 'result' : undefined));
  await end(0);
  expect(rowsReported()).toEqual([]);
  await end(1);
  expect(rowsReported()).toEqual([[0, 1]]);
});

test('a last progress message is reported in its turn, because the slot table does not have it', async () => {
  const { end, rowsReported } = running(20, (n, { progress }) => {
    if (n !== 1) return;
    progress.setMessage('sent at once');
    progress.setMessage('the last one');
  });
  await end(0);
  expect(rowsReported()).toEqual([]);
  await end(1);
  expect(rowsReported()).toEqual([[0, 1]]);
});

test('a thread with one place collects nothing over several turns', async () => {
  const { end, rowsReported } = running(20, undefined, 1);
  await end(0);
  await end(1);
  expect([rowsReported(), timers]).toEqual([[[0], [1]], []]);
});

test('what ends last is reported at once', async () => {
  const { end, over } = running(2);
  await end(0);
  await end(1);
  expect([...outcomesOf(await over).keys()]).toEqual([1]);
  expect(timers).toEqual([]);
});
