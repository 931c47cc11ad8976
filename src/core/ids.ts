/** Short, unique ids in the order of time, for executions that were given no key. */
import { randomBytes } from 'node:crypto';

/** Ids count the time from here. So nine digits last until 2051. */
const EPOCH_MS = Date.UTC(2026, 0);
/** The time is counted in parts of a millisecond, so that the ids of one millisecond differ. */
const TICKS_PER_MS = 128;
/** The last two digits of the time, made once: most ids only take the next pair. */
const LAST_DIGITS = Array.from({ length: 36 ** 2 }, (_, i) => i.toString(36).padStart(2, '0'));
/** The number of digits before those. */
const FIRST_DIGITS = 7;
/** Seven of 62 letters are 41 random bits. */
const SUFFIX_LETTERS = 7;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * Returns a generator of ids such as `0axp3k9f2Tz8wQ4e`: nine digits of time, and a random suffix of the generator. The suffix
 * keeps processes apart; the time keeps the ids of one generator apart and in order. It runs ahead of the clock while ids
 * are made faster than it ticks (128,000 a second), and after the clock was set back. Every queued execution has its id in
 * Redis two or three times, so each letter counts. The digits of the time have no capital letters. So the ids of a generator
 * differ also as names of files, where some systems ignore the case.
 */
export function createIdGenerator(now: () => number = Date.now): () => string {
  const suffix = randomSuffix();
  let last = -1;
  let prefixTime = -1;
  let prefix = '';
  return () => {
    last = Math.max(last + 1, (now() - EPOCH_MS) * TICKS_PER_MS);
    const time = Math.floor(last / LAST_DIGITS.length);
    if (time !== prefixTime) {
      prefixTime = time;
      prefix = time.toString(36).padStart(FIRST_DIGITS, '0');
    }
    return prefix + LAST_DIGITS[last % LAST_DIGITS.length] + suffix;
  };
}

/**
 * Returns the time at which an id was made, in milliseconds by the clock of its producer; `null` for a text that no generator
 * made.
 */
export function timeOfId(id: string): number | null {
  if (!/^[0-9a-z]{9}[0-9A-Za-z]{7}$/.test(id)) return null;
  return EPOCH_MS + Number.parseInt(id.slice(0, FIRST_DIGITS + 2), 36) / TICKS_PER_MS;
}

function randomSuffix(): string {
  let suffix = '';
  while (suffix.length < SUFFIX_LETTERS) {
    for (const byte of randomBytes(2 * SUFFIX_LETTERS)) {
      // The bytes beyond the last multiple of 62 would make some letters likelier than others.
      if (byte < 4 * ALPHABET.length && suffix.length < SUFFIX_LETTERS) suffix += ALPHABET[byte % ALPHABET.length];
    }
  }
  return suffix;
}
