/** Loggers for processes that bring none of their own. */
import { pino } from 'pino';
import type { Logger } from '../tasks/context.js';

/** Writes warnings and errors as JSON lines to stderr; DOCKET_LOGGING_LEVEL says otherwise. */
export function defaultLogger(): Logger {
  return pino({ level: process.env.DOCKET_LOGGING_LEVEL ?? 'warn' }, pino.destination({ fd: 2, sync: true }));
}
