/** The logger of a worker that was given none. Synchronous: no line is lost when the process ends. */
import { pino } from 'pino';
import type { Logger } from '../tasks/context.js';

/** Writes warnings and errors as JSON lines to stderr; DOCKET_LOGGING_LEVEL says otherwise. */
export function defaultLogger(): Logger {
  const level = process.env.DOCKET_LOGGING_LEVEL ?? 'warn';
  return pino({ level }, pino.destination({ fd: 2, sync: true }));
}
