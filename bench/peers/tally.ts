/**
 * Counts every run of a task for the untimed audit runs: one bit for each index that ran at least once, and a counter of all
 * runs. Lost tasks are missing bits; repeated runs are the counter minus the bits.
 */
import { Redis } from 'ioredis';
import type { Payload } from './payload.js';

export const TALLY_BITS = 'tally:bits';
export const TALLY_COUNT = 'tally:count';

let connection: Redis | undefined;

/** Connects on first use, once in each process or worker thread. The address is in the environment, which both inherit. */
export async function tally({ index }: Payload): Promise<void> {
  connection ??= new Redis({ path: process.env.BENCH_REDIS_PATH! });
  await Promise.all([connection.setbit(TALLY_BITS, index, 1), connection.incr(TALLY_COUNT)]);
}
