/** Reads times as records have them. Anybody may have written them, and whatever lists executions makes dates of them. */
import { LATEST_MS } from '../core/clock.js';

/** Returns a time in server milliseconds; `null` when there is none, or what is there is no time. */
export function storedTime(stored: string | Buffer | number | null | undefined): number | null {
  if (stored === null || stored === undefined || stored === '') return null;
  const ms = Number(stored);
  return Math.abs(ms) <= LATEST_MS ? ms : null;
}

/** Returns when an execution was placed, by its generation, in server milliseconds; 0 when it is none. */
export function placedTime(generation: string | number): number {
  return storedTime(Math.floor(Number(generation) / 1_000)) ?? 0; // a generation is the server's microseconds
}
