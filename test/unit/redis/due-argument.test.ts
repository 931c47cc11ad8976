import { expect, test } from 'vitest';
import type { Due } from '../../../src/core/due.js';
import { dueArgument } from '../../../src/redis/due-argument.js';

test.each<[Due | null, string]>([
  [null, ''],
  [{ delayMs: 0 }, '+0'],
  [{ delayMs: 1_500 }, '+1500'],
  [{ delayMs: 0.25 }, '+1'],
  [{ atMs: 1_700_000_000_000 }, '@1700000000000'],
  [{ atMs: 1_700_000_000_000.5 }, '@1700000000001'],
])('%j is written as %j', (due, text) => {
  expect(dueArgument(due)).toBe(text);
});
