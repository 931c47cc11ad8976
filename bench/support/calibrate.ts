/** Finds out how much work takes a given time on this machine. */
import type { Rounds } from '../peers/hash-rounds.js';

/** The first trials compile the body. */
const TRIALS = 20;

/** Returns how many rounds of `body` take about `ms` here, by the shortest of several trials of `trialRounds` each. */
export function roundsThatTake(ms: number, body: (work: Rounds) => unknown, trialRounds: number): number {
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < TRIALS; trial++) {
    const start = performance.now();
    body({ rounds: trialRounds });
    shortestMs = Math.min(shortestMs, performance.now() - start);
  }
  return Math.max(1, Math.round((trialRounds * ms) / shortestMs));
}
