/**
 * The log of a worker, as all its parts get it. Owns two rules: each line names its docket and worker, and no call throws,
 * whatever the user's logger does. A line that cannot be written is lost; the work it tells of goes on.
 */
import type { WorkerLogger } from './options.js';

export function workerLog(logger: WorkerLogger, about: { readonly docket: string; readonly worker: string }) {
  const writer =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (...args: [fields: object, message: string] | [message: string]): void => {
      const [fields, message] = args.length === 1 ? [{}, args[0]] : args;
      try {
        const written: unknown = logger[level]({ ...about, ...fields }, message);
        if (written instanceof Promise) written.catch(() => {});
      } catch {
        // There is nowhere left to report to.
      }
    };
  const isLevelEnabled = (level: string): boolean => {
    try {
      return logger.isLevelEnabled?.(level) ?? true;
    } catch {
      return true;
    }
  };
  const log = { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
  return { ...log, isLevelEnabled } satisfies WorkerLogger;
}
