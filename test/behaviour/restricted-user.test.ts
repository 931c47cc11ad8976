/** Connections of a user who may use only what docket needs. */
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Keys } from '../../src/redis/keys.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { claim, ensureGroups, redeliver } =
  await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { listFrom, startOf } =
  await importBuilt<typeof import('../../src/redis/listing-store.js')>('redis/listing-store.js');
const { moveDue } = await importBuilt<typeof import('../../src/redis/schedule-store.js')>('redis/schedule-store.js');
const { seedChains } = await importBuilt<typeof import('../../src/redis/chain-store.js')>('redis/chain-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

describeOnOwnRedis('a user with few rights', (redis) => {
  let admin: Redis;

  beforeAll(async () => {
    admin = new Redis(redis().socket);
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-ping', '-info');
  });
  afterAll(() => admin.disconnect());

  const urlOf = (login: string) => redis().url.replace('unix://', `unix://${login}@`);

  test('without PING keeps its links, since any answer is a sign of life', async () => {
    for (const role of ['producer', 'subscriber'] as const) {
      const client = await openConnection(urlOf('app:pw'), role, { silenceMs: 90 });
      onTestFinished(() => closeConnection(client));
      let closes = 0;
      client.on('close', () => closes++);
      const asked = async () =>
        Number(/cmdstat_ping:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0);
      const before = await asked();
      await expect.poll(asked, { timeout: 20_000 }).toBeGreaterThan(before + 8); // twice the silence that is allowed
      expect(closes).toBe(0);
    }
  });

  test('without INFO connects, and nothing is written to the console', async () => {
    const written = ['log', 'warn', 'error'].map((name) => vi.spyOn(console, name as 'warn'));
    onTestFinished(() => void vi.restoreAllMocks());
    const client = await openConnection(urlOf('app:pw'), 'commands');
    onTestFinished(() => closeConnection(client));
    expect(await client.get('nothing')).toBeNull();
    await expect(client.info()).rejects.toThrow('NOPERM'); // for callers of its own
    for (const spy of written) expect(spy).not.toHaveBeenCalled();
  });

  test('a password in the place of the user name does not get into errors', async () => {
    const error = await openConnection(urlOf('s3cret%3Ax'), 'producer').catch((thrown: unknown) => thrown);
    expect((error as Error).message).toContain('WRONGPASS');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
  });
});

describeOnOwnRedis('what a worker handles', (redis) => {
  let admin: Redis;
  let keys: Keys;

  beforeAll(async () => {
    admin = new Redis(redis().socket);
    keys = keysOf('acl');
    await ensureGroups(admin, keys);
    await admin.xadd(keys.work, '1-1', 'k', 'queued', 'm', 'a message');
    await admin.hset(keys.record('queued'), { s: 'queued', g: '1', e: 'w1-1', t: 'noop' });
    await admin.zadd(keys.schedule, 1, 'kdue');
    await admin.hset(keys.record('due'), { s: 'scheduled', g: '2', e: '', t: 'noop', w: '1', m: 'a message' });
    await admin.xreadgroup('GROUP', 'workers', 'a', 'STREAMS', keys.work, '>');
    await waitFor(async () => (await admin.xpending(keys.work, 'workers', 'IDLE', 1, '-', '+', 1)).length === 1);
  });
  afterAll(() => admin.disconnect());

  const SEED = {
    ...{ task: 'chain', fingerprint: '1', dueMs: null, retimedInMs: null, message: Buffer.from('a message') },
    chain: '{}',
  };
  const steps: Readonly<Record<string, (client: Redis) => Promise<unknown>>> = {
    hget: (client) => claim(client, keys, 'a', [{ key: 'queued', token: 'w1-1', attempt: 1 }]),
    hmget: (client) => redeliver(client, keys, 1, ['w1-1']),
    hgetall: (client) => moveDue(client, keys),
    del: (client) => seedChains(client, keys, [SEED], { isStarting: true, strikes: null }),
  };

  test.each(Object.keys(steps))('stays as it is when its user lacks the right to %s', async (command) => {
    await admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>pw', '~*', '&*', '+@all', `-${command}`);
    const client = await openConnection(redis().url.replace('unix://', 'unix://worker:pw@'), 'commands');
    onTestFinished(() => closeConnection(client));
    await expect(steps[command]!(client)).rejects.toThrow(/can't run this command|NOPERM/);
    expect(await admin.exists(keys.failures, keys.record('chain'))).toBe(0);
    expect([await admin.xlen(keys.work), await admin.xlen(keys.front)]).toEqual([1, 0]);
    expect(await admin.zrange(keys.schedule, '0', '-1')).toEqual(['kdue']);
    expect(await admin.hget(keys.record('due'), 'm')).toBe('a message');
  });

  test('stays on the schedule when it cannot be used and its user may not keep it as a failure', async () => {
    const others = keysOf('acl-failures');
    await ensureGroups(admin, others);
    await admin.zadd(others.schedule, 1, 'kbad');
    await admin.set(others.record('bad'), 'no record');
    await admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-xadd');
    const client = await openConnection(redis().url.replace('unix://', 'unix://worker:pw@'), 'commands');
    onTestFinished(() => closeConnection(client));
    await expect(moveDue(client, others)).rejects.toThrow(/can't run this command|NOPERM/);
    expect(await admin.zrange(others.schedule, '0', '-1')).toEqual(['kbad']);
  });

  test('is not passed over in silence by a listing whose user lacks a right', async () => {
    await admin.call('ACL', 'SETUSER', 'reader', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-hmget');
    const client = await openConnection(redis().url.replace('unix://', 'unix://reader:pw@'), 'commands');
    onTestFinished(() => closeConnection(client));
    for (const place of ['work', 'schedule'] as const) {
      const criteria = { task: '', states: ['queued', 'scheduled'], test: null } as const;
      expect((await listFrom(admin, keys, startOf(place), criteria, 10)).found).toHaveLength(1);
      await expect(listFrom(client, keys, startOf(place), criteria, 10)).rejects.toThrow(
        /can't run this command|NOPERM/,
      );
    }
  });

  test('is refused as a whole, not chain by chain, while the server takes no writes', async () => {
    await admin.config('SET', 'min-replicas-to-write', '1'); // it has none
    onTestFinished(async () => void (await admin.config('SET', 'min-replicas-to-write', '0')));
    await expect(seedChains(admin, keys, [SEED], { isStarting: true, strikes: null })).rejects.toThrow('NOREPLICAS');
  });
});
