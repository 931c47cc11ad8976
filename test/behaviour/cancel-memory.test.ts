/** Cancels of ids that have no record: Redis and each worker remember as many as can be of use. */
import { task } from 'docket';
import { expect, onTestFinished, test } from 'vitest';
import type { Delivery } from '../../src/worker/delivery.js';
import { closeConnection, importBuilt, openConnection } from '../support/built.js';
import { openFleet } from '../support/fleet.js';
import { recordingLogger } from '../support/logger.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');
const { CancelListener } = await importBuilt<typeof import('../../src/worker/intake/cancel-listener.js')>(
  'worker/intake/cancel-listener.js',
);

const note = task('note', (_args: {}) => {});
const MINUTE_MS = 60_000;

describeEachServer('a cancel of an unknown key', (url) => {
  const stage = setStage(url);

  test('is not remembered while there is nothing that it could be meant for', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    for (let i = 0; i < 10; i++) await docket.cancel(`unknown ${i}`);
    expect(await stage.keys()).toEqual([]);
    await docket.add(note);
    await docket.cancel('unknown');
    expect(await stage.keys()).toEqual(['cancelled', 'work']);
  });

  test('displaces the oldest one beyond some thousands', async () => {
    const docket = stage.docket({ executionTtl: 0 });
    const redis = await stage.redis();
    await docket.add(note);
    const members = Array.from({ length: 10_200 }, (_, i) => [Date.now() + MINUTE_MS + i, `old ${i}`]);
    await redis.zadd(stage.key('cancelled'), ...members.flat());
    await docket.cancel('unknown 1');
    expect(await redis.zcard(stage.key('cancelled'))).toBe(10_201 - 128); // a bounded number at once
    await docket.cancel('unknown 2');
    expect(await redis.zcard(stage.key('cancelled'))).toBe(10_000);
    expect(await redis.zscore(stage.key('cancelled'), 'old 201')).toBeNull();
    for (const kept of ['old 202', 'unknown 1', 'unknown 2']) {
      expect(await redis.zscore(stage.key('cancelled'), kept)).not.toBeNull();
    }
  });
});

describeOnRedis('cancels', (url) => {
  test('are remembered, however many there are, while there are as many entries that they may be meant for', async () => {
    const fleet = await openFleet(url(), { executionTtl: 0 });
    const { docket, redis, key } = fleet;
    const fill = "for i = 1, 12000 do redis.call('XADD', KEYS[1], '*', 'm', '') end";
    await redis.eval(fill, 1, key('work'));
    const members = Array.from({ length: 12_000 }, (_, i) => [Date.now() + MINUTE_MS + i, `id ${i}`]);
    await redis.zadd(key('cancelled'), ...members.flat());
    await docket.cancel('one more');
    expect(await redis.zcard(key('cancelled'))).toBe(12_000);
  });

  test('that Redis does not remember are dropped by workers when there are many', async () => {
    const { redis, name } = await openFleet(url());
    const keys = keysOf(name);
    const subscriber = await openConnection(url(), 'subscriber');
    onTestFinished(() => closeConnection(subscriber));
    const listener = new CancelListener({
      ...{ redis, subscriber, keys, logger: recordingLogger().logger, inHand: () => [], settle: () => {} },
      dispatcher: { cancel: () => [], takeBackUnstarted: () => [] },
    });
    listener.start();
    onTestFinished(() => listener.stop());
    await listener.ready;
    const knows = (id: string) => listener.isCancelled({ record: null, envelope: { id } } as Delivery);
    await redis.zadd(keys.cancelled, Date.now() + MINUTE_MS, 'remembered');
    const publish = redis.pipeline();
    for (const id of ['honoured', 'remembered']) publish.publish(keys.cancel, `l${id}`);
    await publish.exec();
    await waitFor(() => knows('honoured') && knows('remembered'));
    for (let i = 0; i < 1_500; i++) publish.publish(keys.cancel, `lunknown ${i}`);
    await publish.exec();
    await waitFor(() => !knows('honoured'));
    expect(knows('remembered')).toBe(true);
    await redis.del(keys.cancelled);
  });
});
