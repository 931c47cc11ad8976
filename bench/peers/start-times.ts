/**
 * Notes when the body of each task started, for the latency bench: one line in a file for each start. The time is taken
 * before the line is written. Lines are short and appended, so those of several threads do not mix.
 */
import { openSync, writeSync } from 'node:fs';

let file: number | undefined;

/** The monotonic clock that all processes of a machine share, in microseconds. */
export function sharedClockUs(): number {
  return Number(process.hrtime.bigint()) / 1e3;
}

/** The path of the file is in the environment, which worker threads inherit. */
export function noteStart(index: number): void {
  const startedUs = sharedClockUs();
  file ??= openSync(process.env.BENCH_STARTS_FILE!, 'a');
  writeSync(file, `${index} ${startedUs}\n`);
}
