/** A worker whose docket gets more partitions and loses them again: it keeps nothing of those that it has closed. */
import { task } from 'docket';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { recordingLogger } from '../../support/logger.js';
import { divide, keyIn } from '../../support/partitions.js';
import { setStage } from '../../support/stage.js';
import { describeOnOwnRedis } from '../../support/suites.js';
import { deferred, waitFor } from '../../support/wait.js';

const { ConnectionPool } =
  await importBuilt<typeof import('../../../src/worker/connection-pool.js')>('worker/connection-pool.js');

const EVENTS = ['close', 'ready', 'message', 'heard', 'silent'];

describeOnOwnRedis('a worker that has closed a partition', (redis) => {
  const stage = setStage(() => redis().url);
  const note = task('note', () => {});

  /** Removes the second partition, and forgets it. */
  async function undivide(): Promise<void> {
    const docket = stage.docket();
    for (let i = 0; i < 2; i++) await divide(docket, 1);
  }

  /** Returns how many connections of workers read. */
  async function readers(): Promise<number> {
    const list = String(await (await stage.redis()).client('LIST'));
    return list.match(/name=docket:blocking/g)?.length ?? 0;
  }

  test('has as many listeners on its shared connections as before', async () => {
    const opened = new Set<Redis>();
    const { connect } = Redis.prototype;
    vi.spyOn(Redis.prototype, 'connect').mockImplementation(function (this: Redis, ...args) {
      opened.add(this);
      return connect.apply(this, args);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const shared = () =>
      [...opened].filter(({ options }) => /^docket:(commands|subscriber):/.test(options.connectionName ?? ''));
    const listeners = () => shared().map((one) => EVENTS.map((event) => one.listenerCount(event)));
    stage.work({ note }, { name: 'w' });
    await waitFor(async () => (await readers()) === 1);
    const counts: number[][][] = [];
    for (let i = 0; i < 2; i++) {
      await divide(stage.docket(), 2);
      await waitFor(async () => (await readers()) === 2);
      await undivide();
      await waitFor(async () => (await readers()) === 1);
      counts.push(listeners());
    }
    expect(counts[1]).toEqual(counts[0]);
  }, 60_000);

  test('leaves nothing there but the two keys by which old layouts are refused', async () => {
    const leftThere = async () => {
      const prefix = `{${stage.name}/1}:`;
      const keys = await (await stage.redis()).keys(`${prefix}*`);
      return keys.map((key) => key.slice(prefix.length)).sort();
    };
    for (let i = 0; i < 2; i++) stage.work({ note });
    await waitFor(async () => (await readers()) === 2);
    await divide(stage.docket(), 2);
    await waitFor(async () => (await readers()) === 4);
    await waitFor(async () => (await leftThere()).includes('work'));
    await undivide();
    await waitFor(async () => (await leftThere()).join() === 'generation,strikes');
    await divide(stage.docket(), 2);
    await waitFor(async () => (await readers()) === 4);
    const execution = await stage.docket().add(note, {}, { key: keyIn(1, 2) });
    expect(await execution.result()).toBe(undefined);
  });

  test('closes connections that were opened while the partition was removed', async () => {
    const [opened, released] = [deferred(), deferred()];
    const { openFor } = ConnectionPool.prototype;
    vi.spyOn(ConnectionPool.prototype, 'openFor').mockImplementation(async function (
      this: InstanceType<typeof ConnectionPool>,
      ...args
    ) {
      const connections = await openFor.apply(this, args);
      opened.resolve();
      await released.promise;
      return connections;
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const { logger, lines } = recordingLogger();
    stage.work({ note }, { logger });
    await waitFor(async () => (await readers()) === 1);
    await divide(stage.docket(), 2);
    await opened.promise;
    await undivide();
    await waitFor(() => lines.some(({ fields }) => fields.partitions === 1 && fields.draining === 0));
    expect(await readers()).toBe(2);
    released.resolve();
    await waitFor(async () => (await readers()) === 1);
  });
});
