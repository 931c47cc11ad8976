/**
 * What no worker with threads can do without, and nothing else: a blocking read passes each entry on to a thread. If a result
 * is asked for, the thread sends it back, and it is published.
 */
import { Worker } from 'node:worker_threads';
import { Redis } from 'ioredis';
import { RAW_GROUP, RAW_RESULTS, RAW_THREAD_STREAM } from './names.js';
import { type RawReply, serveLoop } from './raw-loop.js';

let thread: Worker | undefined;

/** Starts the thread, which shares the publishing of results with nobody: the other connection waits for entries. */
function startThread(path: string): Worker {
  const publisher = new Redis({ path });
  const worker = new Worker(new URL('./raw-thread.js', import.meta.url));
  worker.on('message', (index: number) => void publisher.publish(RAW_RESULTS, String(index)));
  return worker;
}

await serveLoop(async (redis) => {
  thread ??= startThread(redis.options.path!);
  const read = redis.xreadgroup(
    ...(['GROUP', RAW_GROUP, 'raw', 'COUNT', 500, 'BLOCK', 100, 'STREAMS', RAW_THREAD_STREAM, '>'] as const),
  ) as Promise<RawReply>;
  for (const [id, [, index, , replies]] of (await read)?.[0]?.[1] ?? []) {
    thread.postMessage({ index: Number(index), replies: replies === '1' } satisfies RawTask);
    redis.xack(RAW_THREAD_STREAM, RAW_GROUP, id);
    redis.xdel(RAW_THREAD_STREAM, id);
  }
});

export interface RawTask {
  readonly index: number;
  readonly replies: boolean;
}
