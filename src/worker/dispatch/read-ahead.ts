/** Decides how many deliveries are read ahead of the threads, so that they never wait for a read. */
import type { Lane } from './lane.js';

/** Work that is read ahead: as much as the threads do in this time. */
const READ_AHEAD_MS = 50;
/** The maximum number of executions that are read ahead. */
const READ_AHEAD_ITEMS = 4_096;
/** A read of this many is worth a trip in any case. */
const WORTH_READING_ITEMS = 1_024;

/**
 * Returns how many more deliveries may be read; 0 until a read is worth a trip, because half of what is read ahead has been
 * shipped. Nothing is read ahead of a stuck lane: it would only be requeued.
 *
 * @param expectedMs - expected duration of the next execution; `undefined` when nothing has run yet
 * @param size - number of deliveries that the worker already has
 */
export function roomFor(lanes: readonly Lane[], expectedMs: number | undefined, size: number, nowMs: number): number {
  let atOnce = 0;
  let ahead = 0;
  for (const lane of lanes) {
    if (!lane.isServing) continue;
    atOnce += lane.capacity;
    if (expectedMs !== undefined && lane.takesWork && !lane.isStuck(nowMs))
      ahead += (READ_AHEAD_MS / expectedMs) * lane.concurrency;
  }
  const aheadItems = Math.floor(Math.min(ahead, READ_AHEAD_ITEMS));
  const room = atOnce + aheadItems - size;
  return room >= Math.min(aheadItems / 2, WORTH_READING_ITEMS) || size < atOnce ? Math.max(0, room) : 0;
}
