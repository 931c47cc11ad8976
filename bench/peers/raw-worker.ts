/** The upper bound for any worker: reads 500 entries, deletes them in the round trip of the next read, and runs nothing. */
import { Redis } from 'ioredis';
import { RAW_GROUP, RAW_STREAM } from './names.js';
import { serve } from './serve.js';

const COUNT = 500;

type Reply = [stream: string, entries: [id: string, fields: string[]][]][] | null;

await serve<{ path: string }, null, null>(({ path }) => {
  const redis = new Redis({ path });
  let running = true;

  async function loop(): Promise<void> {
    let ids: string[] = [];
    while (running) {
      const pipeline = redis.pipeline();
      if (ids.length > 0) pipeline.xack(RAW_STREAM, RAW_GROUP, ...ids).xdel(RAW_STREAM, ...ids);
      pipeline.xreadgroup('GROUP', RAW_GROUP, 'raw', 'COUNT', COUNT, 'BLOCK', 100, 'STREAMS', RAW_STREAM, '>');
      const replies = await pipeline.exec();
      const read = replies?.at(-1)?.[1] as Reply;
      ids = read?.[0]?.[1].map(([id]) => id) ?? [];
    }
  }

  let looping: Promise<void> | undefined;
  return {
    answer() {
      looping = loop();
      return null;
    },
    async stop() {
      running = false;
      await looping;
      redis.disconnect();
    },
  };
});
