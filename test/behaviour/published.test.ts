/**
 * What scripts publish, and to whom: each change of an execution to those who listen, and a new head of the schedule to
 * schedulers.
 */
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeEachServer } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { claim, ensureGroups, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');
const { LISTENED_FOR, PROGRESS } = await importBuilt<typeof import('../../src/redis/schema.js')>('redis/schema.js');

describeEachServer('what is published', (url) => {
  async function open(): Promise<Fleet> {
    const fleet = await openFleet(url());
    fleet.leavesWork();
    await ensureGroups(fleet.redis, keysOf(fleet.name));
    return fleet;
  }

  /** Returns the messages on a channel of the docket, as they come. */
  async function listen({ key }: Fleet, channel: string): Promise<string[]> {
    const subscriber = await openConnection(url(), 'commands');
    onTestFinished(() => closeConnection(subscriber));
    const heard: string[] = [];
    subscriber.on('message', (_, message) => heard.push(String(message)));
    await subscriber.subscribe(key(channel));
    return heard;
  }

  const statesOf = (heard: readonly string[]) => heard.map((message) => message.split(' ')[1]);

  test('tells listeners each state of an execution, up to its end', async () => {
    const fleet = await open();
    const heard = await listen(fleet, 'events:k');
    await fleet.redis.set(fleet.key('listeners'), LISTENED_FOR.all, 'EX', 60);
    await fleet.docket.add('noop', {}, { key: 'k' });
    await fleet.docket.cancel('k');
    await fleet.docket.add('noop', {}, { key: 'k', when: '1h' });
    await fleet.docket.cancel('k');
    await waitFor(() => heard.length === 4);
    expect(statesOf(heard)).toEqual(['queued', 'cancelled', 'scheduled', 'cancelled']);
  });

  test('tells those who wait for results that a key has a new execution, and how each ends', async () => {
    const fleet = await open();
    const heard = await listen(fleet, 'events:k');
    await fleet.redis.set(fleet.key('listeners'), LISTENED_FOR.ends, 'EX', 60);
    for (let i = 0; i < 2; i++) {
      await fleet.docket.add('noop', {}, { key: 'k' });
      await fleet.docket.cancel('k');
    }
    await waitFor(() => heard.length === 4);
    expect(statesOf(heard)).toEqual(['queued', 'cancelled', 'queued', 'cancelled']);
  });

  test.each([
    ['says with the end what came of it', {}, '\n\nr\nresult'],
    [
      'leaves the outcome to the record, which has more to tell where there was progress',
      { [PROGRESS.updated]: 1 },
      '\n',
    ],
  ])('has a line for each field, whatever is in it, and %s', async (_, progress, behind) => {
    const fleet = await open();
    const { redis } = fleet;
    const keys = keysOf(fleet.name);
    const heard = await listen(fleet, 'events:k');
    await redis.set(keys.listeners, LISTENED_FOR.all, 'EX', 60);
    await fleet.docket.add('noop', {}, { key: 'k' });
    const blocking = await openConnection(url(), 'blocking', { longestBlockMs: 100 });
    onTestFinished(() => closeConnection(blocking));
    const [entry] = await readEntries(blocking, keys, { consumer: 'me', count: 1, blockMs: 1 });
    const { token } = entry!;
    await claim(redis, keys, 'two\nlines', [{ key: 'k', token, attempt: 1 }]);
    if (Object.keys(progress).length > 0) await redis.hset(keys.record('k'), progress);
    const ended = { kind: 'ended', token, record: 'k', ttlMs: 60_000, state: 'completed' } as const;
    const outcome = { result: Buffer.from('result'), error: null, errorLine: '', endsChainOf: '', message: null };
    await settle(redis, keys, [{ ...ended, ...outcome }]);
    await waitFor(() => heard.length === 3);
    expect(statesOf(heard)).toEqual(['queued', 'running', 'completed']);
    expect(heard[1]).toMatch(/\ntwo lines\n/);
    expect(heard[2]!.split('two lines')[1]).toBe(behind);
  });

  test('tells of the end of a run of a chain, and of the run that follows it', async () => {
    const fleet = await open();
    const { redis } = fleet;
    const keys = keysOf(fleet.name);
    const heard = await listen(fleet, 'events:k');
    await fleet.docket.add('noop', {}, { key: 'k' });
    const blocking = await openConnection(url(), 'blocking', { longestBlockMs: 100 });
    onTestFinished(() => closeConnection(blocking));
    const [entry] = await readEntries(blocking, keys, { consumer: 'me', count: 1, blockMs: 1 });
    await redis.set(keys.listeners, LISTENED_FOR.all, 'EX', 60);
    await settle(redis, keys, [
      {
        ...{ kind: 'followed', token: entry!.token, record: 'k', ttlMs: 60_000, state: 'completed' },
        ...{ due: { delayMs: 60_000 }, message: entry!.message!, id: '', errorLine: '', chain: '{}' },
      },
    ]);
    await waitFor(() => heard.length === 2);
    expect(statesOf(heard)).toEqual(['completed', 'scheduled']);
    await fleet.docket.cancel('k');
  });

  test('tells schedulers when an execution is due before all others, and of no other', async () => {
    const fleet = await open();
    const heard = await listen(fleet, 'wake');
    for (const [key, when] of [
      ['second', '2h'],
      ['third', '3h'],
      ['first', '1h'],
    ] as const) {
      await fleet.docket.add('noop', {}, { key, when });
    }
    const dueOf = (key: string) => fleet.redis.zscore(fleet.key('schedule'), `k${key}`);
    const expected = [await dueOf('second'), await dueOf('first')].map(String);
    await waitFor(() => heard.length === 2);
    expect(heard).toEqual(expected);
  });
});
