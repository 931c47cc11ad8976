import type { Redis } from 'ioredis';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { seedChains } from '../../../../src/redis/chain-store.js';
import { keysOf } from '../../../../src/redis/keys.js';
import { Seeder } from '../../../../src/worker/fleet/seeder.js';
import { ServerClock } from '../../../../src/worker/fleet/server-clock.js';
import { stopTime } from '../../../support/fake-time.js';
import { recordingLogger } from '../../../support/logger.js';

vi.mock(import('../../../../src/redis/chain-store.js'), async (original) => ({
  ...(await original()),
  seedChains: vi.fn(),
}));
vi.mock(import('../../../../src/redis/time.js'), async (original) => ({
  ...(await original()),
  serverTimeMs: async () => 1_000_000,
}));

const AUTOMATIC = { perpetual: { kind: 'perpetual', everyMs: 60_000, isAutomatic: true } } as const;
const SEEDED = { tasks: ['report'], errors: [] };

stopTime();
beforeEach(() => void vi.mocked(seedChains).mockReset().mockResolvedValue(SEEDED));

/** A seeder in a partition whose version of the strikes is `versions[0]`, and the next one each time that one is forgotten. */
function start(...versions: (string | Error | null)[]) {
  const { logger, lines } = recordingLogger('info');
  const ownVersion = {
    get: async () => {
      if (versions[0] instanceof Error) throw versions[0];
      return versions[0] ?? null;
    },
    forget: vi.fn(() => void versions.shift()),
  };
  const losses: (() => void)[] = [];
  const seeder = new Seeder({
    ...{ redis: {} as Redis, keys: keysOf('d'), clock: new ServerClock(), logger, executionTtlMs: 1_000, ownVersion },
    streams: { restore: async () => {}, onLost: (listener) => void losses.push(listener) },
    tasks: () => [
      { name: 'report', policies: AUTOMATIC },
      { name: 'moving', policies: AUTOMATIC },
      { name: 'plain', policies: {} },
    ],
    runningElsewhere: async () => new Set(['moving']),
  });
  seeder.start();
  onTestFinished(() => seeder.stop());
  return { ownVersion, lines, lose: () => losses.map((listener) => listener()) };
}

/** What was asked of Redis: the tasks, and at which version of the strikes. */
function asked() {
  return vi.mocked(seedChains).mock.calls.map(([, , seeds, { strikes, isStarting }]) => ({
    tasks: seeds.map(({ task }) => task),
    strikes,
    isStarting,
  }));
}

const FIRST = { tasks: ['report'], strikes: '5', isStarting: true };

test('a worker starts the chains of its automatic tasks, except those that come from another partition', async () => {
  const { lines } = start('5');
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toEqual([FIRST]);
  expect(lines).toMatchObject([{ level: 'info', fields: { tasks: ['report'] } }]);
});

test('it looks again every minute, and at once when Redis has lost the streams', async () => {
  const { lose } = start('5');
  await vi.advanceTimersByTimeAsync(75_000); // a minute, and a fifth more
  expect(asked()).toEqual([FIRST, { ...FIRST, isStarting: false }]);
  lose();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toHaveLength(3);
});

test('it asks for the version again when what it named is outdated', async () => {
  vi.mocked(seedChains).mockResolvedValueOnce(null);
  const { ownVersion, lines } = start('5', '6');
  await vi.advanceTimersByTimeAsync(0);
  expect(asked()).toEqual([FIRST, { ...FIRST, strikes: '6' }]);
  expect(ownVersion.forget).toHaveBeenCalledTimes(1);
  expect(lines).toMatchObject([{ fields: { tasks: ['report'] } }]);
});

test('it starts nothing while the version changes again and again, and tries once more after a second', async () => {
  vi.mocked(seedChains).mockResolvedValueOnce(null).mockResolvedValueOnce(null);
  const { lines } = start('5', '6');
  await vi.advanceTimersByTimeAsync(999);
  expect(asked()).toHaveLength(2);
  expect(lines).toMatchObject([{ level: 'warn' }]);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked().at(-1)).toEqual({ ...FIRST, strikes: '6' });
});

test('it starts nothing in a partition that was removed', async () => {
  vi.mocked(seedChains).mockResolvedValueOnce(null);
  const { lines } = start('5', new Error('this partition was removed'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked()).toEqual([FIRST]);
  expect(lines[0]).toMatchObject({ level: 'warn' });
});
