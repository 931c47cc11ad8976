/** docket's worker with threads. What the settings leave out is at its default. */
import { type ChildProcess, fork } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Docket } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import { DOCKET } from './names.js';
import { serve } from './serve.js';

export interface DocketWorkerSettings {
  readonly url: string;
  /** Name of the docket. @default that of all other scenarios */
  readonly docket?: string;
  readonly options: Pick<WorkerOptions, 'name' | 'threads' | 'concurrency' | 'redeliveryTimeout' | 'metricsPort'>;
  /** The module in this folder that has the tasks. @default 'docket-tasks' */
  readonly tasks?: 'cpu-tasks';
  /** The number of workers in this process. @default 1 */
  readonly workers?: number;
  /** How often a separate process reads the metrics page; never, if it is left out. */
  readonly scrapeEveryMs?: number;
}

/**
 * The answer to a request: the delay of the coordinator's event loop since the last one. The first starts the workers, the
 * second the measurement, which wakes the coordinator every millisecond.
 */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

await serve<DocketWorkerSettings, null, LoopDelay>((settings) => {
  const { url, docket: name = DOCKET, options, tasks: module = 'docket-tasks', scrapeEveryMs } = settings;
  const { workers: count = 1 } = settings;
  const docket = new Docket({ name, url });
  let scraper: ChildProcess | undefined;
  const listen = (fields: { pages?: string[] }) => {
    if (fields.pages) scraper = fork(new URL('./scraper.js', import.meta.url), [fields.pages[0]!, `${scrapeEveryMs}`]);
  };
  const quiet = () => {};
  const error = (...line: unknown[]) => console.error(...line);
  // Logs as the default does, and picks the port out of the line that announces it.
  const logger = {
    debug: quiet,
    info: (...[fields]: unknown[]) => listen(fields as object),
    warn: error,
    error,
    isLevelEnabled: () => false,
  };
  const tasks = new URL(`./${module}.js`, import.meta.url);
  const workers = Array.from({ length: count }, () => new Worker(docket, { ...options, logger, tasks }));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let running: Promise<unknown> | undefined;
  return {
    answer() {
      const isRunning = running !== undefined;
      running ??= Promise.all(workers.map((worker) => worker.runForever()));
      const answer = { p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 };
      if (isRunning) delay.enable();
      delay.reset();
      return answer;
    },
    async stop() {
      scraper?.kill();
      await Promise.all(workers.map((worker) => worker.close()));
      await running;
      await docket.close();
    },
  };
});
