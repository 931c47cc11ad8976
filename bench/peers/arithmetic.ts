/** Work that needs only CPU and allocates nothing: arithmetic over a typed array. */
import type { Rounds } from './hash-rounds.js';

const LENGTH = 4_096;
const FACTORS = new Float64Array(LENGTH).map((_, i) => i / LENGTH);

/** Piscina runs this export as it is; docket runs it as a task. */
export default function arithmetic({ rounds }: Rounds): number {
  let sum = 1;
  for (let round = 0; round < rounds; round++) {
    // Not for..of: V8 may make an object for each number it takes from an iterator.
    for (let i = 0; i < LENGTH; i++) sum = (sum * 1.0000001 + FACTORS[i]!) % 7;
  }
  return sum;
}
