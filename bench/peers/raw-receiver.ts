/** The other end of the bare hop in the latency bench: a blocking read of whatever is there. It is deleted with the next read. */
import { RAW_GROUP, RAW_STREAM } from './names.js';
import { type RawReply, serveLoop } from './raw-loop.js';
import { noteStart } from './start-times.js';

await serveLoop(async (redis) => {
  const read = redis.xreadgroup(
    ...(['GROUP', RAW_GROUP, 'raw', 'COUNT', 500, 'BLOCK', 100, 'STREAMS', RAW_STREAM, '>'] as const),
  ) as Promise<RawReply>;
  for (const [id, [, index]] of (await read)?.[0]?.[1] ?? []) {
    noteStart(Number(index));
    redis.xack(RAW_STREAM, RAW_GROUP, id);
    redis.xdel(RAW_STREAM, id);
  }
});
