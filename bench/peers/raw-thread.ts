/** The thread of `raw-thread-receiver`: notes when each task has reached it. */
import { parentPort } from 'node:worker_threads';
import type { RawTask } from './raw-thread-receiver.js';
import { noteStart } from './start-times.js';

parentPort!.on('message', ({ index, replies }: RawTask) => {
  noteStart(index);
  if (replies) parentPort!.postMessage(index);
});
