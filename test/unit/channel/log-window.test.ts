import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { LogWindow, unitsOf } from '../../../src/channel/log-window.js';

const line = (message: string, fields = {}) => ({ level: 'info', message, fields }) as const;

test('a long line takes more room than a short one', () => {
  expect(unitsOf(line(''))).toBe(1);
  expect(unitsOf(line('x'.repeat(1_000), { n: 7, text: 'y'.repeat(2_000) }))).toBe(3);
  expect(
    unitsOf(
      line(
        '',
        Array.from({ length: 10_000 }, (_, i) => i),
      ),
    ),
  ).toBeGreaterThan(100); // many fields, all short
});

test('lines have room until a window of them is on its way, and again as they are written', () => {
  const window = new LogWindow(undefined, 5);
  const coordinator = new LogWindow(window.buffer);
  for (let i = 0; i < 256; i++) expect(window.take(1)).toBe(true);
  expect(window.take(1)).toBe(false);
  coordinator.written(2);
  expect([window.take(1), window.take(1), window.take(1)]).toEqual([true, true, false]);
});

test('a line that is larger than the window has room when nothing is on its way', () => {
  const window = new LogWindow(undefined, 5);
  expect(window.take(1_000)).toBe(true);
  expect(window.take(1)).toBe(false);
  window.written(1_000);
  expect(window.take(1)).toBe(true);
  expect(window.take(1_000)).toBe(false);
});

test('the count of what was written may wrap around', () => {
  const window = new LogWindow(undefined, 5);
  for (let i = 0; i < 40; i++) {
    expect(window.take(2 ** 27)).toBe(true);
    expect(window.take(1)).toBe(false);
    window.written(2 ** 27);
  }
});

test('only the first line without room waits while nothing is written', () => {
  const window = new LogWindow(undefined, 40);
  window.take(256);
  const start = performance.now();
  for (let i = 0; i < 100; i++) expect(window.take(1)).toBe(false);
  expect(performance.now() - start).toBeGreaterThanOrEqual(39);
  expect(performance.now() - start).toBeLessThan(1_000);
});

test('a busy loop goes on as soon as there is room', async () => {
  const window = new LogWindow(undefined, 10_000);
  window.take(256);
  const writer = new Worker(
    `const { workerData } = require('node:worker_threads');
     setTimeout(() => {
       const words = new Int32Array(workerData);
       Atomics.add(words, 0, 1);
       Atomics.notify(words, 0);
     }, 20);`,
    { eval: true, workerData: window.buffer },
  );
  expect(window.take(1)).toBe(true); // blocks this thread meanwhile
  await writer.terminate();
});
