/**
 * Bounds what the worker logs while something fails again and again. Owns the rule that a warning with the same `error` as
 * the last of its kind is written once in 30 seconds, with the number of those that were left out (`repeated`). The server
 * may refuse writes for hours, and each write is tried several times a second.
 */
import { monotonicMs } from '../core/clock.js';
import { meaningOf, withoutPosition } from '../redis/reply-errors.js';
import type { WorkerLogger } from './options.js';

const PERIOD_MS = 30_000;

interface Kind {
  error: string;
  writtenMs: number;
  repeated: number;
}

/**
 * Returns a logger for the coordinator's own lines, which leaves repeated warnings out. Those it writes also say what the
 * server's refusal means. Lines of tasks must not pass through it.
 */
export function withoutRepeats(logger: WorkerLogger): WorkerLogger {
  /** By message, of which there are a few. */
  const kinds = new Map<string, Kind>();
  const warn = (...args: [fields: object, message: string] | [message: string]): void => {
    const [fields, message] = args.length === 1 ? [{}, args[0]] : args;
    if (!('error' in fields) || typeof fields.error !== 'string') {
      logger.warn(fields, message);
      return;
    }
    const error = withoutPosition(fields.error);
    const nowMs = monotonicMs();
    const last = kinds.get(message);
    if (last?.error === error && nowMs - last.writtenMs < PERIOD_MS) {
      last.repeated += 1;
      return;
    }
    const repeated = last?.error === error && last.repeated > 0 ? { repeated: last.repeated } : {};
    kinds.set(message, { error, writtenMs: nowMs, repeated: 0 });
    const meaning = meaningOf(new Error(error));
    const text = meaning ? `${message}: ${meaning.problem}: ${meaning.advice}` : message;
    logger.warn({ ...fields, error, ...repeated }, text);
  };
  return { ...logger, warn };
}
