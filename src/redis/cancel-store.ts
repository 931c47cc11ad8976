/** What a worker must know of cancelled executions: those it runs, and ids without a record that it may still meet. */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { serverTimeMs } from './time.js';

/** Ids of executions without a record that are not to run any more. */
export async function cancelledIds(redis: Redis, keys: Keys): Promise<string[]> {
  return await redis.zrangebyscore(keys.cancelled, await serverTimeMs(redis), '+inf');
}

/** The cancel of an id was honoured: it need not be remembered any longer. */
export async function forgetCancelled(redis: Redis, keys: Keys, ids: readonly string[]): Promise<void> {
  await redis.zrem(keys.cancelled, ...ids);
}

/** Which of these running executions somebody wants to end. */
export async function askedToStop(
  redis: Redis,
  keys: Keys,
  running: readonly { readonly record: string; readonly token: Token }[],
): Promise<Set<Token>> {
  const asked = new Set<Token>();
  const looks = running.map(async ({ record, token }) => {
    const [mark, entry] = await redis.hmget(keys.run(record), 'z', 'e');
    if (mark === '1' && entry === token) asked.add(token);
  });
  await Promise.all(looks);
  return asked;
}
