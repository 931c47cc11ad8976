import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SlotState } from '../../../src/channel/slots.js';
import type { Progress } from '../../../src/tasks/progress.js';
import { task } from '../../../src/tasks/task.js';
import { setUp } from '../../support/executor.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'hrtime', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Runs a body and returns the messages sent while it ran, those that came with the outcome, and the row. */
async function run(body: (progress: Progress) => unknown, ttlMs = 60_000) {
  const {
    run: runChunk,
    item,
    slots,
    messages,
  } = setUp([task('report', (_args: {}, ctx) => body(ctx.progress) as void)]);
  const one = { ...item('report', {}, ttlMs), record: 'k' };
  const batch = await runChunk([one]);
  const sent = messages.map(({ message }) => message);
  return { slots, row: one.row, sent, last: batch.messages?.map(({ message }) => message) };
}

test('an increment is in the slot table at once', async () => {
  const { slots, row, sent, last } = await run((progress) => {
    expect(progress).toMatchObject({ current: 0, total: 100, message: null });
    progress.setTotal(7);
    progress.increment();
    progress.increment(2);
    expect(progress).toMatchObject({ current: 3, total: 7, message: null });
  });
  expect([slots.current(row), slots.total(row), slots.state(row)]).toEqual([3, 7, SlotState.completedSilently]);
  expect([sent, last]).toEqual([[], undefined]);
});

test('messages are sent at most ten times a second, and the last one with the outcome', async () => {
  const { sent, last, slots, row } = await run((progress) => {
    for (let n = 0; n < 25; n++) {
      progress.setMessage(`at ${10 * n}`);
      vi.advanceTimersByTime(10);
    }
  });
  expect(sent).toEqual(['at 0', 'at 90', 'at 190']);
  expect(last).toEqual(['at 240']);
  expect(slots.state(row)).toBe(SlotState.finished); // not `returned`, so that the coordinator waits for the message
});

test('a message that had to wait is sent by a busy loop that only increments', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'hrtime'] }); // no timer fires in a busy loop
  const { sent } = await run((progress) => {
    progress.setMessage('first');
    progress.setMessage('second');
    for (let n = 0; n < 12; n++) {
      vi.advanceTimersByTime(9);
      progress.increment();
      expect(progress.current).toBe(n + 1);
    }
  });
  expect(sent).toEqual(['first', 'second']);
});

test('a message that was removed ends as null', async () => {
  const { sent, last } = await run((progress) => {
    progress.setMessage('something');
    progress.setMessage(null);
  });
  expect([sent, last]).toEqual([['something'], [null]]);
});

test('nothing is written or sent once the attempt is over', async () => {
  let kept: Progress | undefined;
  const { slots, row, sent } = await run((progress) => {
    kept = progress;
    progress.setMessage('one');
    progress.setMessage('two');
  });
  kept!.increment();
  kept!.setTotal(3);
  kept!.setMessage('three');
  vi.advanceTimersByTime(1_000);
  expect([slots.current(row), slots.total(row), sent]).toEqual([0, 100, ['one']]);
  expect(kept).toMatchObject({ current: 0, total: 100, message: 'two' });
});

test('progress that is first used after the attempt is over writes nothing, because its row is another execution’s', async () => {
  let kept: { readonly progress: Progress } | undefined;
  const leaves = task('leaves', (_args: {}, ctx) => {
    kept = ctx;
  });
  const { run, item, slots, messages } = setUp([leaves]);
  const one = { ...item('leaves', {}, 60_000), record: 'k' };
  await run([one]);
  slots.free(one.row);
  slots.begin(one.row, slots.ship(one.row), 0);
  kept!.progress.setTotal(7_777);
  kept!.progress.increment(4_242);
  kept!.progress.setMessage('late');
  expect([slots.current(one.row), slots.total(one.row), messages]).toEqual([0, 100, []]);
  expect(kept!.progress).toMatchObject({ current: 0, total: 100, message: null });
});

test('messages of an execution that keeps no state are not sent', async () => {
  const { slots, row, sent, last } = await run((progress) => {
    progress.setMessage('one');
    expect(progress.message).toBe('one');
  }, 0);
  expect([sent, last, slots.state(row)]).toEqual([[], undefined, SlotState.completedSilently]);
});

test('a task that reports no progress leaves no message', async () => {
  const { slots, row, last } = await run(() => {});
  expect([slots.state(row), last]).toEqual([SlotState.completedSilently, undefined]);
});
