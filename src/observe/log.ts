/** Loggers for processes that bring none of their own. Synchronous: no line is lost when the process ends. */
import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Logger } from '../tasks/context.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export const LOG_FORMATS = ['pretty', 'plain', 'json'] as const;

/** Writes warnings and errors as JSON lines to stderr; DOCKET_LOGGING_LEVEL says otherwise. */
export function defaultLogger(): Logger {
  const level = process.env.DOCKET_LOGGING_LEVEL ?? 'warn';
  return pino({ level }, pino.destination({ fd: 2, sync: true }));
}

/** Writes to stderr, for people on a terminal unless `format` says otherwise. */
export function commandLineLogger(level: string, format: string | undefined): Logger {
  if (format === 'json') return pino({ level }, pino.destination({ fd: 2, sync: true }));
  const colorize = format === 'pretty' || (format === undefined && process.stderr.isTTY === true);
  const stream = pretty({ colorize, destination: 2, sync: true, ignore: 'pid,hostname', singleLine: true });
  return pino({ level }, stream);
}
