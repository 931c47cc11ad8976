import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { keysOf } from '../../../../src/redis/keys.js';
import { moveDue } from '../../../../src/redis/schedule-store.js';
import { Scheduler } from '../../../../src/worker/fleet/scheduler.js';
import { stopTime } from '../../../support/fake-time.js';
import { recordingLogger } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';

vi.mock(import('../../../../src/redis/schedule-store.js'), async (original) => ({
  ...(await original()),
  moveDue: vi.fn(),
}));

function setUp(resolutionMs: number) {
  vi.mocked(moveDue).mockReset().mockResolvedValue({ count: 0, nextInMs: null, errors: [] });
  const subscriber = Object.assign(new EventEmitter(), { subscribe: async () => 1 });
  const keys = keysOf('d');
  const { logger } = recordingLogger();
  const scheduler = new Scheduler({
    ...{ redis: {} as Redis, subscriber: subscriber as unknown as Redis, keys, logger, resolutionMs },
  });
  onTestFinished(() => scheduler.stop());
  return { scheduler, wake: () => subscriber.emit('message', keys.wake, '1') };
}

test('the scheduler listens to the end of the worker once, however many turns it takes', async () => {
  const listened = vi.spyOn(AbortSignal.prototype, 'addEventListener');
  const combined = vi.spyOn(AbortSignal, 'any');
  onTestFinished(() => void vi.restoreAllMocks());
  const { scheduler } = setUp(1);
  scheduler.start();
  const lasting = listened.mock.contexts[0];
  await waitFor(() => vi.mocked(moveDue).mock.calls.length > 30);
  expect(listened.mock.contexts.filter((signal) => signal === lasting)).toHaveLength(1);
  expect(combined).not.toHaveBeenCalled();
});

test('the scheduler ends its sleep when it is woken, and when it is stopped', async () => {
  const { scheduler, wake } = setUp(3_600_000);
  scheduler.start();
  await waitFor(() => vi.mocked(moveDue).mock.calls.length >= 1);
  const before = vi.mocked(moveDue).mock.calls.length;
  wake();
  await waitFor(() => vi.mocked(moveDue).mock.calls.length > before);
  await expect(scheduler.stop()).resolves.toBeUndefined();
});

describe('a scheduler that hears of heartbeats', () => {
  stopTime();

  test('does not look at the schedule by itself', async () => {
    const { scheduler } = setUp(5_000);
    scheduler.start();
    await vi.advanceTimersByTimeAsync(1_000);
    const before = vi.mocked(moveDue).mock.calls.length;
    for (let beat = 0; beat < 10; beat++) {
      scheduler.learn(null);
      await vi.advanceTimersByTimeAsync(2_000);
    }
    expect(vi.mocked(moveDue).mock.calls.length).toBe(before);
    await vi.advanceTimersByTimeAsync(5_000); // without heartbeats it does
    expect(vi.mocked(moveDue).mock.calls.length).toBeGreaterThan(before);
  });

  test('moves what one of them has seen when it is due, although no wake-up came', async () => {
    const { scheduler } = setUp(3_600_000);
    scheduler.start();
    await vi.advanceTimersByTimeAsync(1_000);
    const before = vi.mocked(moveDue).mock.calls.length;
    scheduler.learn(700);
    await vi.advanceTimersByTimeAsync(699);
    expect(vi.mocked(moveDue).mock.calls.length).toBe(before);
    await vi.advanceTimersByTimeAsync(1);
    expect(vi.mocked(moveDue).mock.calls.length).toBe(before + 1);
  });

  test('keeps the wake-up that came during its own look', async () => {
    const { scheduler, wake } = setUp(3_600_000);
    vi.mocked(moveDue).mockImplementationOnce(async () => {
      wake();
      scheduler.learn(null);
      return { count: 0, nextInMs: null, errors: [] };
    });
    scheduler.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.mocked(moveDue).mock.calls.length).toBeGreaterThan(1);
  });
});
