/** When executions are claimed in the round trip that reads them, and when such a claim counts. */
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { monotonicMs } from '../../../../src/core/clock.js';
import { claimRead } from '../../../../src/redis/delivery-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { ReadClaims } from '../../../../src/worker/intake/read-claims.js';
import { entryOf } from '../deliveries.js';

vi.mock(import('../../../../src/redis/delivery-store.js'), async (original) => ({
  ...(await original()),
  claimRead: vi.fn(async () => ({ tokens: [], atMs: 0 })),
}));

beforeEach(() => {
  vi.mocked(claimRead).mockClear();
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => void vi.useRealTimers());

/** A clock of the server that was learned at 1,000 ms, from an answer that took so long. */
function clockOf(tookMs = 0): ServerClock {
  const clock = new ServerClock();
  const askedMs = monotonicMs();
  vi.advanceTimersByTime(tookMs);
  clock.learn(1_000, askedMs);
  return clock;
}

function setUp({ strikes = 0, pauses = 0, isLimited = false, clock = clockOf() } = {}) {
  return new ReadClaims({
    blocking: {} as Redis,
    keys: keysOf('d'),
    consumer: 'w:1',
    workerName: 'w',
    clock,
    strikeGuard: { size: strikes },
    pauseGuard: { size: pauses },
    attemptBudget: { isLimited },
  });
}

const lastClaim = () => vi.mocked(claimRead).mock.lastCall?.[2];

test('nothing is claimed before a task was met that needs nothing but a claim, nor half a minute after the last', async () => {
  const claims = setUp();
  expect(await claims.claim()).toBeNull();
  claims.remember('resize');
  expect(await claims.claim()).not.toBeNull();
  vi.advanceTimersByTime(30_001);
  expect(await claims.claim()).toBeNull();
  expect(claimRead).toHaveBeenCalledTimes(1);
});

test.each([
  ['there are strikes', { strikes: 1 }],
  ['there are pauses', { pauses: 1 }],
  ['keys may run only so often', { isLimited: true }],
])('nothing is claimed unseen while %s', async (_, options) => {
  const claims = setUp(options);
  claims.remember('resize');
  expect(await claims.claim()).toBeNull();
});

test('nothing is claimed for tasks that were forgotten, because their policies may have changed', async () => {
  const claims = setUp();
  claims.remember('resize');
  claims.forget();
  expect(await claims.claim()).toBeNull();
  claims.remember('resize');
  expect(await claims.claim()).not.toBeNull();
});

test('the names of the tasks that were met last travel, sixteen at most', async () => {
  const claims = setUp();
  for (let i = 0; i < 20; i++) claims.remember(`t${i}`);
  claims.remember('t4');
  await claims.claim();
  expect(lastClaim()?.tasks).toEqual([...Array.from({ length: 15 }, (_, i) => `t${i + 5}`), 't4']);
});

test('only entries behind those of earlier reads are claimed', async () => {
  const claims = setUp();
  claims.remember('resize');
  claims.noteRead([entryOf({ token: 'f99-0' }), entryOf({ token: 'w17-3' })]);
  claims.noteRead([entryOf({ token: 'f100-0' })]);
  await claims.claim();
  expect(lastClaim()?.from).toBe('17-4');
});

test('nothing is claimed behind a read of many entries: larger batches cost less', async () => {
  const claims = setUp();
  claims.remember('resize');
  claims.noteRead(Array.from({ length: 9 }, () => entryOf()));
  expect(await claims.claim()).toBeNull();
  claims.noteRead([]);
  expect(await claims.claim()).not.toBeNull();
});

test('a claim that failed leaves everything to be claimed as usual', async () => {
  const claims = setUp();
  claims.remember('resize');
  vi.mocked(claimRead).mockRejectedValueOnce(new Error('NOPERM'));
  expect(await claims.claim()).toBeNull();
});

test('a claim counts for 100 ms by the server’s clock, so that none counts that was made for a process that stood still', () => {
  const claims = setUp();
  const counting = (atMs: number) => claims.fresh({ tokens: ['w1-1'], atMs }).size;
  expect([899, 900, 1_000, 1_100, 1_101].map(counting)).toEqual([0, 1, 1, 1, 0]);
  expect(claims.fresh(null).size).toBe(0);
});

test('nor does a claim count while the clock of the server is known from an answer that a process read late', () => {
  const counting = (tookMs: number) => setUp({ clock: clockOf(tookMs) }).fresh({ tokens: ['w1-1'], atMs: 1_050 }).size;
  expect([0, 149, 151, 31_000].map(counting)).toEqual([1, 1, 0, 0]);
});
