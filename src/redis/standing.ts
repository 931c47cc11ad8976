/** Tells how the work of a docket stands at one moment, for a test that waits until nothing is left to do. */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { STREAM_NAMES } from './schema.js';

/** The work of one partition at one moment. */
export interface Standing {
  /** Number of executions that are due or run. Those that wait for a limit or a resume are not counted. */
  readonly queued: number;
  /** When the earliest of the others is due, in server milliseconds; `null` when nothing is scheduled. */
  readonly nextDueMs: number | null;
}

/** Reads all of it in one transaction: an execution that moves from one place to another is seen in one of them. */
export async function standingOf(redis: Redis, keys: Keys): Promise<Standing> {
  const transaction = redis.multi();
  for (const name of STREAM_NAMES) transaction.xlen(keys[name]);
  for (const key of [keys.schedule, keys.wakes]) transaction.zrange(key, '0', '0', 'WITHSCORES');
  const replies = ((await transaction.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  const queued = (replies.slice(0, STREAM_NAMES.length) as number[]).reduce((sum, length) => sum + length, 0);
  const heads = replies.slice(STREAM_NAMES.length) as [member?: string, score?: string][];
  const dues = heads.flatMap(([, score]) => (score === undefined ? [] : [Number(score)]));
  return { queued, nextDueMs: dues.length > 0 ? Math.min(...dues) : null };
}

/** Counts the keys that have a record, ended or not. */
export async function countRecords(redis: Redis, keys: Keys, executions: readonly string[]): Promise<number> {
  return executions.length === 0 ? 0 : await redis.exists(...executions.map((key) => keys.record(key)));
}

/** Wakes the schedulers of all workers. */
export async function wakeSchedulers(redis: Redis, keys: Keys): Promise<void> {
  await redis.publish(keys.wake, '0');
}
