/** BullMQ's producer: `queue.add`, many at a time, or `queue.addBulk`. */
import { Queue } from 'bullmq';
import { BULLMQ_QUEUE } from './names.js';
import { slices } from './payload.js';
import { produce } from './produce.js';

await produce(({ path, way, task }) => {
  const queue = new Queue(BULLMQ_QUEUE, { connection: { path } });
  return {
    async add({ from, to }) {
      for (const slice of slices(from, to, way.size)) {
        if (way.kind === 'each') await Promise.all(slice.map((data) => queue.add(task, data)));
        else await queue.addBulk(slice.map((data) => ({ name: task, data })));
      }
    },
    close: () => queue.close(),
  };
});
