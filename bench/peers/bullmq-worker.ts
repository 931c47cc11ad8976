/** BullMQ's worker, with its handler in the same process or in sandboxed worker threads. Everything else is at its default. */
import { type KeepJobs, Worker } from 'bullmq';
import run from './bullmq-processor.js';
import { BULLMQ_QUEUE } from './names.js';
import { serve } from './serve.js';

export interface BullmqWorkerSettings {
  readonly path: string;
  /** The number of workers in this process. @default 1 */
  readonly workers?: number;
  readonly concurrency: number;
  readonly sandboxed: boolean;
  /** How long, or how many, completed jobs are kept. */
  readonly keep: KeepJobs;
}

await serve<BullmqWorkerSettings, null, null>(({ path, workers: count = 1, concurrency, sandboxed, keep }) => {
  const processor = sandboxed ? new URL('./bullmq-processor.js', import.meta.url) : run;
  const options = { connection: { path }, concurrency, useWorkerThreads: sandboxed, removeOnComplete: keep };
  const workers = Array.from(
    { length: count },
    () => new Worker(BULLMQ_QUEUE, processor, { ...options, autorun: false }),
  );
  return {
    async answer() {
      await Promise.all(workers.map((worker) => worker.waitUntilReady()));
      for (const worker of workers) void worker.run();
      return null;
    },
    async stop() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
});
