/** When a wait for a result looks at the record. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { waitForResult } from '../../../src/client/result-wait.js';
import { type ExecutionRecord, NO_PROGRESS } from '../../../src/redis/record.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const ENDED: ExecutionRecord = {
  generation: 1,
  task: 'task',
  state: 'completed',
  dueMs: 0,
  startedMs: 0,
  completedMs: 0,
  attempt: 1,
  worker: 'w',
  errorLine: null,
  result: null,
  error: null,
  progress: NO_PROGRESS,
  readUs: 0,
  waitingFor: null,
  message: null,
};

/** Begins a wait for an execution that has ended, of which no event comes. Returns the looks, and the result. */
function waitWithoutEvents(hasHeardAll: boolean) {
  const look = vi.fn(async () => ENDED);
  const source = {
    closed: new AbortController().signal,
    look,
    watch: async () => () => {},
    hasHeardAll: () => hasHeardAll,
  };
  const result = waitForResult({
    source: () => source,
    key: 'k',
    generation: 1,
    waitMs: null,
    signal: undefined,
    task: () => 'task',
    hasArguments: () => true,
    read: async () => ENDED,
    take: ({ state }) => state,
  });
  return { look, result };
}

test('a wait looks at the record as soon as it listens', async () => {
  const { look, result } = waitWithoutEvents(false);
  expect(await result).toBe('completed');
  expect(look).toHaveBeenCalledTimes(1);
});

test('a wait that has heard everything so far looks when there has been no event for 50 ms', async () => {
  const { look, result } = waitWithoutEvents(true);
  await vi.advanceTimersByTimeAsync(49);
  expect(look).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(await result).toBe('completed');
});
