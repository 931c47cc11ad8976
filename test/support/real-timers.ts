/**
 * Fails a file that leaves a timer replaced. The files after it run in the same process: whatever waits in them would wait
 * for ever, far from the cause.
 */
import { afterAll, expect, vi } from 'vitest';

const NAMES = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'performance',
  'Date',
] as const;

const now = () => NAMES.map((name) => globalThis[name]);
const kept = globalThis as { realTimers?: readonly unknown[] };
kept.realTimers ??= now(); // this file runs once for each file of tests
const real = kept.realTimers;

afterAll(() => {
  vi.restoreAllMocks(); // a spy on a stopped timer brings it back when it is restored, by whichever file does that
  const replaced = NAMES.filter((name) => globalThis[name] !== real[NAMES.indexOf(name)]);
  vi.useRealTimers();
  for (const [i, name] of NAMES.entries()) Object.assign(globalThis, { [name]: real[i] });
  expect(replaced, 'left replaced').toEqual([]);
});
