/** Runs a worker as `docket-worker` does once its flags are parsed: with its signals and its log. */
import { pino } from 'pino';
import pretty from 'pino-pretty';
import { Docket } from '../client/docket.js';
import type { Logger } from '../tasks/context.js';
import type { WorkerOptions } from '../worker/options.js';
import { Worker } from '../worker/worker.js';
import { EXIT } from './exit-codes.js';
import type { WorkerFlags } from './worker-flags.js';

/** Runs a worker until a signal stops it, or nothing is left with `untilFinished`. */
export async function runWorker(flags: WorkerFlags): Promise<void> {
  const { url, docket: name, untilFinished, loggingLevel, loggingFormat, ...options } = flags;
  const logger = commandLineLogger(loggingLevel, loggingFormat);
  const docket = new Docket({ ...(url && { url }), ...(name && { name }) });
  try {
    const worker = new Worker(docket, { ...(options as WorkerOptions), logger });
    const signals = stopOnSignals(worker);
    try {
      await (untilFinished ? worker.runUntilFinished() : worker.runForever());
    } finally {
      signals.dispose();
    }
  } finally {
    await docket.close();
  }
}

/** Wrappers and shells may send the same signal to the process and to its group. Within this time the two count as one. */
const SAME_SIGNAL_MS = 50;

/** The first signal drains the worker. The second ends the process at once; what runs is redelivered when its lease ends. */
function stopOnSignals(worker: Worker): { dispose(): void } {
  let stoppedMs: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    const nowMs = performance.now();
    if (stoppedMs === null) {
      stoppedMs = nowMs;
      void worker.close();
    } else if (nowMs - stoppedMs > SAME_SIGNAL_MS) {
      process.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    }
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return { dispose: () => process.off('SIGTERM', onSignal).off('SIGINT', onSignal) };
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
