/** Checks the keys of executions. */
import { InvalidOptionError } from './errors.js';
import { shown } from './options.js';

const MAX_KEY_BYTES = 512;

/** @throws InvalidOptionError when it is empty, longer than 512 bytes or not well-formed text */
export function checkKey(key: unknown): asserts key is string {
  if (typeof key !== 'string' || key === '')
    throw new InvalidOptionError('key', `expected text that is not empty, got ${shown(key)}`);
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new InvalidOptionError('key', `expected at most ${MAX_KEY_BYTES} bytes, got ${Buffer.byteLength(key)}`);
  }
  if (/\p{Cs}/u.test(key))
    throw new InvalidOptionError('key', 'the text has a lone surrogate, which UTF-8 cannot hold');
}
