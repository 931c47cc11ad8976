/**
 * Exact book-keeping for the untimed audit runs: a bit per index says who ran at least once, a counter says how often in
 * all. Lost = missing bits; repeated = counter minus bits.
 */
import { Redis } from 'ioredis';
import type { Payload } from './payload.js';

export const TALLY_BITS = 'tally:bits';
export const TALLY_COUNT = 'tally:count';

let connection: Redis | undefined;

/** Connects on first use: one connection per process or worker thread, told by the environment, as both inherit it. */
export async function tally({ index }: Payload): Promise<void> {
  connection ??= new Redis({ path: process.env.BENCH_REDIS_PATH! });
  await Promise.all([connection.setbit(TALLY_BITS, index, 1), connection.incr(TALLY_COUNT)]);
}
