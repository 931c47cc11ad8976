import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { heartbeat, recall, type WorkerReport } from '../../../../src/redis/fleet-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import type { TaskManifest } from '../../../../src/tasks/manifest.js';
import { announcedPolicies } from '../../../../src/worker/fleet/announced-policies.js';
import { Heartbeat, type HeartbeatOptions } from '../../../../src/worker/fleet/heartbeat.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { recordingLogger } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';

vi.mock(import('../../../../src/redis/fleet-store.js'), async (original) => ({
  ...(await original()),
  heartbeat: vi.fn(),
  recall: vi.fn(),
}));

const ANSWER = { nowMs: 1, isAnyRecallable: false, nextInMs: null };

function serviceOf(given: Partial<HeartbeatOptions>): { readonly service: Heartbeat } {
  const service = new Heartbeat({
    redis: {} as Redis,
    keys: keysOf('d'),
    consumer: 'w:1',
    clock: new ServerClock(),
    logger: recordingLogger().logger,
    intervalMs: 1,
    missed: 5,
    report: () => ({ tasks: ['known'], canClaim: true }) as unknown as WorkerReport,
    tasks: () => TASKS,
    onSchedule: () => {},
    ...given,
  });
  onTestFinished(async () => {
    await service.stop();
    vi.clearAllMocks();
  });
  return { service };
}

const TASKS = [{ name: 'known', policies: { timeoutMs: 30_000 } }] as const;

test('a heartbeat has the policies of the tasks until they were written, and again when they change', async () => {
  const beats = vi.mocked(heartbeat).mockRejectedValueOnce(new Error('away')).mockResolvedValue(ANSWER);
  let tasks: readonly TaskManifest[] = TASKS;
  const { service } = serviceOf({ tasks: () => tasks });
  service.start();
  const announced = () => beats.mock.calls.map(([, , { policies }]) => policies);
  await waitFor(() => announced().length > 4);
  const told = { known: ['timeout 30s'] };
  expect(announced().slice(0, 4)).toEqual([told, told, undefined, undefined]);
  tasks = [...TASKS, { name: 'new', policies: {} }];
  await waitFor(() => announced().some((policies) => policies?.new));
  await waitFor(() => announced().at(-1) === undefined);
  expect(announced().filter((policies) => policies?.new)).toEqual([{ ...told, new: [] }]);
});

test('what a worker announces of policies is bounded', () => {
  const many = Array.from({ length: 2_000 }, (_, i) => ({ name: `task-${i}`, policies: { timeoutMs: 30_000 } }));
  const announced = announcedPolicies(many);
  expect(JSON.stringify(announced).length).toBeLessThan(64 * 1_024);
  expect(Object.keys(announced).length).toBeGreaterThan(1_000);
  expect(announced['task-0']).toEqual(['timeout 30s']);
});

test('a heartbeat recalls only when something waits to be recalled', async () => {
  const beats = vi.mocked(heartbeat).mockResolvedValue(ANSWER);
  const recalls = vi.mocked(recall).mockResolvedValue(false);
  const seen = new Set<number | null>();
  const { service } = serviceOf({ onSchedule: (nextInMs) => seen.add(nextInMs) });
  service.start();
  await waitFor(() => beats.mock.calls.length > 5);
  expect(recalls).not.toHaveBeenCalled();
  beats.mockResolvedValue({ nowMs: 2, isAnyRecallable: true, nextInMs: 5 });
  await waitFor(() => recalls.mock.calls.length > 0);
  expect(recalls.mock.calls[0]![2]).toEqual(['known']);
  expect([...seen]).toEqual([null, 5]); // it passes on when the schedule must be looked at
});
