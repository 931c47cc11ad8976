/** Reads the cancels that concern a worker: of executions it runs, and of ids without a record that it may meet. */
import type { Redis } from 'ioredis';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { LETTER, RECORD } from './schema.js';
import { serverTimeMs } from './time.js';

/** What is published on the channel of cancels: an execution that is to stop, or one that must not start. */
export type CancelMessage =
  /** An execution without a record was cancelled, wherever it is. */
  | { readonly kind: 'id'; readonly id: string }
  /** A running execution was cancelled. */
  | { readonly kind: 'token'; readonly token: Token }
  /** The key of a running execution was given to another. The execution may go on, but not start. */
  | { readonly kind: 'superseded'; readonly token: Token };

export function parseCancelMessage(text: string): CancelMessage {
  if (text.startsWith(LETTER.lean)) return { kind: 'id', id: text.slice(1) };
  if (text.startsWith(LETTER.superseded)) return { kind: 'superseded', token: text.slice(1) as Token };
  return { kind: 'token', token: text as Token };
}

/** Returns the ids of executions without a record that were cancelled. */
export async function cancelledIds(redis: Redis, keys: Keys): Promise<string[]> {
  return await redis.zrangebyscore(keys.cancelled, await serverTimeMs(redis), '+inf');
}

/** Returns those of the given ids that were cancelled. */
export async function cancelledAmong(redis: Redis, keys: Keys, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const forgottenAt = await redis.zmscore(keys.cancelled, ...ids);
  return ids.filter((_, i) => forgottenAt[i] !== null);
}

/** Forgets cancelled ids whose executions have ended. */
export async function forgetCancelled(redis: Redis, keys: Keys, ids: readonly string[]): Promise<void> {
  await redis.zrem(keys.cancelled, ...ids);
}

/** Returns the tokens of the given executions that somebody has cancelled. */
export async function askedToStop(
  redis: Redis,
  keys: Keys,
  running: readonly { readonly record: string; readonly token: Token }[],
): Promise<Set<Token>> {
  const asked = new Set<Token>();
  const looks = running.map(async ({ record, token }) => {
    const [cancelled, entry] = await redis.hmget(keys.record(record), RECORD.cancelled, RECORD.entry);
    if (cancelled === '1' && entry === token) asked.add(token);
  });
  await Promise.all(looks);
  return asked;
}
