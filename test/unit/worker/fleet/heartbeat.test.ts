import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { heartbeat, recall, type WorkerReport } from '../../../../src/redis/fleet-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { Heartbeat } from '../../../../src/worker/fleet/heartbeat.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { recordingLogger } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';

vi.mock(import('../../../../src/redis/fleet-store.js'), async (original) => ({
  ...(await original()),
  heartbeat: vi.fn(),
  recall: vi.fn(),
}));

test('a heartbeat recalls only when something waits to be recalled', async () => {
  const beats = vi.mocked(heartbeat).mockResolvedValue({ nowMs: 1, isAnyRecallable: false, nextInMs: null });
  const recalls = vi.mocked(recall).mockResolvedValue(false);
  const seen = new Set<number | null>();
  const service = new Heartbeat({
    redis: {} as Redis,
    keys: keysOf('d'),
    consumer: 'w:1',
    clock: new ServerClock(),
    logger: recordingLogger().logger,
    intervalMs: 1,
    missed: 5,
    report: () => ({ tasks: ['known'], canClaim: true }) as unknown as WorkerReport,
    onSchedule: (nextInMs) => seen.add(nextInMs),
  });
  onTestFinished(() => service.stop());
  service.start();
  await waitFor(() => beats.mock.calls.length > 5);
  expect(recalls).not.toHaveBeenCalled();
  beats.mockResolvedValue({ nowMs: 2, isAnyRecallable: true, nextInMs: 5 });
  await waitFor(() => recalls.mock.calls.length > 0);
  expect(recalls.mock.calls[0]![2]).toEqual(['known']);
  expect([...seen]).toEqual([null, 5]); // it passes on when the schedule must be looked at
});
