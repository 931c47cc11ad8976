/** How much faster all threads are than one: measured on the same files, one side after the other. */
import { performance } from 'node:perf_hooks';
import { Compressor } from './compressor.js';
import type { Compressed } from './tasks.js';

export interface SpeedUp {
  readonly files: number;
  readonly bytes: number;
  readonly oneThreadMs: number;
  readonly allThreadsMs: number;
}

/** How much work the sample is, so that one thread needs seconds, not minutes. */
const SAMPLE_BUSY_MS = 4_000;
const LEAST_BUSY_MS = 500;
/** No file of it may be so long that all threads but one wait for it at the end. */
const LONGEST_FILE_MS = 50;
const WARM_UP_FILES_PER_THREAD = 4;

/** Compresses a sample of the files again, on one thread and on all. `null` when there is too little to compare. */
export async function measureSpeedUp(
  results: readonly Compressed[],
  threads: number,
  signal: AbortSignal,
): Promise<SpeedUp | null> {
  const sample = pick(results);
  if (sum(sample.map(({ busyMs }) => busyMs)) < LEAST_BUSY_MS) return null;
  const paths = sample.map(({ path }) => path);
  const oneThreadMs = await time(paths, 1, signal);
  const allThreadsMs = await time(paths, threads, signal);
  return { files: sample.length, bytes: sum(sample.map(({ bytes }) => bytes)), oneThreadMs, allThreadsMs };
}

async function time(paths: readonly string[], threads: number, signal: AbortSignal): Promise<number> {
  await using compressor = new Compressor(threads);
  const ignore = { onResult() {}, onFailure() {} };
  await compressor.run(paths.slice(0, threads * WARM_UP_FILES_PER_THREAD), ignore, signal);
  const start = performance.now();
  await compressor.run(paths, ignore, signal);
  return performance.now() - start;
}

/**
 * Draws files at random, each with a chance in proportion to its work, as the whole run's speed is decided by where the
 * work is and not by the many tiny files. (The largest values of random^(1/weight) are such a sample: Efraimidis and
 * Spirakis, 2006.) The seed is fixed and the files are sorted first, as results arrive in another order each time.
 */
function pick(results: readonly Compressed[]): Compressed[] {
  const random = seeded(1);
  const drawn = results
    .filter(({ busyMs }) => busyMs <= LONGEST_FILE_MS)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((result) => ({ result, rank: random() ** (1 / result.busyMs) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ result }) => result);
  let busyMs = 0;
  return drawn.filter((result) => {
    busyMs += result.busyMs;
    return busyMs <= SAMPLE_BUSY_MS;
  });
}

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
