import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { keysOf } from '../../../../src/redis/keys.js';
import { encoderFor } from '../../../../src/wire/codec.js';
import { encodeEnvelope, WIRE_VERSION } from '../../../../src/wire/envelope.js';
import { type Delivery, deliveryOf } from '../../../../src/worker/delivery.js';
import { Rerouter } from '../../../../src/worker/intake/rerouter.js';
import { recordingLogger } from '../../../support/logger.js';
import { deferred } from '../../../support/wait.js';

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
  readonly workers = new Map<string, { untilMs: number; tasks: string }>();
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

  async hgetall(key: string): Promise<Record<string, string>> {
    const tasks = this.workers.get(key)?.tasks;
    return tasks === undefined ? {} : { name: 'other', tasks };
  }
}

function setUp() {
  const redis = new FakeRedis();
  const { logger, lines } = recordingLogger();
  const written: [delivery: Delivery, delayMs: number][] = [];
  const reroutes = new Rerouter({
    redis: redis as unknown as Redis,
    keys: KEYS,
    consumer: SELF,
    logger,
    reroute: (delivery, delayMs) => written.push([delivery, delayMs]),
  });
  /** For how long one is put back. */
  const delayOf = async (delivery: Delivery): Promise<number | undefined> => {
    await reroutes.add(delivery);
    return written.at(-1)?.[1];
  };
  return { redis, lines, written, reroutes, delayOf };
}

function delivery(task: string, reroutes = 0, version = WIRE_VERSION): Delivery {
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
  return deliveryOf({ token: 'w1-1', record: null, message, dueMs: 1, ...counts }, () => null);
}

describe('what nobody here can run', () => {
  test('waits 1 s when another live worker says that it knows the task, however often it was put back', async () => {
    const { redis, delayOf } = setUp();
    redis.announce('old:1', ['other']);
    redis.announce('new:1', ['other', 'resize']);
    expect(await delayOf(delivery('resize'))).toBe(1_000);
    expect(await delayOf(delivery('resize', 9))).toBe(1_000);
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
    expect(await delayOf(delivery('resize', 1))).toBe(1_000);
  });

  test('is as good as unknown to a worker whose announcement cannot be read', async () => {
    const { redis, delayOf } = setUp();
    redis.workers.set(KEYS.worker('odd:1'), { untilMs: NOW_MS + 1_000, tasks: 'not JSON' });
    expect(await delayOf(delivery('resize'))).toBe(10_000);
  });

  test('is named in the log, with the delay and the reason', async () => {
    const { lines, delayOf } = setUp();
    await delayOf(delivery('resize', 1));
    await delayOf(delivery('resize', 0, WIRE_VERSION + 1));
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'resize is rerouted for 20 s: no such task is loaded here',
        fields: { task: 'resize', key: 'id', reroutes: 1 },
      },
      {
        level: 'warn',
        message: `resize is rerouted for 10 s: its message is of a newer version (${WIRE_VERSION + 1})`,
        fields: { task: 'resize', key: 'id', reroutes: 0 },
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
    expect(written.map(([, delayMs]) => delayMs).sort()).toEqual([1_000, 1_000, 1_000, 10_000]);
    redis.workers.clear();
    await reroutes.add(delivery('resize'));
    expect(redis.questions).toBe(3);
    expect(written.at(-1)![1]).toBe(10_000);
  });
});
