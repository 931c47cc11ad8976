/** BullMQ's worker, with its handler in the same process or in sandboxed worker threads. Everything else is at its default. */
import { type KeepJobs, Worker } from 'bullmq';
import run from './bullmq-processor.js';
import { BULLMQ_QUEUE } from './names.js';
import { serve } from './serve.js';

export interface BullmqWorkerSettings {
  readonly path: string;
  readonly concurrency: number;
  readonly sandboxed: boolean;
  /** How long, or how many, completed jobs are kept. */
  readonly keep: KeepJobs;
}

await serve<BullmqWorkerSettings, null, null>(({ path, concurrency, sandboxed, keep }) => {
  const processor = sandboxed ? new URL('./bullmq-processor.js', import.meta.url) : run;
  const worker = new Worker(BULLMQ_QUEUE, processor, {
    connection: { path },
    concurrency,
    useWorkerThreads: sandboxed,
    removeOnComplete: keep,
    autorun: false,
  });
  return {
    async answer() {
      await worker.waitUntilReady();
      void worker.run();
      return null;
    },
    stop: () => worker.close(),
  };
});
