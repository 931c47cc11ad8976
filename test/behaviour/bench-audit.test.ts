/** The audits of the bench must find what they are there for. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BULLMQ_QUEUE, DOCKET, RAW_GROUP, RAW_STREAM } from '../../bench/peers/names.js';
import { readCost } from '../../bench/support/cost.js';
import { auditDocket, bullmqLedger, docketLedger, leftIn, rawLedger } from '../../bench/support/ledger.js';
import { type BenchRedis, startRedis } from '../../bench/support/redis-server.js';
import { NO_REDIS, REDIS_BINARY } from '../support/redis-binary.js';

const WORK = `{${DOCKET}}:work`;

describe.skipIf(REDIS_BINARY === null)(`audits of the bench (skipped if ${NO_REDIS})`, () => {
  let redis: BenchRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(() => redis.reset());
  afterAll(() => redis[Symbol.asyncDispose]());

  /** Does what a worker does to tasks without records: reads them and removes their entries. */
  async function runThrough(stream: string, group: string, added: number, removed: number): Promise<void> {
    await redis.admin.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
    const ids: string[] = [];
    for (let i = 0; i < added; i++) ids.push((await redis.admin.xadd(stream, '*', 'm', 'x'))!);
    await redis.admin.xreadgroup('GROUP', group, 'a-worker', 'COUNT', added, 'STREAMS', stream, '>');
    await redis.admin.xack(stream, group, ...ids.slice(0, removed));
    await redis.admin.xdel(stream, ...ids.slice(0, removed));
  }

  test('nothing is found after tasks that were all added, run and removed', async () => {
    await runThrough(WORK, 'workers', 3, 3);
    expect(await docketLedger.audit(redis.admin, 3, 0)).toEqual([]);
  });

  test('a task that was never added is found', async () => {
    await runThrough(WORK, 'workers', 2, 2);
    expect(await docketLedger.audit(redis.admin, 3, 0)).toEqual(['entries added: 2 instead of 3']);
  });

  test('a task that is left over is found, as an entry and as a pending delivery', async () => {
    await runThrough(WORK, 'workers', 3, 2);
    expect(await docketLedger.audit(redis.admin, 3, 0)).toEqual([
      'tasks left: 1 instead of 0',
      'deliveries pending: 1 instead of 0',
    ]);
    expect(await docketLedger.left(redis.admin)).toBe(1);
  });

  test('a tracked task whose record did not complete is found as lost', async () => {
    await runThrough(WORK, 'workers', 2, 2);
    await redis.admin.hset(`{${DOCKET}}:run:a`, 's', 'completed');
    await redis.admin.hset(`{${DOCKET}}:run:b`, 's', 'running');
    expect(await docketLedger.audit(redis.admin, 2, 2)).toEqual(['completed records: 1 instead of 2']);
  });

  test('the work of all partitions counts together, and what one of them has left is found', async () => {
    const places = [`{${DOCKET}}`, `{${DOCKET}/1}`].map((hashTag) => ({ admin: redis.admin, hashTag }));
    await runThrough(WORK, 'workers', 3, 3);
    await runThrough(`{${DOCKET}/1}:work`, 'workers', 2, 1);
    expect(await leftIn(places)).toBe(1);
    expect(await auditDocket(places, 5, 0)).toEqual([
      'tasks left: 1 instead of 0',
      'deliveries pending: 1 instead of 0',
    ]);
  });

  test('a job of BullMQ that failed or was lost is found', async () => {
    await redis.admin.set(`bull:${BULLMQ_QUEUE}:id`, 2);
    await redis.admin.zadd(`bull:${BULLMQ_QUEUE}:failed`, 1, 'a');
    expect(await bullmqLedger.audit(redis.admin, 2, 1)).toEqual([
      'jobs failed: 1 instead of 0',
      'jobs completed and kept: 0 instead of 1',
    ]);
  });

  test('an entry that the raw loop left is found', async () => {
    await runThrough(RAW_STREAM, RAW_GROUP, 2, 1);
    expect(await rawLedger.audit(redis.admin, 2, 0)).not.toEqual([]);
  });

  test('what the bench itself sends is not among the costs', async () => {
    const before = await readCost(redis.admin, process.pid);
    await redis.admin.pipeline().xlen(WORK).xlen(WORK).exec();
    await redis.admin.get('nothing');
    const after = await readCost(redis.admin, process.pid);
    expect([after.commands - before.commands, after.trips - before.trips]).toEqual([0, 0]);
  });
});
