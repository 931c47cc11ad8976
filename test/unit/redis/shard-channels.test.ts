/** Subscriptions to shard channels in a cluster, and to plain channels elsewhere. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import { hasShardChannels, learnShardChannels, subscribeBySlot } from '../../../src/redis/shard-channels.js';

class FakeRedis extends EventEmitter {
  readonly calls: string[] = [];
  failing = false;
  subscribe = this.#command('subscribe');
  unsubscribe = this.#command('unsubscribe');
  ssubscribe = this.#command('ssubscribe');
  sunsubscribe = this.#command('sunsubscribe');

  #command(name: string) {
    return async (...channels: string[]) => {
      this.calls.push([name, ...channels].join(' '));
      if (this.failing) throw new Error('refused');
    };
  }
}

const CLUSTER = 'redis_version:7.2.4\r\ncluster_enabled:1\r\n';

function subscriber(info: string) {
  const redis = new FakeRedis();
  learnShardChannels(redis as unknown as Redis, info, false);
  subscribeBySlot(redis as unknown as Redis);
  return redis;
}

test.each([
  [CLUSTER, false, true],
  ['redis_version:6.2.0\r\ncluster_enabled:1\r\n', true, false],
  ['redis_version:7.2.4\r\ncluster_enabled:0\r\n', true, false],
  ['', true, true],
  ['', false, false],
])(
  'a server has shard channels from Redis 7 on, in a cluster; without INFO the URL decides',
  (info, isAssumed, has) => {
    const redis = new FakeRedis() as unknown as Redis;
    learnShardChannels(redis, info, isAssumed);
    expect(hasShardChannels(redis)).toBe(has);
    learnShardChannels(redis, 'redis_version:7.0.0\r\ncluster_enabled:0\r\n', isAssumed); // the next link led elsewhere
    expect(hasShardChannels(redis)).toBe(false);
  },
);

test('the kind of server decides about the kind of channel', async () => {
  const [shard, plain] = [subscriber(CLUSTER), subscriber('redis_version:7.2.4\r\ncluster_enabled:0')];
  for (const redis of [shard, plain]) {
    await redis.subscribe('a', 'b');
    await redis.unsubscribe('a');
  }
  expect(shard.calls).toEqual(['ssubscribe a b', 'sunsubscribe a']);
  expect(plain.calls).toEqual(['subscribe a b', 'unsubscribe a']);
});

test('each new link gets the subscriptions again, without those that were given up', async () => {
  const redis = subscriber(CLUSTER);
  redis.emit('ready');
  expect(redis.calls).toEqual([]);
  await redis.subscribe('a', 'b', 'c');
  await redis.unsubscribe('b');
  redis.calls.length = 0;
  redis.emit('ready');
  redis.emit('ready');
  expect(redis.calls).toEqual(['ssubscribe a c', 'ssubscribe a c']);
});

test('a subscription that fails is made again by the next link, and only its caller hears of the failure', async () => {
  const redis = subscriber(CLUSTER);
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  try {
    redis.failing = true;
    await expect(redis.subscribe('a')).rejects.toThrow('refused');
    redis.emit('ready');
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    expect(redis.calls).toEqual(['ssubscribe a', 'ssubscribe a']);
  } finally {
    process.off('unhandledRejection', unhandled);
  }
});

test('messages of shard channels come as those of plain ones', () => {
  const redis = subscriber(CLUSTER);
  const [text, bytes] = [vi.fn(), vi.fn()];
  redis.on('messageBuffer', bytes);
  redis.emit('smessageBuffer', Buffer.from('a'), Buffer.from('1'));
  redis.on('message', text);
  redis.emit('smessageBuffer', Buffer.from('a'), Buffer.from('2'));
  expect(bytes.mock.calls.map((args) => args.map(String))).toEqual([
    ['a', '1'],
    ['a', '2'],
  ]);
  expect(text.mock.calls).toEqual([['a', '2']]);
});
