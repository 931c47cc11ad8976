import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Outcome } from '../../../src/channel/protocol.js';
import { StopReason } from '../../../src/channel/slots.js';
import { monotonicMs } from '../../../src/core/clock.js';
import { depends } from '../../../src/tasks/dependencies.js';
import { retry } from '../../../src/tasks/policies.js';
import { task } from '../../../src/tasks/task.js';
import { Deadline } from '../../../src/thread/deadline.js';
import { decodeError } from '../../../src/wire/codec.js';
import { aborted, outcomesOf, setUp } from '../../support/executor.js';
import { deferred } from '../../support/wait.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function expectTimeout(outcome: Outcome | undefined, timeoutMs: number): void {
  expect(outcome?.kind).toBe('failed');
  expect(decodeError((outcome as Outcome & { kind: 'failed' }).error)).toMatchObject({
    code: 'DOCKET_TIMEOUT',
    message: `task 'slow' took longer than its timeout of ${timeoutMs} ms`,
  });
}

/** Starts one execution of the task named `slow`. */
function start(...args: Parameters<typeof setUp>) {
  const set = setUp(...args);
  const one = set.item('slow');
  const ending = set.run([one]).then((rest) => outcomesOf(rest, ...set.reported).get(one.row));
  return { ...set, ...one, ending };
}

test('the signal aborts with a TimeoutError when the time is over, and the attempt fails with that error', async () => {
  const reasons: unknown[] = [];
  const slow = task('slow', { timeout: 100 }, async (_args: {}, ctx) => {
    await aborted(ctx.signal);
    reasons.push(ctx.signal.reason);
    throw new DOMException('The operation was aborted', 'AbortError');
  });
  const { ending } = start([slow]);
  await pass(99);
  expect(reasons).toEqual([]);
  await pass(1);
  expectTimeout(await ending, 100);
  expect(reasons).toMatchObject([{ code: 'DOCKET_TIMEOUT' }]);
});

test('a body that returns after its deadline has failed', async () => {
  const { ending } = start([task('slow', { timeout: 100 }, () => sleep(101))]);
  await pass(200);
  expectTimeout(await ending, 100);
});

test('a body that ends in time completes, and leaves no timer', async () => {
  const { ending, slots, row } = start([task('slow', { timeout: 100 }, () => sleep(99))]);
  await pass(99);
  expect(await ending).toEqual({ kind: 'completed', result: null });
  expect(vi.getTimerCount()).toBe(0);
  expect(slots.deadline(row)).toBe(0);
});

test('an error that the body throws in time stays the error of the attempt', async () => {
  const slow = task('slow', { timeout: 100 }, async () => {
    await sleep(50);
    throw new Error('declined');
  });
  const { ending } = start([slow]);
  await pass(60);
  expect(await ending).toMatchObject({ kind: 'failed', line: 'Error: declined' });
});

test('an attempt that timed out is retried', async () => {
  const slow = task('slow', { timeout: 100, retry: retry({ delay: 5 }) }, () => sleep(500));
  const { ending } = start([slow]);
  await pass(500);
  expect(await ending).toEqual({
    kind: 'retry',
    due: { delayMs: 5 },
    line: "TimeoutError: task 'slow' took longer than its timeout of 100 ms",
  });
});

test('a busy loop sees that it must stop after its deadline', async () => {
  vi.useRealTimers();
  const seen: unknown[] = [];
  const slow = task('slow', { timeout: 5 }, (_args: {}, ctx) => {
    const startedMs = performance.now();
    while (!ctx.cancelled) if (performance.now() - startedMs > 5_000) throw new Error('never told');
    seen.push(ctx.signal.aborted);
    ctx.throwIfCancelled();
  });
  expectTimeout(await start([slow]).ending, 5);
  expect(seen).toEqual([true]);
});

test('a body that blocks the event loop beyond its deadline has failed', async () => {
  vi.useRealTimers();
  const slow = task('slow', { timeout: 5 }, () => {
    const startedMs = performance.now();
    while (performance.now() - startedMs < 8);
    return 'done';
  });
  expectTimeout(await start([slow]).ending, 5);
});

test('a deadline that was missed unnoticed stays missed when the next phase starts', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const deadline = new Deadline({ task: 'slow', timeoutMs: 100, announce: () => {}, onTimeout: () => {} });
  deadline.start();
  vi.advanceTimersByTime(101);
  deadline.start();
  deadline.stop();
  expect(deadline.timedOut).toMatchObject({ code: 'DOCKET_TIMEOUT' });
});

test('the row has the deadline while the body runs', async () => {
  const gate = deferred();
  const { ending, slots, row } = start([task('slow', { timeout: 100 }, () => gate.promise)]);
  expect(slots.deadline(row)).toBe(monotonicMs() + 100);
  gate.resolve();
  await ending;
});

test('a task without a timeout has no deadline, no timer and no ctx.timeout', async () => {
  const seen: unknown[] = [];
  const slow = task('slow', (_args: {}, ctx) => {
    seen.push(slots.deadline(0), vi.getTimerCount(), (ctx as { timeout?: unknown }).timeout);
  });
  const { slots, outcomeOf } = setUp([slow]);
  await outcomeOf('slow');
  expect(seen).toEqual([0, 0, undefined]);
});

test('the time can be extended by the whole timeout or by another duration', async () => {
  const left: number[] = [];
  const slow = task('slow', { timeout: 100 }, async (_args: {}, { timeout }) => {
    left.push(timeout.remaining());
    await sleep(90);
    timeout.extend();
    left.push(timeout.remaining());
    timeout.extend('1s');
    left.push(timeout.remaining());
    await sleep(1_050);
  });
  const { ending } = start([slow]);
  await pass(2_000);
  expect(await ending).toEqual({ kind: 'completed', result: null });
  expect(left.map(Math.round)).toEqual([100, 110, 1_110]);
});

test('the extended time ends as well, and the error has its total', async () => {
  const slow = task('slow', { timeout: 100 }, async (_args: {}, ctx) => {
    ctx.timeout.extend(50);
    await aborted(ctx.signal);
  });
  const { ending, slots, row } = start([slow]);
  expect(slots.deadline(row)).toBe(monotonicMs() + 150);
  await pass(149);
  expect(slots.deadline(row)).toBeGreaterThan(0);
  await pass(2);
  expectTimeout(await ending, 150);
});

test('a time that is over cannot be extended', async () => {
  const thrown: unknown[] = [];
  const slow = task('slow', { timeout: 100 }, async (_args: {}, { timeout }) => {
    await sleep(120);
    try {
      timeout.extend('1h');
    } catch (error) {
      thrown.push(error);
    }
    expect(timeout.remaining()).toBe(0);
  });
  const { ending } = start([slow]);
  await pass(200);
  expectTimeout(await ending, 100);
  expect(thrown).toMatchObject([{ code: 'DOCKET_TIMEOUT' }]);
});

test('extending the time after the end of the attempt has no effect', async () => {
  let extend = () => {};
  const slow = task('slow', { timeout: 100 }, (_args: {}, { timeout }) => {
    extend = () => timeout.extend('1h');
  });
  const { ending, slots, row } = start([slow]);
  await ending;
  extend();
  expect(slots.deadline(row)).toBe(0);
});

test('dependencies, body and clean-up each have the whole timeout', async () => {
  const slowly = depends(async function* () {
    await sleep(80);
    yield;
    await sleep(80);
  });
  const { ending } = start([task('slow', { timeout: 100, uses: { slowly } }, () => sleep(80))]);
  await pass(240);
  expect(await ending).toEqual({ kind: 'completed', result: null });
});

test('dependencies that take too long fail the attempt, and only the clean-up runs', async () => {
  const events: string[] = [];
  const slowly = depends(async function* () {
    await sleep(101);
    yield;
    events.push('closed');
  });
  const { ending } = start([task('slow', { timeout: 100, uses: { slowly } }, () => void events.push('body'))]);
  await pass(200);
  expectTimeout(await ending, 100);
  expect(events).toEqual(['closed']);
});

test('a clean-up that takes too long fails the attempt', async () => {
  const slowly = depends(async function* () {
    yield;
    await sleep(101);
  });
  const { ending } = start([task('slow', { timeout: 100, uses: { slowly } }, () => {})]);
  await pass(200);
  expectTimeout(await ending, 100);
});

test('the clean-up after a late body has time of its own', async () => {
  const deadlines: number[] = [];
  const slowly = depends(async function* () {
    yield;
    deadlines.push(slots.deadline(0) - monotonicMs());
    await sleep(90);
    deadlines.push(slots.deadline(0) - monotonicMs());
  });
  const { ending, slots } = start([task('slow', { timeout: 100, uses: { slowly } }, () => sleep(500))]);
  await pass(600);
  expectTimeout(await ending, 100);
  expect(deadlines.map(Math.round)).toEqual([100, 10]);
});

test('a clean-up that is late does not hide the error of the body', async () => {
  const slowly = depends(async function* () {
    yield;
    await sleep(101);
  });
  const slow = task('slow', { timeout: 100, uses: { slowly } }, () => {
    throw new Error('declined');
  });
  const { ending } = start([slow]);
  await pass(200);
  expect(await ending).toMatchObject({ kind: 'failed', line: 'Error: declined' });
});

test.each([
  ['cancelled', StopReason.cancelled, { kind: 'cancelled' }],
  ['interrupted', StopReason.interrupted, { kind: 'failed', line: expect.stringContaining('TimeoutError') }],
])('an attempt that took too long and was %s has the right outcome', async (_, reason, expected) => {
  const { ending, slots, row, epoch } = start([task('slow', { timeout: 100 }, () => sleep(150))]);
  await pass(120);
  slots.requestStop(row, epoch, reason);
  await pass(100);
  expect(await ending).toMatchObject(expected);
});

test('a timeout that is longer than timers can hold does not fire at once', async () => {
  const { ending } = start([task('slow', { timeout: '30d' }, (_args: {}, ctx) => aborted(ctx.signal))]);
  await pass(25 * 86_400_000);
  expect(vi.getTimerCount()).toBe(1);
  await pass(5 * 86_400_000);
  expectTimeout(await ending, 30 * 86_400_000);
});
