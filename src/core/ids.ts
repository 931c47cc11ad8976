/** Short, unique ids in the order of time, for executions that were given no key. */
import { randomBytes } from 'node:crypto';

/**
 * Written as `1000` in base 36: up to 1.6 million ids a millisecond have counters of the same length, so they sort as
 * text.
 */
const FIRST = 36 ** 3;

/**
 * Returns a generator of ids such as `mi8x2k1f-3f9a1c0b72d4-1000`: milliseconds, a random tag of the generator, and a
 * counter. The tag (48 random bits) keeps processes apart; the counter keeps the ids of one millisecond apart and in
 * order. When the clock is set back, ids keep the last millisecond until the clock has caught up.
 */
export function createIdGenerator(now: () => number = Date.now): () => string {
  const tag = randomBytes(6).toString('hex');
  let lastMs = -1;
  let prefix = '';
  let counter = FIRST;
  return () => {
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      prefix = `${ms.toString(36)}-${tag}-`;
      counter = FIRST;
    }
    return prefix + (counter++).toString(36);
  };
}
