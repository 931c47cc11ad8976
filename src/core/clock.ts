/** The clock that all threads of a process share, and the latest time that there is. */

/**
 * Returns milliseconds on a monotonic clock that is the same in every thread of this process. `performance.now()` starts at 0 in
 * each thread, so its offset from `process.hrtime()` is taken once; calling hrtime each time would allocate.
 */
export function monotonicMs(): number {
  return performance.now() + OFFSET_MS;
}

/** The latest time that a Date can hold, in milliseconds from 1970. The first one is as far away. */
export const LATEST_MS = 8.64e15;

const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();
