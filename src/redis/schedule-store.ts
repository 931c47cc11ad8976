/** Moves executions that are due off the schedule, and counts the executions that are left. */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { BATCH_ITEMS } from './schema.js';
import { runScript } from './script.js';

export interface Moved {
  readonly count: number;
  /** Milliseconds until the next one is due, 0 when it is due already; `null` when nothing is scheduled. */
  readonly nextInMs: number | null;
  /** The server's errors about records that cannot be used. These executions are in quarantine. */
  readonly errors: readonly string[];
}

/** Moves one bounded batch of due executions to the streams of their priority. */
export async function moveDue(redis: Redis, keys: Keys): Promise<Moved> {
  const reply = (await runScript(
    redis,
    'move-due',
    [keys.work, keys.front, keys.schedule],
    [keys.prefix, BATCH_ITEMS],
  )) as [number, Buffer, Buffer, Buffer[]];
  const nextInMs = msUntil(String(reply[2]), Number(reply[1]));
  return { count: reply[0], nextInMs, errors: reply[3].map(String) };
}

/** Returns the milliseconds from `nowMs` until a due time that a script has sent; `null` when it sent none. */
export function msUntil(due: string, nowMs: number): number | null {
  return due === '' ? null : Math.max(0, Number(due) - nowMs);
}

/**
 * Counts the executions left in the docket: on the streams (waiting or running), on the schedule, and those of paused tasks.
 * Executions under one of the keys in `except` do not count.
 */
export async function countRemaining(
  redis: Redis,
  keys: Keys,
  except: readonly string[] = [],
): Promise<{ queued: number; scheduled: number; paused: number }> {
  const all = [keys.work, keys.front, keys.schedule, keys.wakes];
  const reply = (await runScript(redis, 'remaining', all, [keys.prefix, ...except])) as [number, number, number];
  return { queued: reply[0], scheduled: reply[1], paused: reply[2] };
}
