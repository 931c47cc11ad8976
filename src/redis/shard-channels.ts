/**
 * Subscribes to shard channels in a cluster and to plain channels elsewhere. Messages on a shard channel stay among the
 * nodes of its slot. The names of the channels are the same, and callers receive both kinds of messages by the same
 * events.
 *
 * Owns the rule that subscriptions come back with every new link. That includes those that a cluster cancelled because
 * their slot has moved. ioredis (6.0) forgets these, so the channels are remembered here.
 */
import type { Redis } from 'ioredis';

/**
 * Each script looks for this property, which only connections to servers with shard channels have. A WeakSet, a property that is
 * `false`, or a function in between cost an `addMany` of lean executions 5 to 10 % of its time (measured).
 */
export const SHARDED = Symbol('has shard channels');

export type Connection = Redis & { [SHARDED]?: boolean };

/** Tells whether the server publishes for each slot of a cluster apart: a node of a cluster, from Redis 7 on. */
export function hasShardChannels(redis: Redis): boolean {
  return (redis as Connection)[SHARDED] === true;
}

/**
 * Learns from the server's INFO whether it has shard channels.
 * @param isAssumed - the answer to assume when INFO is empty because the user may not read it
 */
export function learnShardChannels(redis: Redis, info: string, isAssumed: boolean): void {
  const version = /^redis_version:(\d+)/m.exec(info)?.[1];
  const isSharded = info === '' ? isAssumed : isClusterNode(info) && Number(version) >= 7;
  if (isSharded) (redis as Connection)[SHARDED] = true;
  else if (SHARDED in redis) delete (redis as Connection)[SHARDED];
}

/** Tells by the server's INFO whether it is a node of a cluster. */
export function isClusterNode(info: string): boolean {
  return /^cluster_enabled:1/m.test(info);
}

type Subscribe = (...channels: string[]) => Promise<unknown>;

/** Replaces `subscribe` and `unsubscribe` of a connection, so that they choose the kind of channel. */
export function subscribeBySlot(redis: Redis): void {
  const plain = { subscribe: redis.subscribe.bind(redis), unsubscribe: redis.unsubscribe.bind(redis) };
  const shard = { subscribe: redis.ssubscribe.bind(redis), unsubscribe: redis.sunsubscribe.bind(redis) };
  const kind = () => (hasShardChannels(redis) ? shard : plain) as { subscribe: Subscribe; unsubscribe: Subscribe };
  const channels = new Set<string>();
  const subscribe: Subscribe = (...names) => {
    for (const name of names) channels.add(name);
    const subscribing = kind().subscribe(...names);
    // Handled here, because nobody awaits those that are restored. Callers still see the rejections of their own calls.
    subscribing.catch(() => undefined);
    return subscribing;
  };
  redis.subscribe = subscribe as typeof redis.subscribe;
  redis.unsubscribe = ((...names: string[]) => {
    for (const name of names) channels.delete(name);
    return kind().unsubscribe(...names);
  }) as typeof redis.unsubscribe;
  redis.on('ready', () => {
    if (channels.size > 0) void subscribe(...channels);
  });
  redis.on('smessageBuffer', (channel: Buffer, message: Buffer) => {
    if (redis.listenerCount('message') > 0) redis.emit('message', channel.toString(), message.toString());
    redis.emit('messageBuffer', channel, message);
  });
}
