/** What the settlement of many executions at once removes from the streams: their entries, and no others. */
import { randomUUID } from 'node:crypto';
import { Docket } from 'docket';
import type { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import type { Settlement, Token } from '../../src/redis/delivery-store.js';
import type { Keys } from '../../src/redis/keys.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { describeEachServer, describeOnOwnRedis, describeOnRedis } from '../support/suites.js';

const { acknowledge, ensureGroups, settle } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { readEntries } = await importBuilt<typeof import('../../src/redis/stream-reader.js')>('redis/stream-reader.js');

const QUEUED = 300; // several nodes of a stream
const READ = 250;

interface Place {
  readonly redis: Redis;
  readonly keys: Keys;
  /** The tokens that were read; more are queued behind them. */
  readonly tokens: readonly Token[];
  /** The tokens on the stream. */
  left(): Promise<Token[]>;
}

type End = (place: Place, tokens: readonly Token[]) => Promise<unknown>;

const ENDS: [how: string, end: End][] = [
  ['acknowledged', ({ redis, keys }, tokens) => acknowledge(redis, keys, tokens)],
  ['settled', ({ redis, keys }, tokens) => settle(redis, keys, tokens.map(ended))],
];

function ended(token: Token): Settlement {
  return { kind: 'unrecorded', token };
}

async function open(url: string, commandsUrl = url): Promise<Place> {
  const admin = await openConnection(url, 'commands');
  const redis = await openConnection(commandsUrl, 'commands');
  const name = `t-${randomUUID()}`;
  const keys = keysOf(name);
  const docket = new Docket({ name, url, executionTtl: 0 });
  onTestFinished(async () => {
    await admin.del(keys.work, keys.front);
    await Promise.all([docket.close(), closeConnection(redis), closeConnection(admin)]);
  });
  await ensureGroups(admin, keys);
  await docket.addMany(Array.from({ length: QUEUED }, (_, i) => ({ task: 'noop', args: { i } })));
  const read = { consumer: 'a-worker', count: READ, blockMs: 1 };
  const tokens = (await readEntries(admin, keys, read)).map(({ token }) => token);
  const left = async () => (await admin.xrange(keys.work, '-', '+')).map(([id]) => `w${id}` as Token);
  return { redis, keys, tokens, left };
}

describeEachServer('executions that are settled together', (url) => {
  test.each(ENDS)('are removed when they are %s, and nothing else is', async (_, end) => {
    const place = await open(url());
    const all = await place.left();
    const middle = place.tokens.slice(60, 200);
    await end(place, middle);
    expect(await place.left()).toEqual(all.filter((token) => !middle.includes(token)));
    const oldest = place.tokens.slice(0, 60);
    await end(place, oldest);
    expect(await place.left()).toEqual(all.slice(200));
    const scattered = place.tokens.slice(200).filter((_, i) => i % 3 > 0);
    await end(place, scattered);
    expect(await place.left()).toEqual(all.slice(200).filter((token) => !scattered.includes(token)));
  });

  test.each(ENDS)('leave the queued ones where they are, when all that was read is %s', async (_, end) => {
    const place = await open(url());
    const all = await place.left();
    await end(place, place.tokens);
    expect(await place.left()).toEqual(all.slice(READ));
  });
});

describeOnRedis('the oldest executions', (url) => {
  test.each(ENDS)('are cut off the stream when they are %s, which is cheaper than to look for each', async (_, end) => {
    const place = await open(url());
    await place.redis.config('RESETSTAT');
    await end(place, place.tokens.slice(0, 200));
    const stats = await place.redis.info('commandstats');
    expect(stats).toContain('cmdstat_xtrim:');
    expect(stats).not.toContain('cmdstat_xdel:');
  });
});

describeOnOwnRedis('a worker whose user may not trim streams', (redis) => {
  test.each(ENDS)('removes what it has %s all the same', async (_, end) => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(() => closeConnection(admin));
    await admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-xtrim');
    const place = await open(redis().url, redis().url.replace('unix://', 'unix://worker:pw@'));
    const all = await place.left();
    await end(place, place.tokens.slice(0, 200));
    expect(await place.left()).toEqual(all.slice(200));
  });
});
