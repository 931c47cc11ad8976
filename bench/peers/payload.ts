/** The arguments of every task of every contender: small, as most real arguments are, and unique by their index. */
import { randomUUID } from 'node:crypto';

export interface Payload {
  readonly index: number;
  readonly to: string;
  readonly nested?: object;
}

export type PayloadShape = 'small' | 'nested';

/** Ten objects, each ten deep, with UUIDs as their keys: what BullMQ's public benchmark sends. */
const NESTED = Object.fromEntries(Array.from({ length: 10 }, () => [randomUUID(), nested(9)]));

export function payload(index: number, shape: PayloadShape = 'small'): Payload {
  const small = { index, to: 'ada@example.com' };
  return shape === 'small' ? small : { ...small, nested: NESTED };
}

/** Yields the payloads `from` to `to - 1` in slices of at most `size`. */
export function* slices(from: number, to: number, size: number, shape?: PayloadShape): Generator<Payload[]> {
  for (let start = from; start < to; start += size) {
    const length = Math.min(size, to - start);
    yield Array.from({ length }, (_, i) => payload(start + i, shape));
  }
}

function nested(depth: number): object {
  return depth === 0 ? {} : { [randomUUID()]: nested(depth - 1) };
}
