/** Tells what a waiter hears by an event from what it finds by looking again. */

import { onTestFinished } from 'vitest';
import { importBuilt } from './built.js';

const { LISTENER_RENEWAL_MS } =
  await importBuilt<typeof import('../../src/redis/producer-store.js')>('redis/producer-store.js');

/**
 * Keeps the listeners that begin after it from looking again by themselves, until the test is over: whatever their waiters
 * hear came by an event, or was found by a reconnection. Else they would hear of it some seconds later.
 */
export function stopRenewals(): void {
  const { setInterval } = globalThis;
  const never = (callback: () => void, ms?: number) =>
    setInterval(callback, ms === LISTENER_RENEWAL_MS ? 3_600_000 : ms);
  globalThis.setInterval = never as typeof setInterval;
  onTestFinished(() => {
    globalThis.setInterval = setInterval;
  });
}
