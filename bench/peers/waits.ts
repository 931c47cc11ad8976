/**
 * Tasks that say how long they waited for their start, and then keep the CPU busy for a given time. What they report is in
 * Redis, so it does not matter in which process or thread they run.
 */
import { performance } from 'node:perf_hooks';
import { Redis } from 'ioredis';

export interface TimedWork {
  /** When it was added, in milliseconds of this machine's clock. */
  readonly addedMs: number;
  readonly workMs: number;
}

/** The lists of the waits, in milliseconds: one for each duration of the work. */
export const waitsOf = (workMs: number) => `waits:${workMs}`;

/** This machine's clock, the same in all of its processes and threads. */
export const nowMs = () => performance.timeOrigin + performance.now();

let connection: Redis | undefined;

export async function reportWait({ addedMs, workMs }: TimedWork): Promise<void> {
  const wait = nowMs() - addedMs;
  connection ??= new Redis({ path: process.env.BENCH_REDIS_PATH! });
  const end = performance.now() + workMs;
  while (performance.now() < end);
  await connection.rpush(waitsOf(workMs), wait.toFixed(3));
}
