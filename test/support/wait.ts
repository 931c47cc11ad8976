/** Waiting in tests, without fixed sleeps. */

import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until the condition holds, for what sends no event. Returns what the condition returned.
 *
 * @throws when it does not hold within `timeoutMs` (20 s); an error the condition threw last is the cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 20_000 }: { timeoutMs?: number } = {},
): Promise<T> {
  const beganMs = performance.now();
  const deadline = beganMs + timeoutMs;
  let cause: unknown;
  do {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    // The longer it takes, the less often it looks: each look costs something, and is late by a twentieth at most.
    await sleep(Math.min(25, Math.max(3, (performance.now() - beganMs) / 20)));
  } while (performance.now() < deadline);
  throw new Error(`waited ${timeoutMs} ms in vain for ${condition}`, { cause });
}

/** A promise settled by hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

/** Makes a promise that the test settles, to hold a task at a known point. */
export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onValue, onReason) => {
    resolve = onValue;
    reject = onReason;
  });
  return { promise, resolve, reject };
}
