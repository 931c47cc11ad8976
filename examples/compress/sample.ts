/** Draws the files that the demo compresses by default, so that it ends within half a minute. */
import { workOf } from './tasks.js';
import type { FoundFile } from './walk.js';

/** What each thread gets to do: 9 s of work on a core that compresses 1.8 MB of small files a second. */
const WORK_PER_THREAD = 16e6;
/** The share of that which one file may be. A longer one could keep a single thread busy at the end. */
const LONGEST_SHARE = 1 / 8;

/** Returns files drawn at random, the same each time; all of them when they are no more work than that. */
export function drawSample(files: readonly FoundFile[], threads: number): FoundFile[] {
  const total = files.reduce((work, { bytes }) => work + workOf(bytes), 0);
  if (total <= WORK_PER_THREAD * threads) return [...files];
  const random = seeded(1);
  const ranked = [...files]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .filter(({ bytes }) => workOf(bytes) <= WORK_PER_THREAD * LONGEST_SHARE)
    .map((file) => ({ file, rank: random() }))
    .sort((a, b) => a.rank - b.rank);
  let work = 0;
  const end = ranked.findIndex(({ file }) => {
    work += workOf(file.bytes);
    return work > WORK_PER_THREAD * threads;
  });
  return ranked.slice(0, end === -1 ? undefined : end).map(({ file }) => file);
}

/** mulberry32: a small random generator that gives the same numbers everywhere. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
