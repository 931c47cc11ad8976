/** What `docket-worker` does once its command line is understood. */
import { pino } from 'pino';
import pretty from 'pino-pretty';
import { Docket } from '../client/docket.js';
import type { Logger } from '../tasks/context.js';
import type { WorkerOptions } from '../worker/options.js';
import { Worker } from '../worker/worker.js';
import { type Flags, WORKER_EXIT } from './worker.js';

/** Runs a worker until it is told to stop, or is done. */
export async function runWorker(flags: Flags): Promise<void> {
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

/** Wrappers and shells may send one signal to the process and to its group: those are one. */
const SAME_SIGNAL_MS = 50;

/** The first signal drains. The second one ends the process at once: what runs is delivered again when its lease ends. */
function stopOnSignals(worker: Worker): { dispose(): void } {
  let stoppedMs: number | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    const nowMs = performance.now();
    if (stoppedMs === null) {
      stoppedMs = nowMs;
      void worker.close();
    } else if (nowMs - stoppedMs > SAME_SIGNAL_MS) {
      process.exit(signal === 'SIGINT' ? WORKER_EXIT.interrupted : WORKER_EXIT.terminated);
    }
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return { dispose: () => process.off('SIGTERM', onSignal).off('SIGINT', onSignal) };
}

/** Writes to stderr, for people on a terminal unless `format` says otherwise. Synchronous: no line is lost at the end. */
function commandLineLogger(level: string, format: string | undefined): Logger {
  if (format === 'json') return pino({ level }, pino.destination({ fd: 2, sync: true }));
  const colorize = format === 'pretty' || (format === undefined && process.stderr.isTTY === true);
  const stream = pretty({ colorize, destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true });
  return pino({ level }, stream);
}
