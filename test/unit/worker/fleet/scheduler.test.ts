import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { keysOf } from '../../../../src/redis/keys.js';
import { moveDue } from '../../../../src/redis/schedule-store.js';
import { Scheduler } from '../../../../src/worker/fleet/scheduler.js';
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
