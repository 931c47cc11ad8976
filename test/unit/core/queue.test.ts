import { expect, test } from 'vitest';
import { Queue } from '../../../src/core/queue.js';

test('the item that was pushed first leaves first', () => {
  const queue = new Queue<number>();
  for (const item of [1, 2, 3]) queue.push(item);
  expect([queue.peek(), queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual([1, 1, 2, 3, undefined]);
});

test('items that are put back leave before all others, the last one first', () => {
  const queue = new Queue<string>();
  queue.push('c');
  queue.unshift('b');
  queue.unshift('a');
  queue.push('d');
  expect(queue.peek()).toBe('a');
  expect([...queue]).toEqual(['a', 'b', 'c', 'd']);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual(['a', 'b', 'c', 'd']);
});

test('clear empties the queue and returns its items in order', () => {
  const queue = new Queue<number>();
  for (const item of [1, 2, 3]) queue.push(item);
  queue.shift();
  queue.unshift(0);
  expect(queue.clear()).toEqual([0, 2, 3]);
  expect([queue.length, queue.peek(), queue.shift()]).toEqual([0, undefined, undefined]);
});

test('removeIf keeps the order of the remaining items', () => {
  const queue = new Queue<number>();
  for (const item of [2, 3, 4, 5]) queue.push(item);
  queue.unshift(1);
  queue.removeIf((item) => item % 2 === 0);
  expect([...queue]).toEqual([1, 3, 5]);
});

test('a queue behaves like an array under any operations', () => {
  const queue = new Queue<number>();
  let model: number[] = [];
  const random = randomOf(7);
  for (let i = 1; i < 60_000; i++) {
    const dice = random();
    if (dice < 0.5) {
      queue.push(i);
      model.push(i);
    } else if (dice < 0.9) {
      expect(queue.shift()).toBe(model.shift());
    } else if (dice < 0.999) {
      queue.unshift(i);
      model.unshift(i);
    } else {
      const remainder = i % 3;
      queue.removeIf((item) => item % 3 === remainder);
      model = model.filter((item) => item % 3 !== remainder);
    }
    if (queue.length !== model.length || queue.peek() !== model[0]) expect([...queue]).toEqual(model);
  }
  expect([...queue]).toEqual(model);
});

test('a long queue is emptied in linear time', () => {
  const queue = new Queue<number>();
  const items = 300_000;
  for (let i = 0; i < items; i++) queue.push(i);
  const started = performance.now();
  for (let i = 0; i < items; i++) queue.shift();
  expect(queue.length).toBe(0);
  expect(performance.now() - started).toBeLessThan(2_000); // Array.shift alone takes minutes
});

function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
