/** A logger that keeps what it is told. */

import type { WorkerLogger } from '../../src/worker/options.js';

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that keeps what it is told; what each attempt does only if `level` is `debug`. */
export function recordingLogger(
  level: 'debug' | 'info' = 'info',
  onLine: (line: Line) => void = () => {},
): { logger: WorkerLogger; lines: Line[] } {
  const lines: Line[] = [];
  const log =
    (level: string) =>
    (...args: [fields: object, message: string] | [message: string]) => {
      const [fields, message] = args.length === 1 ? [{}, args[0]] : args;
      const line = { level, message, fields: fields as Record<string, unknown> };
      lines.push(line);
      onLine(line);
    };
  const isLevelEnabled = (asked: string) => asked !== 'debug' || level === 'debug';
  return {
    lines,
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error'), isLevelEnabled },
  };
}
