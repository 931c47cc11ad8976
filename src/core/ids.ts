/** Short, time-ordered, unique ids for executions that were given no key. */
import { randomBytes } from 'node:crypto';

/**
 * Returns a generator of ids such as `mi8x2k1f-3f9a1c0b-00001`: milliseconds, a random tag of the generator, a counter.
 * The tag (48 random bits) keeps processes apart, the counter keeps the ids of one millisecond apart and in order.
 */
export function createIdGenerator(now: () => number = Date.now): () => string {
  const tag = randomBytes(6).toString('hex');
  let lastMs = -1;
  let prefix = '';
  let counter = 0;
  return () => {
    const ms = now();
    if (ms !== lastMs) {
      lastMs = ms;
      prefix = `${ms.toString(36)}-${tag}-`;
    }
    counter += 1;
    return prefix + counter.toString(36);
  };
}
