import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import type { Entry } from '../../../../src/redis/entry.js';
import { Lookout } from '../../../../src/worker/intake/lookout.js';
import { messageOf } from '../deliveries.js';

function setUp() {
  const subscriber = new EventEmitter();
  const strikeGuard = { isFollowing: true, lookUp: vi.fn() };
  const pauseGuard = { isFollowing: true, lookUp: vi.fn() };
  const cancelListener = { isFollowing: true, lookUp: vi.fn() };
  const lookout = new Lookout({ subscriber: subscriber as unknown as Redis, strikeGuard, pauseGuard, cancelListener });
  return { subscriber, strikeGuard, pauseGuard, cancelListener, lookout };
}

test('nothing is missed while all guards follow and the link is not silent', () => {
  const { subscriber, strikeGuard, pauseGuard, cancelListener, lookout } = setUp();
  expect(lookout.isHearing).toBe(true);
  for (const guard of [strikeGuard, pauseGuard, cancelListener]) {
    guard.isFollowing = false;
    expect(lookout.isHearing).toBe(false);
    guard.isFollowing = true;
  }
  for (const end of ['heard', 'ready']) {
    subscriber.emit('silent');
    expect(lookout.isHearing).toBe(false);
    subscriber.emit(end);
    expect(lookout.isHearing).toBe(true);
  }
});

test('cancels are looked up for the executions without a record that can be read', async () => {
  const { cancelListener, lookout } = setUp();
  const entries = [
    { token: 'w1-0', record: null, message: messageOf({ id: 'a' }) },
    { token: 'w2-0', record: 'k', message: messageOf({ id: null }) },
    { token: 'w3-0', record: null, message: Buffer.from('garbage') },
    { token: 'w4-0', record: null, message: null },
  ] as unknown as Entry[];
  await lookout.lookUp(entries, false);
  expect(cancelListener.lookUp).toHaveBeenLastCalledWith(['a'], []);
  await lookout.lookUp(entries, true); // some may be claimed: they may have been asked to stop
  expect(cancelListener.lookUp).toHaveBeenLastCalledWith(['a'], entries);
});

test('strikes and pauses are looked up, whatever was read', async () => {
  const { strikeGuard, pauseGuard, lookout } = setUp();
  await lookout.lookUp([], false);
  expect(strikeGuard.lookUp).toHaveBeenCalledTimes(1);
  expect(pauseGuard.lookUp).toHaveBeenCalledTimes(1);
});

test('an interruption is counted when the link breaks or goes silent, and not when it is back', () => {
  const { subscriber, lookout } = setUp();
  for (const event of ['silent', 'heard', 'close', 'ready']) subscriber.emit(event);
  expect(lookout.interruptions).toBe(2);
});
