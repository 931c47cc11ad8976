/** How much the intake reads at a time, and what it does with that before it passes it on. */
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Token } from '../../../../src/redis/delivery-store.js';
import type { Entry } from '../../../../src/redis/entry.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { mayHaveLarge, readEntries } from '../../../../src/redis/stream-reader.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { ByteBudget } from '../../../../src/worker/intake/byte-budget.js';
import { Intake, type IntakeOptions } from '../../../../src/worker/intake/intake.js';
import { RoomShares } from '../../../../src/worker/intake/room-shares.js';
import { recordingLogger } from '../../../support/logger.js';
import { deferred, waitFor } from '../../../support/wait.js';
import { deliveryWith, entryOf } from '../deliveries.js';
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
 * Starts an intake in front of a backlog of so many normal entries. Returns the counts that it asks for of these.
 * `onRead` is called when a read is about to be answered, after the questions that were sent with it.
 */
function readBacklog(backlog: number, onRead = () => {}): number[] {
  const counts: number[] = [];
  let left = backlog;
  vi.mocked(readEntries).mockImplementation(async (_blocking, _keys, { count, blockMs, streams }) => {
    if (!streams!.includes('work')) return [];
    if (left <= 0) return blockMs === null ? [] : await new Promise<never>(() => {});
    counts.push(count);
    const entries = entriesOf(Math.min(left, count));
    left -= entries.length;
    for (let i = 0; i < 10; i++) await Promise.resolve();
    onRead();
    return entries;
  });
  startIntake();
  return counts;
}

function startIntake(parts: Partial<IntakeOptions> = {}): Intake {
  const client = Object.assign(new EventEmitter(), { status: 'ready', client: async () => 1, disconnect: () => {} });
  const { dispatcher = { room: 4_096, size: 10 } } = parts;
  const intake = new Intake({
    redis: client as unknown as Redis,
    link: linkOf(),
    blocking: client as unknown as Redis,
    keys: keysOf('d'),
    streams: { restore: async () => {}, onLost: () => {} },
    consumer: 'w:1',
    leaseMs: 10_000,
    logger: recordingLogger().logger,
    longestReadMs: 1_000,
    pauseGuard: { isDocketPaused: false },
    lookout: { isHearing: true, interruptions: 0, lookUp: async () => {} },
    dispatcher,
    roomShares: new RoomShares(dispatcher, 10),
    claimer: { claiming: new Set(), lastAnswerMs: 0, idle: async () => {} },
    byteBudget: smallOutcomes(),
    readClaims: { isWorthwhile: true, claim: () => null, noteRead: () => {}, fresh: () => new Set() },
    accept: () => {},
    ...parts,
  });
  intake.start();
  onTestFinished(() => void intake.stop()); // its last read never ends
  return intake;
}

const NEVER = new Promise<never>(() => {});

/** Has the next read bring one entry, and those after it nothing. */
function readOne(): Entry {
  const entry = entryOf();
  vi.mocked(readEntries).mockReset().mockResolvedValueOnce([entry]).mockReturnValue(NEVER);
  return entry;
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
  const counts = readBacklog(2_000, () => vi.advanceTimersByTime(100));
  await waitFor(() => counts.reduce((sum, count) => sum + count, 0) >= 2_000);
  expect(Math.max(...counts)).toBe(128);
});

test('an answer that has waited for this process says nothing about what was added meanwhile', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  vi.mocked(mayHaveLarge).mockImplementation(async () => {
    await Promise.resolve();
    vi.advanceTimersByTime(100);
    return false;
  });
  const counts = readBacklog(2_000);
  await waitFor(() => counts.reduce((sum, count) => sum + count, 0) >= 2_000);
  expect(Math.max(...counts)).toBe(128);
});

test('what was read keeps its lease while the answer to the claim behind it is missing, and is then claimed as usual', async () => {
  const entry = readOne();
  const accepted: [entries: readonly Entry[], claimed: number][] = [];
  const intake = startIntake({
    readClaims: {
      isWorthwhile: true,
      claim: () => NEVER,
      noteRead: () => {},
      fresh: (claim) => new Set(claim?.tokens),
    },
    accept: (entries, claimed) => accepted.push([entries, claimed.size]),
  });
  await waitFor(() => intake.unaccepted.length > 0 || accepted.length > 0);
  expect([intake.unaccepted, accepted]).toEqual([[entry], []]);
  await waitFor(() => accepted.length > 0);
  expect([intake.unaccepted, accepted]).toEqual([[], [[[entry], 0]]]);
});

test.each([
  ['looked up and claimed again when news was missed since the read was sent', 1, [true], 0],
  ['accepted as claimed when no news was missed', 0, [], 1],
])('what was claimed as it was read is %s', async (_, missed, looks, claimed) => {
  const { token } = readOne();
  const lookout = { isHearing: true, interruptions: 0 };
  const claim = deferred<{ tokens: (typeof token)[]; atMs: number }>();
  const looked: boolean[] = [];
  const accepted: number[] = [];
  startIntake({
    lookout: Object.assign(lookout, {
      lookUp: async (_: unknown, mayBeClaimed: boolean) => void looked.push(mayBeClaimed),
    }),
    readClaims: {
      isWorthwhile: true,
      claim: () => claim.promise,
      noteRead: () => {},
      fresh: (one) => new Set(one?.tokens),
    },
    accept: (_, { size }) => accepted.push(size),
  });
  lookout.interruptions += missed;
  claim.resolve({ tokens: [token], atMs: 0 });
  await waitFor(() => accepted.length > 0);
  expect([looked, accepted]).toEqual([looks, [claimed]]);
});

test('nothing is claimed with a read while what was read before is not claimed, because it would start first', async () => {
  const claim = vi.fn(() => null);
  const readClaims = { isWorthwhile: false, claim, noteRead: () => {}, fresh: () => new Set<Token>() };
  vi.mocked(readEntries).mockReset().mockReturnValue(NEVER);
  startIntake({ readClaims });
  await waitFor(() => vi.mocked(readEntries).mock.calls.length === 1);
  expect(claim).toHaveBeenCalledTimes(1);

  startIntake({ readClaims, claimer: { claiming: new Set([{} as Delivery]), lastAnswerMs: 0, idle: async () => {} } });
  await waitFor(() => vi.mocked(readEntries).mock.calls.length === 2);
  expect(claim).toHaveBeenCalledTimes(1);

  // In a backlog the next read is sent before the entries of the last one are accepted.
  vi.mocked(readEntries).mockImplementationOnce(async (_blocking, _keys, { count }) => entriesOf(count));
  startIntake({ readClaims });
  await waitFor(() => vi.mocked(readEntries).mock.calls.length === 4);
  expect(claim).toHaveBeenCalledTimes(2);
});

test('a read that may claim what it brings waits until what was read before is claimed', async () => {
  const claim = vi.fn(() => null);
  const readClaims = { isWorthwhile: true, claim, noteRead: () => {}, fresh: () => new Set<Token>() };
  const claiming = new Set<Delivery>();
  readOne();
  const intake = startIntake({
    readClaims,
    claimer: { claiming, lastAnswerMs: 0, idle: async () => {} },
    accept: () => void claiming.add({} as Delivery),
  });
  await waitFor(() => claiming.size > 0);
  await turn();
  expect(claim).toHaveBeenCalledTimes(1);

  claiming.clear();
  intake.wake();
  await waitFor(() => vi.mocked(readEntries).mock.calls.length === 2);
  expect(claim).toHaveBeenCalledTimes(2);
});

test('nothing is read while the docket is paused, which is no stall', async () => {
  readOne();
  const intake = startIntake({ pauseGuard: { isDocketPaused: true } });
  for (let i = 0; i < 10; i++) intake.wake();
  expect([vi.mocked(readEntries).mock.calls.length, intake.isTaking(0)]).toEqual([0, true]);
});

test('after a pause of the docket, the stream of what was given back is read alone until nothing more is there', async () => {
  const reads: { streams: string; count: number }[] = [];
  vi.mocked(readEntries)
    .mockReset()
    .mockImplementation(async (_blocking, _keys, { streams, count, blockMs }) => {
      reads.push({ streams: streams!.join(), count });
      if (blockMs !== null) return await NEVER;
      return entriesOf(reads.length < 3 ? count : 1);
    });
  const accepted: number[] = [];
  const pauseGuard = { isDocketPaused: true };
  const intake = startIntake({ pauseGuard, accept: (entries) => accepted.push(entries.length) });
  pauseGuard.isDocketPaused = false;
  intake.resume();
  await waitFor(() => reads.length === 4);
  expect(reads.map(({ streams }) => streams)).toEqual(['front', 'front', 'front', 'front,high,work,low']);
  expect(accepted).toEqual([reads[0]!.count, reads[1]!.count, 1]);
});

test('a read that finds nothing of high priority goes no further when the docket is paused meanwhile', async () => {
  const pauseGuard = { isDocketPaused: false };
  const streams: string[] = [];
  vi.mocked(mayHaveLarge).mockResolvedValue(true);
  vi.mocked(readEntries)
    .mockReset()
    .mockImplementation(async (_blocking, _keys, read) => {
      streams.push(read.streams!.join());
      if (read.streams!.includes('work')) return entriesOf(read.count); // so that there is a backlog
      pauseGuard.isDocketPaused = streams.length > 1;
      return [];
    });
  startIntake({ pauseGuard });
  await waitFor(() => pauseGuard.isDocketPaused);
  for (let i = 0; i < 10; i++) await turn();
  expect(streams).toEqual(['front,high,work,low', 'front,high']);
});
