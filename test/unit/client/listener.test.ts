/** When a listener has everything that it needs to miss nothing, and how long it keeps that. */
import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Listener } from '../../../src/client/listener.js';
import { openConnection } from '../../../src/redis/connection.js';
import type { RecordEvent } from '../../../src/redis/events.js';
import { keysOf } from '../../../src/redis/keys.js';
import { LISTENER_RENEWAL_MS } from '../../../src/redis/producer-store.js';
import { LISTENED_FOR } from '../../../src/redis/schema.js';
import { type Deferred, deferred } from '../../support/wait.js';

vi.mock(import('../../../src/redis/connection.js'), async (original) => ({
  ...(await original()),
  openConnection: vi.fn(),
  closeConnection: vi.fn(),
}));

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A listener whose server answers when the test says so. */
function setUp() {
  const subscribing: Deferred<void>[] = [];
  const marking: Deferred<void>[] = [];
  const unsubscribed: string[][] = [];
  const wait = (list: Deferred<void>[]) => {
    const one = deferred<void>();
    list.push(one);
    return one.promise;
  };
  const subscriber = Object.assign(new EventEmitter(), {
    subscribe: vi.fn(() => wait(subscribing)),
    unsubscribe: async (...names: string[]) => void unsubscribed.push(names),
    ping: async () => 'PONG',
  });
  vi.mocked(openConnection).mockResolvedValue(subscriber as unknown as Redis);
  const marked: unknown[] = [];
  const set = (_key: string, value: string) => {
    marked.push(value);
    return wait(marking);
  };
  const commands = { set, pexpire: async () => 1 } as unknown as Redis;
  const listener = new Listener({ url: 'redis://x', connection: null, keys: keysOf('d') }, async () => commands);
  onTestFinished(() => listener.close());
  return { listener, subscriber, subscribing, marking, marked, unsubscribed };
}

const turn = () => vi.advanceTimersByTimeAsync(0);

test.each([
  ['subscription', 'marker'],
  ['marker', 'subscription'],
])('a watch is not confirmed by the %s before the %s is in force, too', async (first) => {
  const { listener, subscribing, marking } = setUp();
  const confirmed = vi.fn();
  const watching = listener.watch('k', () => {}).then(confirmed);
  await turn();
  const [early, late] = first === 'marker' ? [marking, subscribing] : [subscribing, marking];
  early[0]!.resolve();
  await turn();
  expect(confirmed).not.toHaveBeenCalled();
  late[0]!.resolve();
  await watching;
});

test('an event is heard from the subscription on, also before the watch is confirmed', async () => {
  const { listener, subscriber } = setUp();
  const events: (RecordEvent | null)[] = [];
  void listener.watch('k', (event) => void events.push(event));
  await turn();
  subscriber.emit('messageBuffer', Buffer.from(keysOf('d').events('k')), Buffer.from('7 queued 9\n1\n\n\n\n\n'));
  expect(events).toMatchObject([{ state: 'queued', generation: 7 }]);
});

test('waits that begin together subscribe with one command', async () => {
  const { listener, subscriber } = setUp();
  for (const key of ['a', 'b', 'c']) void listener.watch(key, () => {});
  await turn();
  expect(subscriber.subscribe).toHaveBeenCalledTimes(1);
});

/** Watches once, and stops. */
async function watchOnce({ listener, subscribing, marking }: ReturnType<typeof setUp>, key: string): Promise<void> {
  const watching = listener.watch(key, () => {});
  await turn();
  for (const one of [...subscribing, ...marking]) one.resolve();
  (await watching)();
}

test('a marker that was set serves later watchers, but not for all of its life', async () => {
  const set = setUp();
  await watchOnce(set, 'a');
  await watchOnce(set, 'b');
  expect(set.marking).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(14_000);
  await watchOnce(set, 'c');
  expect(set.marking).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_000);
  await watchOnce(set, 'd');
  expect(set.marking).toHaveLength(2);
});

test('after a reconnect the marker is set again, because the server may be another one', async () => {
  const set = setUp();
  await watchOnce(set, 'a');
  set.subscriber.emit('ready');
  await watchOnce(set, 'b');
  expect(set.marking).toHaveLength(2);
});

test('channels are unsubscribed from together, a second after their last watchers have gone', async () => {
  const set = setUp();
  await watchOnce(set, 'a');
  await watchOnce(set, 'b');
  expect(set.unsubscribed).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(set.unsubscribed).toEqual([[keysOf('d').events('a'), keysOf('d').events('b')]]);
});

test('a channel that is watched again stays subscribed', async () => {
  const set = setUp();
  await watchOnce(set, 'a');
  const watching = set.listener.watch('a', () => {});
  await vi.advanceTimersByTimeAsync(2_000);
  await watching;
  expect(set.unsubscribed).toEqual([]);
  expect(set.subscribing).toHaveLength(1);
});

test('no more than 256 channels are kept without watchers', async () => {
  const set = setUp();
  for (let i = 0; i <= 256; i++) await watchOnce(set, `k${i}`);
  await turn();
  expect(set.unsubscribed.flat()).toHaveLength(257);
});

test('when no watch could begin, the marker is not renewed', async () => {
  const { listener, subscribing, marking } = setUp();
  const watching = listener.watch('a', () => {});
  watching.catch(() => {}); // told below
  await turn();
  marking[0]!.resolve();
  subscribing[0]!.reject(new Error('NOPERM'));
  await expect(watching).rejects.toThrow('NOPERM');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(marking).toHaveLength(1);
});

test('a channel whose watch failed is not left before it was subscribed to', async () => {
  const { listener, subscribing, marking, unsubscribed } = setUp();
  const watching = listener.watch('a', () => {});
  watching.catch(() => {}); // told below
  await turn();
  marking[0]!.reject(new Error('the link broke'));
  await expect(watching).rejects.toThrow('the link broke');
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unsubscribed).toEqual([]);
  subscribing[0]!.resolve();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(unsubscribed).toEqual([[keysOf('d').events('a')]]);
});

/** A listener that has watched one execution, so that it expects others. */
async function setUpAfterWatch() {
  const set = setUp();
  const watching = set.listener.watch('before', () => {}, 'ends');
  await turn();
  for (const one of [...set.subscribing, ...set.marking]) one.resolve();
  (await watching)();
  return set;
}

test('an execution is expected once one has been watched, and its watch need not subscribe', async () => {
  const { listener, subscriber, subscribing } = await setUpAfterWatch();
  listener.expect('k');
  await turn();
  expect(subscriber.subscribe).toHaveBeenCalledTimes(2);
  subscribing[1]!.resolve();
  await listener.watch('k', () => {}, 'ends');
  expect(subscriber.subscribe).toHaveBeenCalledTimes(2);
  expect([listener.hasHeardAll('k'), listener.hasHeardAll('k')]).toEqual([true, false]); // a later watch has not
});

test('before any watch nothing is expected, and each watch lets two be', async () => {
  const fresh = setUp();
  fresh.listener.expect('k');
  await turn();
  expect(fresh.subscriber.subscribe).not.toHaveBeenCalled();

  const { listener, subscriber } = await setUpAfterWatch();
  for (const key of ['a', 'b', 'c']) listener.expect(key);
  await turn();
  expect(subscriber.subscribe.mock.calls.flat().slice(1)).toEqual(['{d}:events:a', '{d}:events:b']);
});

test.each([
  ['an event came before the watch', (at: { message(): void; wait(): void }) => at.message()],
  ['the subscription was confirmed late', (at: { message(): void; wait(): void }) => at.wait()],
])('not all was heard when %s', async (_, spoil) => {
  const { listener, subscriber, subscribing } = await setUpAfterWatch();
  listener.expect('k');
  await turn();
  const name = Buffer.from((subscriber.subscribe.mock.calls.at(-1) as unknown as string[])[0]!);
  spoil({
    message: () => subscriber.emit('messageBuffer', name, Buffer.from('1 completed 1')),
    wait: () => vi.advanceTimersByTime(25),
  });
  subscribing[1]!.resolve();
  await listener.watch('k', () => {}, 'ends');
  expect(listener.hasHeardAll('k')).toBe(false);
});

test('an execution that was expected and is not watched is unsubscribed from within two seconds', async () => {
  const { listener, subscribing, unsubscribed } = await setUpAfterWatch();
  await vi.advanceTimersByTimeAsync(2_000);
  listener.expect('k');
  await turn();
  subscribing[1]!.resolve();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unsubscribed.flat()).toContain('{d}:events:k');
});

test('an execution that was expected is not unsubscribed from before it was subscribed to', async () => {
  const { listener, subscribing, unsubscribed } = await setUpAfterWatch();
  listener.expect('k');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(unsubscribed.flat()).not.toContain('{d}:events:k');
  subscribing[1]!.resolve();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(unsubscribed.flat()).toContain('{d}:events:k');
});

test('nothing is expected when the marker may be gone before it is watched', async () => {
  const { listener, subscriber } = await setUpAfterWatch();
  await vi.advanceTimersByTimeAsync(15_000);
  listener.expect('k');
  await turn();
  expect(subscriber.subscribe).toHaveBeenCalledTimes(1);
});

test('the marker is not renewed for executions that were only expected', async () => {
  const { listener, marked } = await setUpAfterWatch();
  const stop = await listener.watch('before', () => {}, 'ends');
  listener.expect('k');
  stop();
  await vi.advanceTimersByTimeAsync(LISTENER_RENEWAL_MS);
  expect(marked).toEqual([LISTENED_FOR.ends]);
});

test('a marker for all events serves waits for results, too', async () => {
  const set = setUp();
  await watchOnce(set, 'a');
  await set.listener.watch('a', () => {}, 'ends');
  expect(set.marked).toEqual([LISTENED_FOR.all]);
});

test('waits for results ask for ends only, unless a watcher needs all events', async () => {
  const { listener, subscribing, marking, marked } = setUp();
  const answer = async () => {
    await turn();
    for (const one of [...subscribing, ...marking]) one.resolve();
  };
  const waiting = listener.watch('a', () => {}, 'ends');
  await answer();
  await waiting;
  expect(marked).toEqual([LISTENED_FOR.ends]);
  const watching = listener.watch('b', () => {});
  await answer();
  const stop = await watching;
  await vi.advanceTimersByTimeAsync(LISTENER_RENEWAL_MS);
  expect(marked.slice(1)).toEqual([LISTENED_FOR.all, LISTENED_FOR.all]);
  await answer();
  stop();
  await vi.advanceTimersByTimeAsync(LISTENER_RENEWAL_MS);
  expect(marked.slice(3)).toEqual([LISTENED_FOR.ends]);
});
