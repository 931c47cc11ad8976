/** The arguments of every task of every contender: small, as most real arguments are, and unique by their index. */

export interface Payload {
  readonly index: number;
  readonly to: string;
}

export function payload(index: number): Payload {
  return { index, to: 'ada@example.com' };
}

/** Yields the payloads `from` to `to - 1` in slices of at most `size`. */
export function* slices(from: number, to: number, size: number): Generator<Payload[]> {
  for (let start = from; start < to; start += size) {
    const length = Math.min(size, to - start);
    yield Array.from({ length }, (_, i) => payload(start + i));
  }
}
