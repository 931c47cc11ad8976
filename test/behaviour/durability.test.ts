/** The option `durability`: an add resolves when replicas have it. */
import { call, Docket, DurabilityError, InvalidOptionError, RedisUnavailableError, task } from 'docket';
import { Worker } from 'docket/worker';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { openFleet, TASKS } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { startRedis, type TestServer } from '../support/servers.js';
import { describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const note = task('note', (_args: { n?: number }) => {});

describeOnRedis('durability', () => {
  let primary: TestServer;
  beforeEach(async () => {
    primary = await startRedis();
  });
  afterEach(() => primary.stop());
  const url = () => primary.url;

  /** A port that is free, at which the server listens from now on. */
  async function listen(redis: Redis): Promise<number> {
    await redis.config('SET', 'bind', '127.0.0.1');
    let port = 20_000 + Math.floor(Math.random() * 10_000);
    await waitFor(() => redis.config('SET', 'port', ++port)); // throws while the port is taken
    return port;
  }

  /** The server's own connection, and a replica that has caught up. */
  async function open(): Promise<{ redis: Redis; replica: Redis }> {
    const redis = await openConnection(url(), 'commands');
    const server = await startRedis();
    const replica = await openConnection(server.url, 'commands');
    onTestFinished(async () => {
      await Promise.all([closeConnection(redis), closeConnection(replica)]);
      await server.stop();
    });
    await redis.config('SET', 'repl-diskless-sync-delay', 0);
    await replica.call('REPLICAOF', '127.0.0.1', String(await listen(redis)));
    await waitFor(async () => (await replica.info('replication')).includes('master_link_status:up'));
    await waitFor(async () => (await redis.wait(1, 100)) === 1);
    return { redis, replica };
  }

  function durable(replicas: number, timeout: number, executionTtl: '1m' | 0 = '1m'): Docket {
    const docket = new Docket({ name: 'durable', url: url(), executionTtl, durability: { replicas, timeout } });
    onTestFinished(() => docket.close());
    return docket;
  }

  test.each(['1m', 0] as const)('lets an add resolve when a replica has it (executionTtl %s)', async (executionTtl) => {
    const { replica } = await open();
    const docket = durable(1, 5_000, executionTtl);
    const { key } = await docket.add(note);
    expect(await replica.xlen('{durable}:work')).toBe(1);
    if (executionTtl !== 0) expect(await replica.hget(`{durable}:run:${key}`, 's')).toBe('queued');
    const many = await docket.addMany(Array.from({ length: 600 }, (_, n) => call(note, { n })));
    expect(many).toHaveLength(600);
    expect(await replica.xlen('{durable}:work')).toBe(601);
    await docket.replace(note, { n: 1 }, { key: 'k' });
    expect(await replica.hget('{durable}:run:k', 's')).toBe('queued');
    expect((await docket.add(note, {}, { key: 'k' })).disposition).toBe('already_scheduled');
  });

  test('makes too few replicas an error that names what was written', async () => {
    const { redis } = await open();
    const docket = durable(2, 50);
    const add = () => docket.add(note, {}, { key: 'k' }).catch((e: unknown) => e as DurabilityError);
    const error = await add();
    expect(error).toBeInstanceOf(DurabilityError);
    expect(error).toMatchObject({ code: 'DOCKET_DURABILITY', wanted: 2, executions: [{ key: 'k' }] });
    // The one there is may take longer than that, too: it counts as soon as it has it.
    await waitFor(async () => ((await add()) as DurabilityError).replicas === 1);
    expect(await redis.hget('{durable}:run:k', 's')).toBe('queued');
    const many = await docket.addMany([call(note), call(note, {}, { key: 'm' })]).catch((e: unknown) => e);
    expect(many).toMatchObject({ wanted: 2, executions: [{ state: 'queued' }, { key: 'm' }] });
    await expect(docket.replace(note, {}, { key: 'k' })).rejects.toThrow(DurabilityError);
    expect(await redis.xlen('{durable}:work')).toBe(3);
  });

  test('notices a replica that has left', async () => {
    const { redis, replica } = await open();
    await replica.call('REPLICAOF', 'NO', 'ONE');
    await waitFor(async () => (await redis.info('replication')).includes('connected_slaves:0'));
    await expect(durable(1, 50).add(note)).rejects.toMatchObject({ replicas: 0, wanted: 1 });
  });

  test('holds for adds of tasks as well', async () => {
    const fleet = await openFleet(url());
    fleet.leavesWork(); // the child, which is written
    const docket = fleet.with({ durability: { replicas: 1, timeout: 50 } });
    const worker = new Worker(docket, { tasks: TASKS, threads: 1, logger: recordingLogger().logger });
    const ended = worker.runForever();
    const execution = await fleet.docket.add('parent', { probe: fleet.probe, children: 1 });
    await expect(execution.result()).rejects.toMatchObject({ code: 'DOCKET_DURABILITY', replicas: 0, wanted: 1 });
    await worker.close();
    await ended;
  });

  test('costs one WAIT for a batch', async () => {
    const { redis } = await open();
    const docket = durable(1, 5_000);
    await docket.add(note);
    await redis.config('RESETSTAT');
    await Promise.all(Array.from({ length: 200 }, (_, n) => docket.add(note, { n })));
    const [, calls] = /cmdstat_wait:calls=(\d+)/.exec(await redis.info('commandstats'))!;
    expect(Number(calls)).toBeLessThanOrEqual(2);
  });
});

describe('durability', () => {
  test('is refused at the first add where the server cannot wait, before anything is written', async () => {
    await using docket = new Docket({ url: 'memory://durability', durability: { replicas: 1, timeout: '1s' } });
    await expect(docket.add(note, {}, { key: 'k' })).rejects.toThrow(RedisUnavailableError);
    await expect(docket.addMany([call(note)])).rejects.toThrow(/WAIT/);
    expect(await docket.getExecution('k')).toBeNull();
  });

  test.each([
    { replicas: 0, timeout: 1 },
    { replicas: 1.5, timeout: 1 },
    { replicas: 1, timeout: 0 },
    { replicas: 1, timeout: 'soon' as '1s' },
  ])('is refused as %o', (durability) => {
    expect(() => new Docket({ durability })).toThrow(InvalidOptionError);
  });
});
