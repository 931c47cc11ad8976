/** The upper bound for any worker: reads 500 entries, deletes them in the round trip of the next read, and runs nothing. */
import { RAW_GROUP, RAW_STREAM } from './names.js';
import { type RawReply, serveLoop } from './raw-loop.js';

const COUNT = 500;

let ids: string[] = [];

await serveLoop(async (redis) => {
  const pipeline = redis.pipeline();
  if (ids.length > 0) pipeline.xack(RAW_STREAM, RAW_GROUP, ...ids).xdel(RAW_STREAM, ...ids);
  pipeline.xreadgroup('GROUP', RAW_GROUP, 'raw', 'COUNT', COUNT, 'BLOCK', 100, 'STREAMS', RAW_STREAM, '>');
  const replies = await pipeline.exec();
  const read = replies?.at(-1)?.[1] as RawReply;
  ids = read?.[0]?.[1].map(([id]) => id) ?? [];
});
