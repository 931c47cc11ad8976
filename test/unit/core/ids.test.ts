import { expect, test } from 'vitest';
import { createIdGenerator, timeOfId } from '../../../src/core/ids.js';

test('a hundred thousand ids of two generators are all different', () => {
  const generators = [createIdGenerator(), createIdGenerator()];
  const ids = new Set<string>();
  for (let i = 0; i < 50_000; i++) for (const generate of generators) ids.add(generate());
  expect(ids.size).toBe(100_000);
});

test('ids sort in the order of their creation, also within a millisecond', () => {
  let now = 1_790_000_000_000;
  const generate = createIdGenerator(() => now);
  const ids: string[] = [];
  for (let ms = 0; ms < 3; ms++) {
    for (let i = 0; i < 3_000; i++) ids.push(generate());
    now += 1;
  }
  expect(isSorted(ids)).toBe(true);
  expect(new Set(ids).size).toBe(9_000);
});

test('an id says when it was made; no other text does', () => {
  const generate = createIdGenerator(() => 1_790_000_000_123);
  expect(Math.floor(timeOfId(generate())!)).toBe(1_790_000_000_123);
  for (const text of ['', 'charge-1', 'k'.repeat(15), `${generate()}x`]) expect(timeOfId(text)).toBeNull();
});

test('ids of different generators sort by their milliseconds', () => {
  let now = 1_790_000_000_000;
  const generators = Array.from({ length: 5 }, () => createIdGenerator(() => now));
  for (let i = 0; i < 100; i++) generators[0]!(); // counters apart
  const ids: string[] = [];
  for (const generate of generators) {
    ids.push(generate());
    now += 1;
  }
  expect([...ids].sort()).toEqual(ids);
});

test('ids keep their order when the clock is set back', () => {
  const times = [1_790_000_000_100, 101, 1_790_000_000_099, 1_790_000_000_100, 1_790_000_000_101, 0];
  const pending = [...times];
  const generate = createIdGenerator(() => pending.shift()!);
  const ids = times.map(() => generate());
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
});

test('an id is short and safe in URLs, keys and file names', () => {
  expect(createIdGenerator()()).toMatch(/^[a-z0-9]{9}[A-Za-z0-9]{7}$/);
});

test('the ids of a generator differ also where the case of letters is ignored', () => {
  const generate = createIdGenerator(() => 1_800_000_000_000);
  const ids = new Set(Array.from({ length: 5_000 }, () => generate().toLowerCase()));
  expect(ids.size).toBe(5_000);
});

function isSorted(texts: readonly string[]): boolean {
  return texts.every((text, i) => i === 0 || texts[i - 1]! < text);
}
