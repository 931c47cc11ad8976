/** The other end of the bare hop in the latency bench: a blocking read of one entry at a time, which is deleted with the next. */
import { Redis } from 'ioredis';
import { RAW_GROUP, RAW_STREAM } from './names.js';
import { serve } from './serve.js';
import { noteStart } from './start-times.js';

type Reply = [stream: string, entries: [id: string, fields: string[]][]][] | null;

await serve<{ path: string }, null, null>(({ path }) => {
  const redis = new Redis({ path });
  let running = true;

  async function loop(): Promise<void> {
    while (running) {
      const read = redis.xreadgroup(
        'GROUP',
        RAW_GROUP,
        'raw',
        'COUNT',
        500,
        'BLOCK',
        100,
        'STREAMS',
        RAW_STREAM,
        '>',
      ) as Promise<Reply>;
      for (const [id, [, index]] of (await read)?.[0]?.[1] ?? []) {
        noteStart(Number(index));
        redis.xack(RAW_STREAM, RAW_GROUP, id);
        redis.xdel(RAW_STREAM, id);
      }
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
