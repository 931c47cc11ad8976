import { setImmediate as turn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { renew, type Token } from '../../../../src/redis/delivery-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { Leases } from '../../../../src/worker/fleet/leases.js';
import { stopTime } from '../../../support/fake-time.js';
import { recordingLogger } from '../../../support/logger.js';
import { linkOf } from '../links.js';

vi.mock(import('../../../../src/redis/delivery-store.js'), async (original) => ({
  ...(await original()),
  renew: vi.fn(),
}));

const LEASE_MS = 9_000;
const KEYS = keysOf('d');

stopTime();
beforeEach(() => void vi.mocked(renew).mockReset().mockResolvedValue([]));

/** The leases of a worker that has these deliveries in hand; the test may change them. */
function start(...inHand: Token[]) {
  const deliveries = new Set(inHand);
  const restore = vi.fn(async () => {});
  const lost: Token[][] = [];
  const { logger, lines } = recordingLogger();
  const link = linkOf(undefined, LEASE_MS);
  const leases = new Leases({
    ...{ redis: {} as Redis, keys: KEYS, consumer: 'w:1', leaseMs: LEASE_MS, link, logger },
    streams: { restore, onLost: () => {} },
    inHand: () => [...deliveries].map((token) => ({ token })),
    onLost: (tokens) => lost.push([...tokens]),
  });
  leases.start();
  onTestFinished(() => leases.stop());
  return { deliveries, lost, lines, link, restore };
}

/** Moves the clock, and waits for what follows. */
async function elapse(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await turn(); // a renewal looks at what is in hand a turn after its answer
}

async function thirds(count: number): Promise<void> {
  for (let third = 0; third < count; third++) await elapse(LEASE_MS / 3);
}

/** How often leases were renewed. */
function renewals(): number {
  return vi.mocked(renew).mock.calls.length;
}

test('everything in hand is renewed three times per lease', async () => {
  const { deliveries } = start('w1-0');
  await thirds(3);
  expect(renewals()).toBe(3);
  deliveries.add('f2-0');
  await thirds(1);
  expect(vi.mocked(renew).mock.lastCall).toEqual([expect.anything(), KEYS, 'w:1', ['w1-0', 'f2-0']]);
});

test('nothing is sent while nothing is in hand', async () => {
  start();
  await thirds(3);
  expect(renewals()).toBe(0);
});

test('a lease that was lost is reported, unless its delivery was settled meanwhile', async () => {
  const { deliveries, lost, lines } = start('w1-0', 'w2-0', 'w3-0');
  vi.mocked(renew).mockImplementationOnce(async () => {
    deliveries.delete('w3-0');
    return ['w2-0', 'w3-0'];
  });
  await thirds(1);
  expect(lost).toEqual([['w2-0']]);
  expect(lines).toMatchObject([{ level: 'warn', fields: { count: 1 } }]);
});

test('a renewal that failed is made again after a second, and nothing is read before it succeeds', async () => {
  const { link, lines } = start('w1-0');
  vi.mocked(renew).mockRejectedValueOnce(new Error('READONLY'));
  await thirds(1);
  expect([renewals(), link.isUsable]).toEqual([1, false]);
  expect(lines).toHaveLength(1);
  await elapse(1_000);
  expect([renewals(), link.isUsable]).toEqual([2, true]);
});

test('streams that are gone are restored', async () => {
  const { restore } = start('w1-0');
  vi.mocked(renew).mockRejectedValueOnce(new Error('NOGROUP No such key'));
  await thirds(1);
  expect(restore).toHaveBeenCalledTimes(1);
});
