/**
 * The log of a worker, as all its parts get it. Owns two rules: each line names its docket and worker, and no call throws,
 * whatever the user's logger does. Lines are logged where leases are renewed and outcomes settled, so a line that cannot be
 * written is lost, and the work goes on.
 */
import { describe } from '../wire/error-codec.js';
import type { WorkerLogger } from './options.js';

/** Returns a logger that never throws. The process warns of the first error of the user's logger. */
export function workerLog(logger: WorkerLogger, about: { readonly docket: string; readonly worker: string }) {
  let hasWarned = false;
  const warnOnce = (error: unknown) => {
    if (hasWarned) return;
    hasWarned = true;
    const problem = `the logger of a worker throws, so lines are lost: ${describe(error)}`;
    process.emitWarning(problem, { type: 'DocketWarning', code: 'DOCKET_LOGGER_THREW' });
  };
  const write: Write = (level, fields, message) => {
    try {
      const written: unknown = logger[level]({ ...about, ...fields }, message);
      if (written instanceof Promise) written.catch(warnOnce);
    } catch (error) {
      warnOnce(error);
    }
  };
  const isLevelEnabled = (level: string): boolean => {
    try {
      return logger.isLevelEnabled?.(level) ?? true;
    } catch (error) {
      warnOnce(error);
      return true;
    }
  };
  return logOf(write, isLevelEnabled);
}

/** Returns a logger that adds fields to each line of another. */
export function loggerWith(logger: WorkerLogger, fieldsOfLine: () => object): WorkerLogger {
  const write: Write = (level, fields, message) => logger[level]({ ...fieldsOfLine(), ...fields }, message);
  return logOf(write, (level) => logger.isLevelEnabled?.(level) ?? true);
}

type Level = 'debug' | 'info' | 'warn' | 'error';
type Write = (level: Level, fields: object, message: string) => void;

function logOf(write: Write, isLevelEnabled: (level: string) => boolean) {
  const writer =
    (level: Level) =>
    (...args: [fields: object, message: string] | [message: string]): void => {
      const [fields, message] = args.length === 1 ? [{}, args[0]] : args;
      write(level, fields, message);
    };
  const log = { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
  return { ...log, isLevelEnabled } satisfies WorkerLogger;
}
