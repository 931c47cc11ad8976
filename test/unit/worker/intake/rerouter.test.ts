import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { keysOf } from '../../../../src/redis/keys.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { encodeEnvelope, PLAIN_VERSION, WIRE_VERSION } from '../../../../src/wire/envelope.js';
import { type Delivery, deliveryOf } from '../../../../src/worker/delivery.js';
import { FloodLog } from '../../../../src/worker/flood-log.js';
import { Rerouter } from '../../../../src/worker/intake/rerouter.js';
import type { Reroute } from '../../../../src/worker/settle/settlements.js';
import { recordingLogger } from '../../../support/logger.js';
import { deferred } from '../../../support/wait.js';
import { NO_PIPELINE } from '../deliveries.js';

const SELF = 'self:1';
const KEYS = keysOf('d');
const NOW_MS = 1_700_000_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The list of workers as Redis would answer: what each announces, and until when it lives. */
class FakeRedis {
  readonly workers = new Map<string, { untilMs: number; tasks: string; fallback?: string }>();
  /** What answers wait for. */
  gate: Promise<void> = Promise.resolve();
  questions = 0;

  announce(consumer: string, tasks: readonly string[], untilMs = NOW_MS + 1_000): void {
    this.workers.set(KEYS.worker(consumer), { untilMs, tasks: JSON.stringify(tasks) });
  }

  async time(): Promise<[string, string]> {
    this.questions += 1;
    await this.gate;
    return [String(NOW_MS / 1_000), '0'];
  }

  async zrangebyscore(_key: string, minimum: string): Promise<string[]> {
    const live = [...this.workers].filter(([, { untilMs }]) => untilMs > Number(minimum.slice(1)));
    return live.flatMap(([key, { untilMs }]) => [key.slice(KEYS.worker('').length), String(untilMs)]);
  }

  async hmget(key: string, ...fields: readonly string[]): Promise<(string | null)[]> {
    const { tasks, fallback = '0' } = this.workers.get(key) ?? {};
    const report: Record<string, string> = tasks === undefined ? {} : { name: 'other', tasks, fallback };
    return fields.map((field) => report[field] ?? null);
  }
}

function setUp() {
  const redis = new FakeRedis();
  const { logger, lines } = recordingLogger();
  const floodLog = new FloodLog(logger);
  const written: [delivery: Delivery, how: Reroute][] = [];
  const reroutes = new Rerouter({
    redis: redis as unknown as Redis,
    keys: KEYS,
    consumer: SELF,
    logger,
    floodLog,
    reroute: (delivery, how) => written.push([delivery, how]),
  });
  /** For how long one is put back. */
  const delayOf = async (delivery: Delivery): Promise<number | undefined> => {
    await reroutes.add(delivery);
    return written.at(-1)?.[1].delayMs;
  };
  return { redis, lines, written, reroutes, delayOf, floodLog };
}

function delivery(task: string, reroutes = 0, version = PLAIN_VERSION): Delivery {
  const message = encodeEnvelope(encoderFor({}, 'args'), task, 0, 'id', {});
  message[1] = version;
  const counts = {
    deliveries: 0,
    charges: 0,
    reroutes,
    admissionStage: 'new' as const,
    holdsPermits: false,
    hasBooking: false,
  };
  return deliveryOf({ token: 'w1-1', record: null, message, dueMs: 1, ...counts }, () => null, NO_PIPELINE);
}

describe('what nobody here can run', () => {
  test('waits for some ms when another live worker has the task: twice as long each time, up to 1 s', async () => {
    const { redis, delayOf, written } = setUp();
    redis.announce('old:1', ['other']);
    redis.announce('new:1', ['other', 'resize']);
    for (const [reroutes, longestMs] of [
      [0, 20],
      [1, 40],
      [5, 640],
      [6, 1_000],
      [5_000, 1_000],
    ] as const) {
      const delays = [];
      for (let n = 0; n < 50; n++) delays.push((await delayOf(delivery('resize', reroutes)))!);
      expect(Math.max(...delays)).toBeLessThanOrEqual(longestMs);
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(longestMs / 2);
      expect(new Set(delays).size).toBeGreaterThan(3); // not in step with anything
    }
    expect(written.every(([, { isRecallable }]) => !isRecallable)).toBe(true);
  });

  test('waits for some ms when another live worker has a fallback', async () => {
    const { redis, delayOf } = setUp();
    redis.workers.set(KEYS.worker('any:1'), { untilMs: NOW_MS + 1_000, tasks: '[]', fallback: '1' });
    expect(await delayOf(delivery('resize'))).toBeLessThanOrEqual(20);
  });

  test('can be recalled when no live worker has its task, but not when a thread here refused it or cannot read it', async () => {
    const { redis, reroutes, written } = setUp();
    await reroutes.add(delivery('resize'));
    await reroutes.add(delivery('resize'), true);
    await reroutes.add(delivery('resize', 0, WIRE_VERSION + 1));
    redis.gate = Promise.reject(new Error('the link is down'));
    await reroutes.add(delivery('resize'));
    expect(written.map(([, { isRecallable }]) => isRecallable)).toEqual([true, false, false, true]);
  });

  test.each([
    ['nobody knows it', [['other:1', ['resize-all', 'resi'], NOW_MS + 1_000]]],
    ['only a dead worker knew it', [['dead:1', ['resize'], NOW_MS - 1]]],
    ['only this worker announces it', [[SELF, ['resize'], NOW_MS + 1_000]]],
    ['nobody is there', []],
  ] as const)('waits 10 s when %s', async (_, announced) => {
    const { redis, delayOf } = setUp();
    for (const [consumer, tasks, untilMs] of announced) redis.announce(consumer, tasks, untilMs);
    expect(await delayOf(delivery('resize'))).toBe(10_000);
  });

  test('waits twice as long each time, up to 5 min', async () => {
    const { delayOf } = setUp();
    const delays: unknown[] = [];
    for (const reroutes of [0, 1, 2, 3, 4, 5, 6, 5_000]) delays.push(await delayOf(delivery('resize', reroutes)));
    expect(delays).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  });

  test('waits as if nobody knew it when the question fails', async () => {
    const { redis, delayOf } = setUp();
    redis.announce('new:1', ['resize']);
    redis.gate = Promise.reject(new Error('the link is down'));
    expect(await delayOf(delivery('resize', 1))).toBe(20_000);
    redis.gate = Promise.resolve();
    expect(await delayOf(delivery('resize', 1))).toBeLessThanOrEqual(40);
  });

  test('is as good as unknown to a worker whose announcement cannot be read', async () => {
    const { redis, delayOf } = setUp();
    redis.workers.set(KEYS.worker('odd:1'), { untilMs: NOW_MS + 1_000, tasks: 'not JSON' });
    expect(await delayOf(delivery('resize'))).toBe(10_000);
  });

  test('is logged ten times in ten seconds, and then how many more were rerouted', async () => {
    const { lines, delayOf, floodLog } = setUp();
    for (let n = 0; n < 1_000; n++) await delayOf(delivery('resize'));
    expect(lines).toHaveLength(10);
    floodLog.endPeriod();
    expect(lines.slice(10)).toEqual([
      {
        level: 'warn',
        message: 'resize was rerouted 990 more times in 10 seconds',
        fields: { task: 'resize', count: 990 },
      },
    ]);
  });

  test('is named in the log, with the delay and the reason', async () => {
    const { redis, lines, delayOf } = setUp();
    await delayOf(delivery('resize', 1));
    await delayOf(delivery('resize', 0, WIRE_VERSION + 1));
    redis.announce('new:1', ['crop']);
    const delayMs = await delayOf(delivery('crop'));
    redis.gate = Promise.reject(new Error('the link is down'));
    await delayOf(delivery('crop'));
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'resize is rerouted for 20 s: no such task is loaded here, and no live worker has it',
        fields: { task: 'resize', key: 'id', reroutes: 1 },
      },
      {
        level: 'warn',
        message: `resize is rerouted for 10 s: its message is of a newer version (${WIRE_VERSION + 1})`,
        fields: { task: 'resize', key: 'id', reroutes: 0 },
      },
      {
        level: 'info',
        message: `crop is rerouted for ${delayMs} ms: no such task is loaded here, but another live worker has it`,
        fields: { task: 'crop', key: 'id', reroutes: 0 },
      },
      {
        level: 'warn',
        message: 'crop is rerouted for 10 s: no such task is loaded here',
        fields: { task: 'crop', key: 'id', reroutes: 0 },
      },
    ]);
  });
});

describe('while it is asked who knows a task', () => {
  test('what waits for the answer is held, and nothing is written', async () => {
    const { redis, reroutes, written } = setUp();
    const asking = deferred();
    redis.gate = asking.promise;
    const [first, second] = [delivery('resize'), delivery('crop')];
    const added = Promise.all([reroutes.add(first), reroutes.add(second)]);
    expect([...reroutes.deliveries]).toEqual([first, second]);
    expect(written).toEqual([]);
    asking.resolve();
    await added;
    expect(reroutes.deliveries.size).toBe(0);
    expect(written.map(([one]) => one)).toEqual([first, second]);
  });

  test('it is asked once for all that wait, and anew for what comes later', async () => {
    const { redis, reroutes, written } = setUp();
    const asking = deferred();
    redis.gate = asking.promise;
    const adding = [0, 1, 2].map((times) => reroutes.add(delivery('resize', times)));
    adding.push(reroutes.add(delivery('crop')));
    expect(redis.questions).toBe(2);
    redis.announce('new:1', ['resize']);
    asking.resolve();
    await Promise.all(adding);
    expect(written.map(([{ envelope }, { delayMs }]) => [envelope.task, delayMs <= 1_000])).toEqual(
      expect.arrayContaining([
        ['resize', true],
        ['resize', true],
        ['resize', true],
        ['crop', false],
      ]),
    );
    redis.workers.clear();
    await reroutes.add(delivery('resize'));
    expect(redis.questions).toBe(3);
    expect(written.at(-1)![1].delayMs).toBe(10_000);
  });
});
