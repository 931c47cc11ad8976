/** Counts how often the body of each execution started, in Redis, where no crash of a worker can lose it. */
import { Redis } from 'ioredis';

export const STARTS = 'starts';

export async function countStart(key: string): Promise<void> {
  const redis = new Redis({ path: process.env.BENCH_REDIS_PATH! });
  await redis.hincrby(STARTS, key, 1);
  redis.disconnect();
}
