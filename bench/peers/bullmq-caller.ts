/** BullMQ's caller in the latency bench. Its results arrive by `waitUntilFinished`. */
import { Queue, QueueEvents } from 'bullmq';
import { callWith } from './call.js';
import { BULLMQ_QUEUE } from './names.js';
import { payload } from './payload.js';

await callWith(async ({ path }) => {
  const connection = { path };
  const queue = new Queue(BULLMQ_QUEUE, { connection });
  const events = new QueueEvents(BULLMQ_QUEUE, { connection });
  events.setMaxListeners(0); // one for each wait
  await events.waitUntilReady();
  return {
    add: (index) => queue.add('noted', payload(index)),
    call: async (index) => (await queue.add('noted', payload(index))).waitUntilFinished(events),
    async openWait(index) {
      const job = await queue.add('noted', payload(index), { delay: 3_600_000 });
      job.waitUntilFinished(events).catch(() => {}); // removed in the end
      return () => job.remove();
    },
    close: () => Promise.all([queue.close(), events.close()]),
  };
});
