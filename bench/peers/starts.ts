/** Counts how often the body of each execution started. The counts are in Redis, so no crash of a worker can lose them. */
import { Redis } from 'ioredis';

/** The hash of the counts, by the key of the execution. */
export const STARTS = 'starts';

export async function countStart(key: string): Promise<void> {
  const redis = new Redis({ path: process.env.BENCH_REDIS_PATH! });
  await redis.hincrby(STARTS, key, 1);
  redis.disconnect();
}
