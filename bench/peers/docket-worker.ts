/** docket's worker with threads; what the settings leave out stays at its default. */
import { type ChildProcess, fork } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Docket } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import { DOCKET } from './names.js';
import { serve } from './serve.js';

export interface DocketWorkerSettings {
  readonly url: string;
  readonly options: Pick<WorkerOptions, 'name' | 'threads' | 'concurrency' | 'redeliveryTimeout' | 'metricsPort'>;
  /** Reads the page of the metrics so often, from a process of its own; none by default. */
  readonly scrapeEveryMs?: number;
}

/** The first request starts the worker; every request answers with the loop delay of the coordinator since the last. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

await serve<DocketWorkerSettings, null, LoopDelay>(({ url, options, scrapeEveryMs }) => {
  const docket = new Docket({ name: DOCKET, url });
  let scraper: ChildProcess | undefined;
  const listen = (fields: { pages?: string[] }) => {
    if (fields.pages) scraper = fork(new URL('./scraper.js', import.meta.url), [fields.pages[0]!, `${scrapeEveryMs}`]);
  };
  const quiet = () => {};
  const error = (...line: unknown[]) => console.error(...line);
  // At the default level, but for the line that tells the port.
  const logger = {
    debug: quiet,
    info: (...[fields]: unknown[]) => listen(fields as object),
    warn: error,
    error,
    isLevelEnabled: () => false,
  };
  const worker = new Worker(docket, { ...options, logger, tasks: new URL('./docket-tasks.js', import.meta.url) });
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
      scraper?.kill();
      await worker.close();
      await running;
      await docket.close();
    },
  };
});
