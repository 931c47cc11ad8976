/** Short, unique ids in the order of time, for executions that were given no key. */
import { randomBytes } from 'node:crypto';

/** Ids count the time from here, so that they need fewer letters until 2051. */
const EPOCH_MS = Date.UTC(2026, 0);
/** The time is counted in parts of a millisecond, so that the ids of one millisecond differ. */
const TICKS = 128;
/** The last digits of the time, made once: most ids only take the next one. */
const LAST_DIGITS = Array.from({ length: 36 ** 2 }, (_, i) => i.toString(36).padStart(2, '0'));
const FIRST_DIGITS = 7;
/** 62 to this power are 41 random bits. */
const TAG_LETTERS = 7;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/**
 * Returns a generator of ids such as `0axp3k9f2Tz8wQ4e`: nine digits of time, and a random tag of the generator. The tag
 * keeps processes apart; the time keeps the ids of one generator apart and in order. It runs ahead of the clock while more
 * ids are made than it has ticks (128,000 a second), or when the clock is set back. Every queued execution has its id in
 * Redis two or three times, so each letter counts. The digits of the time need no capital letters: names of files that
 * ignore the case keep the ids of a generator apart, too.
 */
export function createIdGenerator(now: () => number = Date.now): () => string {
  const tag = randomTag();
  let last = -1;
  let prefixTime = -1;
  let prefix = '';
  return () => {
    last = Math.max(last + 1, (now() - EPOCH_MS) * TICKS);
    const time = Math.floor(last / LAST_DIGITS.length);
    if (time !== prefixTime) {
      prefixTime = time;
      prefix = time.toString(36).padStart(FIRST_DIGITS, '0');
    }
    return prefix + LAST_DIGITS[last % LAST_DIGITS.length] + tag;
  };
}

function randomTag(): string {
  let tag = '';
  while (tag.length < TAG_LETTERS) {
    for (const byte of randomBytes(2 * TAG_LETTERS)) {
      // The bytes beyond the last multiple of 62 would make some letters likelier than others.
      if (byte < 4 * ALPHABET.length && tag.length < TAG_LETTERS) tag += ALPHABET[byte % ALPHABET.length];
    }
  }
  return tag;
}
