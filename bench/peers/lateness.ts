/** Records how late each scheduled task started. The clock is that of Redis too, because both are on one machine. */
import { Redis } from 'ioredis';

/** The list of the delays in milliseconds, in the order in which the tasks started. */
export const LATENESS = 'lateness';

let connection: Redis | undefined;

/** Does not wait for Redis, so that no task keeps the next one from starting. */
export function recordLateness(dueMs: number): void {
  const lateMs = Date.now() - dueMs;
  connection ??= new Redis({ path: process.env.BENCH_REDIS_PATH! });
  void connection.rpush(LATENESS, lateMs);
}
