/** Runs a worker as `docket-worker` does once its flags are parsed: with its signals and its log, and ends the process. */
import type { Worker as Thread } from 'node:worker_threads';
import { pino } from 'pino';
import pretty from 'pino-pretty';
import { Docket } from '../client/docket.js';
import type { Logger } from '../tasks/context.js';
import type { WorkerOptions } from '../worker/options.js';
import { Worker } from '../worker/worker.js';
import { endProcess, trackThreads } from './end-process.js';
import { EXIT } from './exit-codes.js';
import type { WorkerFlags } from './worker-flags.js';

export interface Ending {
  /** Reports why the worker failed, and returns the exit code. */
  fail(error: unknown): number;
  /** Ends the process. */
  readonly end: typeof endProcess;
}

/**
 * Runs a worker until a signal stops it, or nothing is left with `untilFinished`. Then it ends the process.
 * @throws InvalidOptionError and the like, before anything has started
 */
export async function runWorker(flags: WorkerFlags, { fail, end }: Ending): Promise<void> {
  const { url, docket: name, untilFinished, loggingLevel, loggingFormat, ...options } = flags;
  const logger = commandLineLogger(loggingLevel, loggingFormat);
  const docket = new Docket({ ...(url && { url }), ...(name && { name }) });
  const worker = new Worker(docket, { ...(options as WorkerOptions), logger });
  const threads = trackThreads();
  const lastSignal = stopOnSignals(worker, threads);
  const run = untilFinished ? worker.runUntilFinished() : worker.runForever();
  const code = await run.then(() => EXIT.done, fail);
  await end(code, lastSignal(), threads);
}

/** Wrappers and shells may send the same signal to the process and to its group. Within this time the two count as one. */
const SAME_SIGNAL_MS = 50;

/**
 * The first signal drains the worker. The second ends the process at once; what runs is redelivered when its lease ends.
 * Returns a function that returns the last signal: SIGTERM before the first one.
 */
function stopOnSignals(worker: Worker, threads: ReadonlySet<Thread>): () => NodeJS.Signals {
  let stoppedMs: number | null = null;
  let last: NodeJS.Signals = 'SIGTERM';
  const onSignal = (signal: NodeJS.Signals) => {
    last = signal;
    const nowMs = performance.now();
    if (stoppedMs === null) {
      stoppedMs = nowMs;
      void worker.close();
    } else if (nowMs - stoppedMs > SAME_SIGNAL_MS) {
      void endProcess(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated, signal, threads);
    }
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return () => last;
}

/**
 * Makes the logger, which writes to stderr: by default for people, and in colour on a terminal. Synchronous, so no line is
 * lost at the end.
 */
function commandLineLogger(level: string, format: string | undefined): Logger {
  if (format === 'json') return pino({ level }, pino.destination({ fd: 2, sync: true }));
  const colorize = format === 'pretty' || (format === undefined && process.stderr.isTTY === true);
  // For people the local time of day; in a file or a collector the date and the zone count, too.
  const translateTime = !colorize ? "UTC:yyyy-mm-dd'T'HH:MM:ss.l'Z'" : 'SYS:HH:MM:ss.l';
  const stream = pretty({
    colorize,
    destination: 2,
    sync: true,
    ignore: 'pid,hostname',
    singleLine: true,
    translateTime,
  });
  return pino({ level }, stream);
}
