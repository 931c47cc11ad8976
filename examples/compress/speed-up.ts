/** Measures how much faster all threads are than one, on the same files in turns. */
import { performance } from 'node:perf_hooks';
import { Compressor } from './compressor.js';
import { seeded } from './sample.js';
import type { Compressed } from './tasks.js';
import type { FoundFile } from './walk.js';

export interface SpeedUp {
  readonly files: number;
  readonly bytes: number;
  readonly oneThreadMs: number;
  readonly allThreadsMs: number;
}

/** How long one thread works on the sample at most: seconds, not minutes. */
const SAMPLE_BUSY_MS = 2_500;
const LEAST_BUSY_MS = 500;
/** The share of a thread's work that one file may be, so that threads do not wait long for the last one at the end. */
const LONGEST_SHARE = 1 / 4;
/** The faster of two runs counts, on both sides: whatever else the machine does can only slow a run down. */
const ROUNDS = 2;
const WARM_UP_FILES_PER_THREAD = 4;

/** Compresses a sample of the files again, on one thread and on all. Returns `null` when there is too little to compare. */
export async function measureSpeedUp(
  results: readonly Compressed[],
  threads: number,
  signal: AbortSignal,
): Promise<SpeedUp | null> {
  const sample = pick(results, (SAMPLE_BUSY_MS / threads) * LONGEST_SHARE);
  if (sum(sample.map(({ busyMs }) => busyMs)) < LEAST_BUSY_MS) return null;
  const times: { one: number; all: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    times.push({ one: await time(sample, 1, signal), all: await time(sample, threads, signal) });
  }
  return {
    files: sample.length,
    bytes: sum(sample.map(({ bytes }) => bytes)),
    oneThreadMs: Math.min(...times.map(({ one }) => one)),
    allThreadsMs: Math.min(...times.map(({ all }) => all)),
  };
}

async function time(files: readonly FoundFile[], threads: number, signal: AbortSignal): Promise<number> {
  await using compressor = new Compressor(threads);
  const ignore = { onResult() {}, onFailure() {} };
  await compressor.run(files.slice(0, threads * WARM_UP_FILES_PER_THREAD), ignore, signal);
  const start = performance.now();
  await compressor.run(files, ignore, signal);
  return performance.now() - start;
}

/**
 * Draws files at random, each with a chance in proportion to its work: the speed of the whole run depends on the files with
 * the most work, not on the many tiny ones. (The largest values of random^(1/weight) are such a sample: Efraimidis and
 * Spirakis, 2006.) The seed is fixed, and the files are sorted first, because results arrive in another order each time.
 */
function pick(results: readonly Compressed[], longestMs: number): Compressed[] {
  const random = seeded(1);
  const drawn = results
    .filter(({ busyMs }) => busyMs <= longestMs)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((result) => ({ result, rank: random() ** (1 / result.busyMs) }))
    .sort((a, b) => b.rank - a.rank)
    .map(({ result }) => result);
  let busyMs = 0;
  const sample = drawn.filter((result) => {
    busyMs += result.busyMs;
    return busyMs <= SAMPLE_BUSY_MS;
  });
  return sample.sort((a, b) => b.busyMs - a.busyMs); // the largest first, as in the whole run
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
