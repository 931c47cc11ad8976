/**
 * Guards the worker against the logger that it was given. A logger that throws costs its line, and nothing else: lines
 * are logged where leases are kept, where outcomes are settled, and where an error would end the process.
 */
import { describe } from '../wire/error-codec.js';
import type { WorkerLogger } from './options.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** Returns a logger that never throws. The process warns of the first error. */
export function guardedLogger(logger: WorkerLogger): WorkerLogger {
  let hasWarned = false;
  const warnOnce = (error: unknown) => {
    if (hasWarned) return;
    hasWarned = true;
    const problem = `the logger of a worker throws, and its lines are lost: ${describe(error)}`;
    process.emitWarning(problem, { type: 'DocketWarning', code: 'DOCKET_LOGGER_THREW' });
  };
  const guard =
    (level: Level) =>
    (fields: object | string, message = '') => {
      try {
        if (typeof fields === 'string') logger[level](fields);
        else logger[level](fields, message);
      } catch (error) {
        warnOnce(error);
      }
    };
  const isLevelEnabled = (level: string) => {
    try {
      return logger.isLevelEnabled?.(level) ?? true;
    } catch (error) {
      warnOnce(error);
      return true;
    }
  };
  return { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error'), isLevelEnabled };
}
