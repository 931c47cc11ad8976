import { EXIT } from './exit-codes.js';

/** Ends the process without an error when the reader of its output is gone, as `head` is after ten lines. */
export function endQuietlyWithPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(EXIT.brokenPipe);
    });
  }
}
