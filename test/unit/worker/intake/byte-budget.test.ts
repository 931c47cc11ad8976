import { expect, test } from 'vitest';
import type { Entry } from '../../../../src/redis/entry.js';
import { ByteBudget, bytesOf } from '../../../../src/worker/intake/byte-budget.js';
import { deliveryWith } from '../deliveries.js';

const MIB = 1024 * 1024;

/** Entries whose messages have these numbers of bytes; messages of one size share their bytes. */
function entries(count: number, bytes: number): Entry[] {
  const entry = { ...deliveryWith({ record: 'k' }).entry, message: Buffer.alloc(bytes) };
  return Array.from({ length: count }, () => entry);
}

function budgetOf(inHand = { bytes: 0 }) {
  let counts = 0;
  const budget = new ByteBudget(() => {
    counts += 1;
    return inHand.bytes;
  });
  return { budget, counts: () => counts };
}

/** Reads small messages, with outcomes of no bytes, until that changes nothing more. */
function warmUp(budget: ByteBudget): void {
  for (let i = 0; i < 200; i++) budget.addOutcome(0);
  for (let i = 0; i < 30; i++) budget.addEntries(entries(10, 100));
}

test('the first reads are small, and double while the messages are small', () => {
  const { budget } = budgetOf();
  for (let i = 0; i < 200; i++) budget.addOutcome(0);
  const counts: number[] = [];
  for (let i = 0; i < 5; i++) {
    counts.push(budget.room(0).ofEach);
    budget.addEntries(entries(10, 100));
  }
  expect(counts).toEqual([16, 32, 64, 128, 128]);
});

test('after a large message the next read is small, even if the others beside it were small', () => {
  const { budget } = budgetOf();
  warmUp(budget);
  expect(budget.room(0).ofEach).toBe(128);
  budget.addEntries([...entries(100, 100), ...entries(1, MIB)]);
  expect(budget.room(0).ofEach).toBe(8);
});

test('no read exceeds the budget, even if all its messages are as large as the default allows', () => {
  const inHand = { bytes: 100 * MIB };
  const { budget } = budgetOf(inHand);
  warmUp(budget);
  budget.addOutcome(100 * MIB);
  for (let i = 0; i < 200; i++) budget.addOutcome(0);
  expect(budget.room(0).ofEach).toBe(28);
  inHand.bytes = 128 * MIB;
  expect(budget.room(0).ofEach).toBe(0);
});

test('outcomes of executions that were read ahead are expected to be as large as the last one, then smaller step by step', () => {
  const { budget } = budgetOf();
  warmUp(budget);
  budget.addOutcome(MIB);
  expect(budget.room(0).ofEach).toBe(64);
  expect(budget.room(100).ofEach).toBe(14);
  expect(budget.room(128).ofEach).toBe(0);
  for (let i = 0; i < 6; i++) budget.addOutcome(100);
  expect(budget.room(128).ofEach).toBeGreaterThan(40);
});

test('with nothing in hand one message may be read, however large outcomes are', () => {
  const { budget } = budgetOf();
  budget.addOutcome(300 * MIB);
  expect(budget.room(0).ofEach).toBe(1);
});

test('the bytes in hand are counted only when they might be too many', () => {
  const { budget, counts } = budgetOf({ bytes: 1_000 });
  warmUp(budget);
  for (let i = 0; i < 1_000; i++) {
    budget.addEntries(entries(100, 1_000));
    budget.room(100);
  }
  expect(counts()).toBe(1); // 100 MB came
});

test('an entry without a message has no bytes', () => {
  expect(bytesOf([...entries(2, 10), { ...entries(1, 0)[0]!, message: null }])).toBe(20);
});

test('messages that cannot be large may be read a thousand at a time, as far as there is room for them', () => {
  const inHand = { bytes: 0 };
  const { budget } = budgetOf(inHand);
  warmUp(budget);
  expect(budget.roomForSmall(0).ofEach).toBeGreaterThan(1_024);
  inHand.bytes = 127 * MIB;
  budget.addOutcome(100 * MIB);
  for (let i = 0; i < 200; i++) budget.addOutcome(0);
  expect(budget.roomForSmall(0).ofEach).toBe(64);
  budget.addEntries(entries(1, MIB));
  expect(budget.roomForSmall(0).ofEach).toBeLessThanOrEqual(8);
});

test('all streams together may bring what fits, although one read of them may bring less', () => {
  const inHand = { bytes: 100 * MIB };
  const { budget } = budgetOf(inHand);
  warmUp(budget);
  expect(budget.room(0)).toEqual({ ofEach: 128, inAll: 128 });
  expect(budget.room(0, 100).inAll).toBe(28);
  expect(budget.roomForSmall(0).inAll).toBeGreaterThan(8_000);
  budget.addEntries(entries(100, MIB));
  expect(budget.room(0)).toEqual({ ofEach: 8, inAll: 28 });
  expect(budget.roomForSmall(0, 20).inAll).toBe((8 * MIB) / (16 * 1024));
});

test('before the first outcomes, those of what was read ahead are expected to be large', () => {
  const { budget } = budgetOf();
  for (let i = 0; i < 30; i++) budget.addEntries(entries(10, 100));
  expect(budget.room(0).ofEach).toBe(64);
  expect(budget.roomForSmall(100).ofEach).toBeLessThan(30);
  for (let i = 0; i < 200; i++) budget.addOutcome(100);
  expect(budget.roomForSmall(100).ofEach).toBeGreaterThan(1_024);
});
