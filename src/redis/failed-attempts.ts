/** Reads and writes the attempts that failed and were retried, as the record keeps them: `RECORD.failedAttempts`. */

import { storedTime } from './stored-time.js';

/** One attempt that failed and was retried. Times are server milliseconds. */
export interface FailedAttemptRecord {
  readonly attempt: number;
  /** `null` when the record did not know it. */
  readonly startedMs: number | null;
  readonly failedMs: number;
  /** Name of the worker that ran it; `null` when the record did not know it. */
  readonly worker: string | null;
  /** Its error as a line of text, shortened. */
  readonly errorLine: string;
}

/** A record has up to 20 of them, so 6 kB at most. */
const MAXIMUM_CHARACTERS = 300;

/** Makes the line of an error fit into the list: without control characters, and shortened. */
export function failedLineOf(errorLine: string): string {
  const line = errorLine.replace(/\p{Cc}+/gu, ' ');
  return line.length > MAXIMUM_CHARACTERS ? `${line.slice(0, MAXIMUM_CHARACTERS - 1)}…` : line;
}

/** Reads the list, the oldest first. A line that cannot be read is left out. */
export function parseFailedAttempts(text: string): FailedAttemptRecord[] {
  return text
    .split('\n')
    .flatMap((line) => {
      const [attempt, started, failed, worker, ...rest] = line.split('\t');
      const failedMs = storedTime(failed);
      if (worker === undefined || Number.isNaN(Number(attempt)) || failedMs === null) return [];
      return {
        attempt: Number(attempt),
        startedMs: storedTime(started),
        failedMs,
        worker: worker || null,
        errorLine: rest.join('\t'),
      };
    })
    .reverse();
}
