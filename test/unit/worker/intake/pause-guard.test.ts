import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { keysOf } from '../../../../src/redis/keys.js';
import type { Delivery } from '../../../../src/worker/delivery.js';
import { describePauses, PauseGuard } from '../../../../src/worker/intake/pause-guard.js';
import { recordingLogger } from '../../../support/logger.js';
import { deliveryWith, messageOf } from '../deliveries.js';

// Its own timers are those of Node, which cannot be faked.
vi.mock(import('../../../../src/core/service.js'), async (original) => ({
  ...(await original()),
  pause: (ms, signal) =>
    new Promise<void>((resolve) => {
      setTimeout(resolve, ms);
      signal.addEventListener('abort', () => resolve(), { once: true });
    }),
}));

const keys = keysOf('d');

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A guard in front of a hash that the test writes, with these deliveries in the dispatcher. */
async function setUp(stored: Record<string, string> = {}, deliveries: Delivery[] = []) {
  const subscriber = Object.assign(new EventEmitter(), { subscribe: async () => 1 });
  const redis = {
    hget: async () => stored.version ?? null,
    hgetall: vi.fn(async () => ({ ...stored })),
  };
  const { logger, lines } = recordingLogger('info');
  const taken: string[] = [];
  let resumed = 0;
  const guard = new PauseGuard({
    redis: redis as unknown as Redis,
    subscriber: subscriber as unknown as Redis,
    keys,
    logger,
    dispatcher: { takeBackUnstarted: (matches = () => true) => deliveries.filter(matches) },
    onTakenBack: (back) => taken.push(...back.map(({ token }) => token)),
    onDocketResumed: () => resumed++,
  });
  guard.start();
  onTestFinished(() => guard.stop());
  await guard.ready;
  const publish = async (...messages: string[]) => {
    for (const message of messages) subscriber.emit('message', keys.pauseChanges, message);
    await turn();
  };
  const messages = () => lines.map(({ message }) => message);
  return { guard, stored, redis, taken, resumed: () => resumed, publish, messages };
}

/** Lets what waits for the end of the turn happen. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

const delivery = (token: string, task = 'resize') =>
  deliveryWith({ token: token as 'w1-0', message: messageOf({ task }) });

test('it knows what is paused, by task and for the docket, and until the last reason is gone', async () => {
  const { guard, publish } = await setUp({ version: '5', '#resize a': '1', '#a%20b x y': '1' });
  expect(['resize', 'a b', 'other'].map((task) => guard.isPaused(task))).toEqual([true, true, false]);
  await publish('5 6 +#resize b', '6 7 -#resize a');
  expect([guard.isPaused('resize'), guard.size]).toEqual([true, 2]);
  await publish('7 8 -#resize b', '8 9 +* a');
  expect([guard.isPaused('resize'), guard.isPaused('other'), guard.isDocketPaused]).toEqual([true, true, true]);
  await publish('9 10 -* a');
  expect([guard.isPaused('resize'), guard.isPaused('other'), guard.isDocketPaused]).toEqual([false, false, false]);
});

test('a pause takes back what has not started, and keeps the order of the dispatcher, by priority', async () => {
  const tokens = ['f30-0', 'h20-0', 'w9-2', 'w9-11', 'b4-0'];
  const { publish, taken } = await setUp({}, [...tokens.map((token) => delivery(token)), delivery('w1-0', 'other')]);
  await publish('0 5 +#resize a');
  expect(taken).toEqual(tokens);
});

test('the docket counts as resumed even if it was paused for a part of a turn only', async () => {
  const { publish, resumed } = await setUp();
  await publish('0 5 +* a', '5 6 +#resize a', '6 7 -* a');
  expect(resumed()).toBe(1);
  await publish('7 8 -#resize a');
  expect(resumed()).toBe(1);
});

test('while the docket is paused, and only then, a resume that was not heard is looked up', async () => {
  const { guard, stored, redis, publish, resumed } = await setUp();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(redis.hgetall).toHaveBeenCalledTimes(1); // the first load
  stored.version = '5';
  stored['* a'] = '1';
  await publish('0 5 +* a');
  for (const name of Object.keys(stored)) delete stored[name];
  await vi.advanceTimersByTimeAsync(10_000);
  await turn();
  expect([guard.isDocketPaused, resumed()]).toEqual([false, 1]);
});

test('what is paused is logged once for each change', async () => {
  const { publish, messages } = await setUp({ version: '5', '#resize a': '1' });
  await turn();
  await publish('5 6 +* b', '6 7 +#other c');
  await publish('7 8 -#resize a', '8 9 -* b', '9 10 -#other c');
  expect(messages()).toEqual([
    'paused, so nothing more of it starts: resize (a)',
    'paused, so nothing more of it starts: resize (a), the docket (b), other (c)',
    'nothing is paused any more',
  ]);
});

test('a long list of pauses is cut', () => {
  const pauses = Array.from({ length: 12 }, (_, i) => ({ task: `t${i}`, reason: 'a' }));
  expect(describePauses(pauses)).toMatch(/^t0 \(a\), .*, t9 \(a\) and 2 more$/);
});
