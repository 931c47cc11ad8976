/** Fills the backlog of the raw loop: plain stream entries of the size that docket writes, pipelined. */
import { Redis } from 'ioredis';
import { RAW_GROUP, RAW_STREAM } from './names.js';
import { slices } from './payload.js';
import { produce } from './produce.js';

await produce(({ path, mode, task }) => {
  const redis = new Redis({ path });
  return {
    async add({ from, to }) {
      await redis.xgroup('CREATE', RAW_STREAM, RAW_GROUP, '0', 'MKSTREAM').catch(() => {}); // exists after the first range
      for (const slice of slices(from, to, mode.size)) {
        const pipeline = redis.pipeline();
        for (const data of slice)
          pipeline.xadd(RAW_STREAM, '*', 'task', task, 'key', String(data.index), 'args', JSON.stringify(data));
        await pipeline.exec();
      }
    },
    close: async () => redis.disconnect(),
  };
});
