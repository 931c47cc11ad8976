/** A clock that tests move by hand, for `performance`, timers, and the timers that are promises. */

import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import { afterEach, beforeEach, vi } from 'vitest';

const { setTimeout: delay } = timersPromises;

/** Stops the clock in each test of the file or suite it is called in; `vi.advanceTimersByTimeAsync` moves it. */
export function stopTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['performance', 'hrtime', 'setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'],
    });
    replaceDelay(fakeDelay as typeof delay);
  });
  afterEach(() => {
    vi.useRealTimers();
    replaceDelay(delay); // last, since it makes what the modules are then visible to whoever imports by name
  });
}

/** Modules that have imported the function by its name get the other one, too. */
function replaceDelay(by: typeof delay): void {
  timersPromises.setTimeout = by;
  syncBuiltinESMExports();
}

/** `setTimeout` of `node:timers/promises`, by the timers that vitest replaces. */
function fakeDelay<T>(ms: number, value: T, { signal }: { signal?: AbortSignal } = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener('abort', abort);
    setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    }, ms);
  });
}
