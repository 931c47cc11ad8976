/** Reads the server's clock. */
import type { Redis } from 'ioredis';

/** Returns the server's time, in milliseconds since the epoch. */
export async function serverTimeMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}
