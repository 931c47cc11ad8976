/** BullMQ's producer: concurrent calls of `queue.add`, or `queue.addBulk`. */
import { Queue } from 'bullmq';
import { BULLMQ_QUEUE } from './names.js';
import { slices } from './payload.js';
import { produce } from './produce.js';

await produce(({ path, mode, task, payload }) => {
  const queue = new Queue(BULLMQ_QUEUE, { connection: { path } });
  return {
    async add({ from, to }) {
      for (const slice of slices(from, to, mode.size, payload)) {
        if (mode.kind === 'each') await Promise.all(slice.map((data) => queue.add(task, data)));
        else await queue.addBulk(slice.map((data) => ({ name: task, data })));
      }
    },
    close: () => queue.close(),
  };
});
