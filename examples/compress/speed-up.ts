/** How much faster all threads are than one: measured on the same files, one side after the other. */
import { performance } from 'node:perf_hooks';
import { compressFiles } from './compress-files.js';
import type { Compressed } from './tasks.js';

export interface SpeedUp {
  readonly files: number;
  readonly bytes: number;
  readonly oneThreadMs: number;
  readonly allThreadsMs: number;
}

/** About three seconds on one thread. */
const SAMPLE_BUSY_MS = 3_000;
/** No file may be so long that the other threads wait for it at the end. */
const LONGEST_FILE_MS = 100;
const LEAST_BUSY_MS = 500;

/** Compresses a random sample of the files again, on one thread and on all. `null` when there is too little to compare. */
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

/** From the first result to the last: the threads have started and compiled by then, on both sides. */
async function time(paths: readonly string[], threads: number, signal: AbortSignal): Promise<number> {
  let first = 0;
  let last = 0;
  const done = () => {
    last = performance.now();
    first ||= last;
  };
  await compressFiles(paths, { threads, signal, onResult: done, onFailure: done });
  return last - first;
}

/** Sorted first, as results arrive in another order each time, then shuffled with a fixed seed: always the same sample. */
function pick(results: readonly Compressed[]): Compressed[] {
  const random = seeded(1);
  const shuffled = results
    .filter(({ busyMs }) => busyMs <= LONGEST_FILE_MS)
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((result) => ({ result, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ result }) => result);
  const sample: Compressed[] = [];
  for (let busyMs = 0; busyMs < SAMPLE_BUSY_MS && sample.length < shuffled.length; busyMs += sample.at(-1)!.busyMs) {
    sample.push(shuffled[sample.length]!);
  }
  return sample;
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
