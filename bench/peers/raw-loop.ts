/** The skeleton of the raw programs: from the first request on, they repeat one step until they are stopped. */
import { Redis } from 'ioredis';
import { serve } from './serve.js';

/** The reply to XREADGROUP on one stream. */
export type RawReply = [stream: string, entries: [id: string, fields: string[]][]][] | null;

/** @param step - reads entries, for a tenth of a second at most, and handles them */
export async function serveLoop(step: (redis: Redis) => Promise<void>): Promise<void> {
  await serve<{ path: string }, null, null>(({ path }) => {
    const redis = new Redis({ path });
    let isRunning = true;
    let looping: Promise<void> | undefined;
    const loop = async () => {
      while (isRunning) await step(redis);
    };
    return {
      answer() {
        looping ??= loop();
        return null;
      },
      async stop() {
        isRunning = false;
        await looping;
        redis.disconnect();
      },
    };
  });
}
