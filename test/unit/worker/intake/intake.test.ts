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

/** Starts an intake in front of a backlog of so many entries. Returns the counts that it asks for. */
function readBacklog(backlog: number, byteBudget = smallOutcomes()): number[] {
  const counts: number[] = [];
  let left = backlog;
  vi.mocked(readEntries).mockImplementation(async (_blocking, _keys, { count }) => {
    if (left <= 0) return await new Promise<never>(() => {});
    counts.push(count);
    const entries = entriesOf(Math.min(left, count));
    left -= entries.length;
    return entries;
  });
  const client = Object.assign(new EventEmitter(), { status: 'ready', client: async () => 1 });
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
    byteBudget,
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

test('a read that finds no room any more asks for one entry, not for all', async () => {
  vi.mocked(mayHaveLarge).mockResolvedValue(false);
  const budget = smallOutcomes();
  vi.spyOn(budget, 'roomForSmall').mockReturnValue(0); // outcomes came while Redis was asked
  const counts = readBacklog(50, budget);
  await waitFor(() => counts.length >= 3);
  expect(counts.slice(1)).not.toContain(0);
  expect(counts[1]).toBe(1);
});
