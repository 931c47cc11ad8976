/** The floor of the latency bench: a bare XADD, and PING instead of a result. */
import { Redis } from 'ioredis';
import { callWith } from './call.js';
import { RAW_GROUP, RAW_STREAM } from './names.js';

await callWith(async ({ path }) => {
  const redis = new Redis({ path });
  await redis.xgroup('CREATE', RAW_STREAM, RAW_GROUP, '0', 'MKSTREAM').catch(() => {}); // exists already
  return {
    add: (index) => redis.xadd(RAW_STREAM, '*', 'index', index),
    async call(index) {
      await redis.ping();
      return index;
    },
    openWait: () => Promise.reject(new Error('a bare stream has no results')),
    close: async () => redis.disconnect(),
  };
});
