/** docket's worker with threads; what the settings leave out stays at its default. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Docket } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import { DOCKET } from './names.js';
import { serve } from './serve.js';

export interface DocketWorkerSettings {
  readonly url: string;
  readonly options: Pick<WorkerOptions, 'name' | 'threads' | 'concurrency' | 'redeliveryTimeout'>;
}

/** The first request starts the worker; every request answers with the loop delay of the coordinator since the last. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

await serve<DocketWorkerSettings, null, LoopDelay>(({ url, options }) => {
  const docket = new Docket({ name: DOCKET, url });
  const worker = new Worker(docket, { ...options, tasks: new URL('./docket-tasks.js', import.meta.url) });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let running: Promise<void> | undefined;
  return {
    answer() {
      running ??= worker.runForever();
      const answer = { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 };
      delay.enable();
      delay.reset();
      return answer;
    },
    async stop() {
      await worker.close();
      await running;
      await docket.close();
    },
  };
});
