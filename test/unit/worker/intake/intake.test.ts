/** How much the intake reads at a time. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Entry } from '../../../../src/redis/entry.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { mayHaveLarge, readEntries } from '../../../../src/redis/stream-reader.js';
import { ByteBudget } from '../../../../src/worker/intake/byte-budget.js';
import { Intake } from '../../../../src/worker/intake/intake.js';
import { recordingLogger } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';
import { deliveryWith } from '../deliveries.js';
import { linkOf } from '../links.js';

vi.mock(import('../../../../src/redis/stream-reader.js'), async (original) => ({
  ...(await original()),
  mayHaveLarge: vi.fn(),
  readEntries: vi.fn(),
}));

function entriesOf(count: number): Entry[] {
  const { entry } = deliveryWith({ record: 'k' });
  return Array.from({ length: count }, () => ({ ...entry, message: Buffer.alloc(100) }));
}

/** A budget that knows that outcomes are small. */
function smallOutcomes(): ByteBudget {
  const budget = new ByteBudget(() => 0);
  for (let i = 0; i < 200; i++) budget.addOutcome(0);
  return budget;
}

/**
 * Starts an intake in front of a backlog of so many entries. Returns the counts that it asks for. `onRead` is called when
 * a read is about to be answered, after the questions that were sent with it.
 */
function readBacklog(backlog: number, onRead = () => {}): number[] {
  const counts: number[] = [];
  let left = backlog;
  vi.mocked(readEntries).mockImplementation(async (_blocking, _keys, { count }) => {
    if (left <= 0) return await new Promise<never>(() => {});
    counts.push(count);
    const entries = entriesOf(Math.min(left, count));
    left -= entries.length;
    for (let i = 0; i < 10; i++) await Promise.resolve();
    onRead();
    return entries;
  });
  const client = Object.assign(new EventEmitter(), { status: 'ready', client: async () => 1, disconnect: () => {} });
  const intake = new Intake({
    redis: client as unknown as Redis,
    link: linkOf(),
    blocking: client as unknown as Redis,
    keys: keysOf('d'),
    consumer: 'w:1',
    leaseMs: 10_000,
    logger: recordingLogger().logger,
    longestReadMs: 1_000,
    concurrency: 10,
    lookout: { isHearing: true, lookUp: async () => {} },
    dispatcher: { room: 4_096, size: 10 },
    claimer: { claiming: new Set(), lastAnswerMs: 0, idle: async () => {} },
    byteBudget: smallOutcomes(),
    readClaims: { claim: async () => null, noteRead: () => {}, fresh: () => new Set() },
    accept: () => {},
  });
  intake.start();
  onTestFinished(() => void intake.stop()); // its last read never ends
  return counts;
}

test('a backlog of small messages is read in long reads', async () => {
  vi.mocked(mayHaveLarge).mockResolvedValue(false);
  const counts = readBacklog(20_000);
  await waitFor(() => counts.includes(1_024));
  expect(counts.slice(0, 3)).toEqual([16, 32, 64]); // their size is unknown at first
});

test('while large messages may be on the streams, each read is short', async () => {
  vi.mocked(mayHaveLarge).mockResolvedValue(true);
  const counts = readBacklog(2_000);
  await waitFor(() => counts.reduce((sum, count) => sum + count, 0) >= 2_000);
  expect(Math.max(...counts)).toBe(128);
});

test('Redis is asked with a read of a backlog, for the next one, and not where there is none', async () => {
  vi.mocked(mayHaveLarge).mockClear().mockResolvedValue(false);
  const counts = readBacklog(10);
  await waitFor(() => counts.length === 1);
  expect(mayHaveLarge).not.toHaveBeenCalled();
  const more = readBacklog(32 + 1_000);
  await waitFor(() => more.reduce((sum, count) => sum + count, 0) >= 32 + 1_000);
  expect(vi.mocked(mayHaveLarge).mock.calls.length).toBeGreaterThanOrEqual(more.length - 1); // not with the first one
});

test("a read that comes long after Redis' word that nothing is large is short", async () => {
  vi.mocked(mayHaveLarge).mockResolvedValue(false);
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const counts = readBacklog(2_000, () => vi.advanceTimersByTime(50));
  await waitFor(() => counts.reduce((sum, count) => sum + count, 0) >= 2_000);
  expect(Math.max(...counts)).toBe(128);
});
