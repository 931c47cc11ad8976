/** The logger of a worker without one of its own. Synchronous, so no line is lost when the process ends. */
import { pino } from 'pino';
import type { Logger } from '../tasks/context.js';

/** Makes a logger that writes JSON lines to stderr: warnings and errors, or from the level that DOCKET_LOGGING_LEVEL names. */
export function defaultLogger(): Logger {
  const level = process.env.DOCKET_LOGGING_LEVEL ?? 'warn';
  return pino({ level }, pino.destination({ fd: 2, sync: true }));
}
