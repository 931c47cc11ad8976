/** The other end of `raw-thread-receiver`: a bare XADD, whose result is published. */
import { Redis } from 'ioredis';
import { callWith } from './call.js';
import { RAW_GROUP, RAW_RESULTS, RAW_THREAD_STREAM } from './names.js';

await callWith(async ({ path }) => {
  const redis = new Redis({ path });
  const subscriber = new Redis({ path });
  const waiting = new Map<number, (result: number) => void>();
  await redis.xgroup('CREATE', RAW_THREAD_STREAM, RAW_GROUP, '0', 'MKSTREAM').catch(() => {}); // exists already
  await subscriber.subscribe(RAW_RESULTS);
  subscriber.on('message', (_channel, index) => {
    waiting.get(Number(index))?.(Number(index));
    waiting.delete(Number(index));
  });
  return {
    add: (index) => redis.xadd(RAW_THREAD_STREAM, '*', 'index', index, 'replies', 0),
    async call(index) {
      const result = new Promise<number>((resolve) => waiting.set(index, resolve));
      await redis.xadd(RAW_THREAD_STREAM, '*', 'index', index, 'replies', 1);
      return await result;
    },
    openWait: () => Promise.reject(new Error('a bare stream has no tasks for later')),
    close: () => Promise.all([redis.disconnect(), subscriber.disconnect()]),
  };
});
