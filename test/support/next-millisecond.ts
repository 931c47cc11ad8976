import type { Redis } from 'ioredis';
import { importBuilt } from './built.js';
import { waitFor } from './wait.js';

const { serverTimeMs } = await importBuilt<typeof import('../../src/redis/time.js')>('redis/time.js');

/**
 * Waits for the server's next millisecond. Some tickets are exact to the millisecond only: what is added behind this
 * has a later one.
 */
export async function nextMillisecond(redis: Redis): Promise<void> {
  const nowMs = await serverTimeMs(redis);
  await waitFor(async () => (await serverTimeMs(redis)) > nowMs);
}
