import type { Redis } from 'ioredis';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { monotonicMs } from '../../../../src/core/clock.js';
import { redeliver } from '../../../../src/redis/delivery-store.js';
import { liveLeases } from '../../../../src/redis/fleet-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { beginSweep, findExpired, forgetDeadConsumers, mendLost } from '../../../../src/redis/sweep-store.js';
import { Reclaimer } from '../../../../src/worker/fleet/reclaimer.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { recordingLogger } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';
import { fakeConnection, linkOf } from '../links.js';

vi.mock(import('../../../../src/redis/delivery-store.js'), async (original) => ({
  ...(await original()),
  redeliver: vi.fn(),
}));
vi.mock(import('../../../../src/redis/fleet-store.js'), async (original) => ({
  ...(await original()),
  liveLeases: vi.fn(),
}));
vi.mock(import('../../../../src/redis/sweep-store.js'), async (original) => ({
  ...(await original()),
  beginSweep: vi.fn(),
  findExpired: vi.fn(),
  forgetDeadConsumers: vi.fn(),
  mendLost: vi.fn(),
}));

const LEASE_MS = 60;
/** Long enough for many sweeps. */
const RECONNECTION_MS = 400;

/** How far the server's clock was set forward. */
let leapMs: number;

beforeEach(() => {
  leapMs = 0;
  vi.mocked(beginSweep)
    .mockReset()
    .mockImplementation(async () => ({ cursor: '0', nowMs: monotonicMs() + leapMs }));
  vi.mocked(liveLeases).mockReset().mockResolvedValue(new Map());
  vi.mocked(findExpired)
    .mockReset()
    .mockResolvedValue({ expired: [{ token: 'w1-1', consumer: 'gone' }], next: null });
  vi.mocked(forgetDeadConsumers).mockReset().mockResolvedValue();
  vi.mocked(mendLost).mockReset().mockResolvedValue({ next: null, known: 0, unknown: 0, first: null });
  vi.mocked(redeliver).mockReset().mockResolvedValue(0);
});

function start() {
  const connection = fakeConnection();
  const reclaimer = new Reclaimer({
    redis: {} as Redis,
    link: linkOf(connection, LEASE_MS),
    keys: keysOf('d'),
    streams: { restore: async () => {}, onLost: () => {} },
    leaseMs: LEASE_MS,
    clock: new ServerClock(LEASE_MS / 3),
    logger: recordingLogger().logger,
    reconnectionMs: RECONNECTION_MS,
    inHand: () => [],
  });
  reclaimer.start();
  onTestFinished(() => reclaimer.stop());
  return { connection };
}

/** Resolves when something is redelivered again. Returns how many milliseconds that took. */
async function untilRedelivered(): Promise<number> {
  const sinceMs = monotonicMs();
  const before = vi.mocked(redeliver).mock.calls.length;
  await waitFor(() => vi.mocked(redeliver).mock.calls.length > before);
  return monotonicMs() - sinceMs;
}

test('expired deliveries are redelivered', async () => {
  start();
  await untilRedelivered();
  expect(redeliver).toHaveBeenCalledWith(expect.anything(), expect.anything(), LEASE_MS, ['w1-1']);
});

test('after an outage nothing is redelivered until others had the time to reconnect and renew', async () => {
  const { connection } = start();
  await untilRedelivered();
  connection.emit('close');
  connection.emit('ready');
  expect(await untilRedelivered()).toBeGreaterThan(RECONNECTION_MS);
});

test('when the clock of the server was set forward nothing is redelivered until others had the time to renew', async () => {
  start();
  await untilRedelivered();
  leapMs = 3_600_000;
  expect(await untilRedelivered()).toBeGreaterThan(RECONNECTION_MS);
});

test('after sweeps that failed nothing is redelivered until others had the time to renew', async () => {
  start();
  await untilRedelivered();
  vi.mocked(beginSweep).mockRejectedValueOnce(new Error('NOREPLICAS')); // the next one
  const sweeps = vi.mocked(beginSweep).mock.calls.length;
  await waitFor(() => vi.mocked(beginSweep).mock.calls.length > sweeps);
  expect(await untilRedelivered()).toBeGreaterThan(RECONNECTION_MS);
});
