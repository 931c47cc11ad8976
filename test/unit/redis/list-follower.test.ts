import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { keysOf } from '../../../src/redis/keys.js';
import { ListFollower } from '../../../src/redis/list-follower.js';
import { strikeSource } from '../../../src/redis/strike-store.js';
import { Strikes, strikeOf } from '../../../src/wire/strikes.js';
import { type Deferred, deferred, waitFor } from '../../support/wait.js';

const keys = keysOf('d');
const [A, B, C] = ['a', 'b', 'c'].map((name) => strikeOf(name).field) as [string, string, string];

/** A follower whose loads the test answers one by one. */
function setUp() {
  const loads: Deferred<Record<string, string>>[] = [];
  const failures: string[] = [];
  const subscriber = Object.assign(new EventEmitter(), { subscribe: async () => 1 });
  const redis = {
    hget: async () => 'another version',
    hgetall: () => {
      const load = deferred<Record<string, string>>();
      loads.push(load);
      return load.promise;
    },
  };
  const strikes = new Strikes(() => {});
  let struck = 0;
  const follower = new ListFollower({
    source: strikeSource(redis as unknown as Redis, keys),
    copy: strikes,
    subscriber: subscriber as unknown as Redis,
    onAdded: () => struck++,
    onFailure: (error) => failures.push(error.message),
  });
  const load = async (index: number) => {
    await waitFor(() => loads.length > index);
    return loads[index]!;
  };
  return {
    follower,
    failures,
    subscriber,
    load,
    publish: (message: string, channel = keys.strikeChanges) => subscriber.emit('message', channel, message),
    list: () => ['a', 'b', 'c'].filter((name) => strikes.findFor(name, {}) !== null),
    struck: () => struck,
    loads: () => loads.length,
  };
}

test('changes are applied as they come, without a load', async () => {
  const { follower, load, publish, list, loads, struck } = setUp();
  const opened = follower.open();
  (await load(0)).resolve({});
  await opened;
  publish(`0 5 +${A}`);
  publish(`5 7 +${B}`);
  publish(`7 8 -${A}`);
  publish('anything', '{d}:wake');
  expect([list(), loads(), struck()]).toEqual([['b'], 1, 2]);
});

test('what is published during a load is applied after it, unless the load has it', async () => {
  const { follower, load, publish, list, loads } = setUp();
  const opened = follower.open();
  const first = await load(0);
  publish(`0 5 +${A}`); // in the load
  publish(`5 6 -${A}`); // in the load
  publish(`6 7 +${B}`); // after it
  publish(`7 8 +${C}`);
  first.resolve({ version: '6' });
  await opened;
  expect([list(), loads()]).toEqual([['b', 'c'], 1]);
});

test('a gap is noticed with the next change, and loaded', async () => {
  const { follower, load, publish, list } = setUp();
  const opened = follower.open();
  (await load(0)).resolve({ version: '5', [A]: '1' });
  await opened;
  publish(`8 9 +${C}`);
  const second = await load(1);
  publish(`9 10 -${C}`);
  second.resolve({ version: '9', [B]: '1', [C]: '1' });
  await expect.poll(list).toEqual(['b']);
});

test('a load that is older than what was published meanwhile is not believed', async () => {
  const { follower, load, publish, list } = setUp();
  const opened = follower.open();
  const first = await load(0);
  publish(`7 8 +${C}`);
  first.resolve({ version: '5', [A]: '1' }); // of a replica, or of before a failover
  (await load(1)).resolve({ version: '8', [B]: '1', [C]: '1' });
  await opened;
  expect(list()).toEqual(['b', 'c']);
});

test('a reconnect during a load loads again', async () => {
  const { follower, load, subscriber, list, loads } = setUp();
  const opened = follower.open();
  const first = await load(0);
  subscriber.emit('ready');
  first.resolve({});
  (await load(1)).resolve({ version: '5', [A]: '1' });
  await opened;
  expect([list(), loads()]).toEqual([['a'], 2]);
  subscriber.emit('ready');
  (await load(2)).resolve({ version: '6', [B]: '1' });
  await waitFor(() => list().join() === 'b');
});

test('a load that fails is tried again, and what was known stays', async () => {
  const { follower, load, subscriber, list, failures } = setUp();
  const opened = follower.open();
  (await load(0)).reject(new Error('LOADING'));
  (await load(1)).resolve({ version: '5', [A]: '1' });
  await opened;
  subscriber.emit('ready');
  (await load(2)).reject(new Error('LOADING'));
  expect(list()).toEqual(['a']);
  await load(3);
  expect(failures).toEqual(['LOADING', 'LOADING']);
  follower.close();
});

test('one that is closed hears of nothing, and its opening resolves', async () => {
  const { follower, load, publish, list, subscriber } = setUp();
  const opened = follower.open();
  follower.close();
  (await load(0)).reject(new Error('closed'));
  await opened;
  publish(`0 5 +${A}`);
  expect([list(), subscriber.listenerCount('message'), subscriber.listenerCount('ready')]).toEqual([[], 0, 0]);
});

test('one that was closed before it is opened follows nothing', async () => {
  const { follower, subscriber, loads } = setUp();
  follower.close();
  await follower.open();
  expect([loads(), subscriber.listenerCount('message'), subscriber.listenerCount('ready')]).toEqual([0, 0, 0]);
});

test('a strike of a newer version is passed over, and what follows is not', async () => {
  const { follower, load, publish, list, loads } = setUp();
  const opened = follower.open();
  (await load(0)).resolve({ version: '5', '["a",{"all":[]}]': '1' });
  await opened;
  publish('5 6 +{"future":1}');
  publish(`6 7 +${B}`);
  expect([list(), loads()]).toEqual([['b'], 1]);
});

test('where it may not subscribe it loads the list all the same', async () => {
  const { follower, load, subscriber, list, failures } = setUp();
  subscriber.subscribe = () => Promise.reject(new Error('NOPERM'));
  const opened = follower.open();
  (await load(0)).resolve({ version: '5', [A]: '1' });
  await opened;
  expect([list(), failures]).toEqual([['a'], ['NOPERM']]);
  follower.close();
});

test('looking up brings the list up to date while nothing arrives, and keeps a change that arrived meanwhile', async () => {
  const { follower, subscriber, load, publish, list } = setUp();
  const opened = follower.open();
  (await load(0)).resolve({ version: '5', [A]: '1' });
  await opened;
  expect(follower.isFollowing).toBe(true);
  subscriber.emit('close');
  expect(follower.isFollowing).toBe(false);
  const lookingUp = follower.lookUp();
  (await load(1)).resolve({ version: '7', [B]: '1' });
  await lookingUp;
  expect(list()).toEqual(['b']);
  const lookingUpLate = follower.lookUp();
  publish(`7 8 +${C}`);
  (await load(2)).resolve({ version: '7', [B]: '1' });
  await lookingUpLate;
  expect(list()).toEqual(['b', 'c']);
});

test('a list does not count as followed when its link has broken since it was loaded', async () => {
  const { follower, subscriber, load } = setUp();
  const opened = follower.open();
  const first = await load(0);
  subscriber.emit('close');
  first.resolve({ version: '5' });
  await opened;
  expect(follower.isFollowing).toBe(false);
  subscriber.emit('ready');
  (await load(1)).resolve({ version: '5' });
  await waitFor(() => follower.isFollowing);
});

test('a change that was looked up before it arrives changes nothing', async () => {
  const { follower, load, publish, list, loads } = setUp();
  const opened = follower.open();
  (await load(0)).resolve({ version: '5' });
  await opened;
  const lookingUp = follower.lookUp();
  (await load(1)).resolve({ version: '7', [A]: '1', [B]: '1' });
  await lookingUp;
  publish(`5 6 +${A}`);
  publish(`6 7 +${B}`);
  publish(`7 8 +${C}`);
  expect([list(), loads(), follower.isFollowing]).toEqual([['a', 'b', 'c'], 2, true]);
});
