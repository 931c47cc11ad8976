import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { onAbort } from '../../../src/core/abort.js';

test('the abort of a signal calls every listener, except those that have stopped listening', () => {
  const controller = new AbortController();
  const calls: string[] = [];
  const tell = (name: string) => onAbort(controller.signal, () => calls.push(name));
  tell('a');
  const stop = tell('b');
  tell('c');
  stop();
  controller.abort();
  expect(calls).toEqual(['a', 'c']);
});

test('a function that listens twice is called twice, and each listening is stopped by itself', () => {
  const controller = new AbortController();
  const callback = vi.fn();
  const [stop] = [onAbort(controller.signal, callback), onAbort(controller.signal, callback)];
  stop();
  controller.abort();
  expect(callback).toHaveBeenCalledTimes(1);
});

test('any number may listen to one signal, one after the other and at once, without a warning or a trace', async () => {
  const warn = vi.fn();
  process.on('warning', warn);
  onTestFinished(() => void process.off('warning', warn));
  const { signal } = new AbortController();
  const add = vi.spyOn(signal, 'addEventListener');
  for (let i = 0; i < 1_000; i++) onAbort(signal, () => {})();
  const stops = Array.from({ length: 100 }, () => onAbort(signal, () => {}));
  for (const stop of stops) stop();
  await new Promise((resolve) => setImmediate(resolve));
  expect(add).toHaveBeenCalledTimes(1);
  expect(warn).not.toHaveBeenCalled();
});

test('no signal is combined from others, which would leave a trace on each of them for good', () => {
  const source = fileURLToPath(new URL('../../../src', import.meta.url));
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const code = (file: string) => readFileSync(join(source, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => code(file).includes('AbortSignal.any'))).toEqual([]);
});
