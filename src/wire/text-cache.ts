/**
 * Reads short texts that repeat, such as field names and task names, without making a new string each time.
 *
 * Making a string from bytes and a property key from that costs five times as much as comparing (100 and 20 ns,
 * measured). A bucket holds the last text with its hash. Only short ASCII texts are cached, and the number of buckets
 * bounds the memory.
 */
const BUCKETS = 512;
const LONGEST = 64;

export class TextCache {
  readonly #buckets: (string | undefined)[] = new Array(BUCKETS).fill(undefined);

  /** Returns the UTF-8 text of `size` bytes from `start` on. */
  read(bytes: Buffer, start: number, size: number): string {
    if (size === 0 || size > LONGEST) return bytes.toString('utf8', start, start + size);
    const middle = bytes[start + (size >> 1)]!;
    const bucket = (size * 61 + bytes[start]! * 31 + bytes[start + size - 1]! * 7 + middle) & (BUCKETS - 1);
    const cached = this.#buckets[bucket];
    if (cached !== undefined && isAt(cached, bytes, start, size)) return cached;
    const text = bytes.toString('utf8', start, start + size);
    if (text.length === size) this.#buckets[bucket] = text;
    return text;
  }
}

function isAt(text: string, bytes: Buffer, start: number, size: number): boolean {
  if (text.length !== size) return false;
  for (let i = 0; i < size; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
