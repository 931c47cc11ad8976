/** A docket with a partition on each master of a cluster, also while one of them is down. */
import { randomUUID } from 'node:crypto';
import { type AnyTask, call, concurrencyLimit, Docket, perpetual, RedisUnavailableError, task } from 'docket';
import { Worker, type WorkerOptions } from 'docket/worker';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { importBuilt } from '../../support/built.js';
import { divide, keyIn } from '../../support/partitions.js';
import { REDIS_BINARY } from '../../support/redis-binary.js';
import { startCluster, type TestCluster } from '../../support/replicated.js';
import { startDocket } from '../../support/shell.js';
import { silent } from '../../support/stage.js';
import { waitFor } from '../../support/wait.js';

const { internalsOf } = await importBuilt<typeof import('../../../src/client/internals.js')>('client/internals.js');

const { examine } = await importBuilt<typeof import('../../../src/doctor/examine.js')>('doctor/examine.js');

const COUNT = 3;

/** Runs a worker until the test is over, or until the returned function is called. */
function work(docket: Docket, all: readonly AnyTask[], options: Partial<WorkerOptions> = {}): () => Promise<void> {
  const tasks = Object.fromEntries(all.map((one) => [one.name, one]));
  const worker = new Worker(docket, { tasks, threads: 0, logger: silent, drainTimeout: '2s', ...options });
  const running = worker.runForever();
  running.catch(() => {}); // reported when it is closed
  const close = async () => {
    await worker.close();
    await running;
  };
  onTestFinished(close);
  return close;
}

const note = task('note', (_args: { n?: number }) => {});

describe.skipIf(REDIS_BINARY === null && !process.env.CI)('a docket with three partitions on three masters', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
    for (const node of cluster.nodes) await node.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
  }, 120_000);
  afterAll(() => cluster?.stop());

  async function divided() {
    const name = `t-${randomUUID().slice(0, 8)}`;
    const open = () => {
      const docket = new Docket({ name, url: cluster.url });
      onTestFinished(() => docket.close());
      return docket;
    };
    await divide(open(), COUNT);
    const docket = open();
    await docket.snapshot(); // it knows the layout
    const { known } = internalsOf(docket).partitions;
    return { docket, open, keysOfAll: known.map(({ settings }) => settings.keys) };
  }

  test('has one on each of them, and all of them take their share', async () => {
    const { docket, keysOfAll } = await divided();
    const owners = await Promise.all(keysOfAll.map(({ work }) => cluster.owner(work)));
    expect(new Set(owners.map(({ port }) => port)).size).toBe(3);
    await docket.addMany(Array.from({ length: 768 }, (_, n) => call(note, { n })));
    const keys = [0, 1, 2].map((partition) => keyIn(partition, COUNT));
    await Promise.all(keys.map((key) => docket.add(note, {}, { key })));
    const lengths = await Promise.all(keysOfAll.map(({ work }, i) => owners[i]!.ask('XLEN', work)));
    expect(lengths).toEqual([257, 257, 257]);
    expect((await docket.snapshot()).totals.queued).toBe(771);
    await docket.strike(note);
    expect((await docket.add(note, {}, { key: keyIn(2, COUNT, 'x') })).disposition).toBe('struck');
    for (const key of keys) expect(await docket.cancel(key)).toEqual({ state: 'queued', outcome: 'removed' });
    expect(await docket.clear()).toBe(768);
  });

  test('is not divided through the URL of one node, which leads to no other master', async () => {
    const name = `t-${randomUUID().slice(0, 8)}`;
    const { port } = await cluster.owner(`{${name}}:work`);
    const docket = new Docket({ name, url: `redis://127.0.0.1:${port}` });
    onTestFinished(() => docket.close());
    await expect(divide(docket, 2)).rejects.toThrow(/redis\+cluster:/);
    await docket.add(note, {});
  });

  test('is run by one worker, which follows a master that moves', async () => {
    const { docket, open, keysOfAll } = await divided();
    const double = task('double', ({ n }: { n: number }) => 2 * n);
    work(open(), [double]);
    const results = async (prefix: string) => {
      const calls = [0, 1, 2].map((partition) =>
        call(double, { n: partition }, { key: keyIn(partition, COUNT, prefix) }),
      );
      const handles = await docket.addMany(calls);
      return await Promise.all(handles.map((handle) => handle.result({ timeout: '60s' })));
    };
    expect(await results('a')).toEqual([0, 2, 4]);
    const { from, moveKeys, end } = await cluster.beginMove(
      keysOfAll[2]!.work,
      await cluster.stranger(keysOfAll[2]!.work),
    );
    while ((await moveKeys(10)) > 0);
    await end();
    expect(await cluster.owner(keysOfAll[2]!.work)).not.toBe(from);
    await waitFor(async () => (await results(`b${randomUUID()}`).catch(() => [])).length === 3, { timeoutMs: 60_000 });
  }, 180_000);

  test('is read by workers of one partition each, which move executions to the others and start the automatic tasks', async () => {
    const { docket, open } = await divided();
    const limits = [concurrencyLimit('n', { max: 1 })];
    const one = task('one', { limits }, ({ n }: { n: number }) => n);
    const automatic = ['a', 'b', 'c', 'd'].map((name) =>
      task(name, { perpetual: perpetual({ every: '1h', automatic: true }) }, () => {}),
    );
    for (const partition of [0, 1, 2]) work(open(), [one, ...automatic], { partitions: [partition] });
    // A producer that knows only the name of the task places each by its key. The values of the limit lead to all partitions.
    const values = Array.from({ length: 12 }, (_, n) => n);
    const handles = await Promise.all(
      values.map((n) => docket.add('one', { n }, { key: keyIn(n % COUNT, COUNT, `m${n}-`) })),
    );
    expect(await Promise.all(handles.map((handle) => handle.result({ timeout: '60s' })))).toEqual(values);
    const chains = await waitFor(
      async () => {
        const found: string[] = [];
        for await (const { key } of docket.schedules()) found.push(key);
        return found.length === automatic.length && found;
      },
      { timeoutMs: 60_000 },
    );
    expect([...(chains || [])].sort()).toEqual(['a', 'b', 'c', 'd']);
  }, 180_000);

  test('lets executions leave a master whose memory is full', async () => {
    const { docket, open, keysOfAll } = await divided();
    const limits = [concurrencyLimit('n', { max: 1 })];
    const one = task('one', { limits }, ({ n }: { n: number }) => n);
    const close = work(open(), [one]);
    await (await docket.add(one, { n: 0 })).result({ timeout: '60s' });
    await close(); // it has made the streams
    const values = Array.from({ length: 12 }, (_, n) => n);
    const handles = await Promise.all(values.map((n) => docket.add('one', { n }, { key: keyIn(0, COUNT, `f${n}-`) })));
    const full = await cluster.owner(keysOfAll[0]!.work);
    await full.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', '100kb');
    try {
      work(open(), [one]);
      expect(await Promise.all(handles.map((handle) => handle.result({ timeout: '60s' })))).toEqual(values);
    } finally {
      await full.ask('CONFIG', 'SET', 'maxmemory', '0');
    }
  }, 180_000);

  test('gives what may go to any partition to the others while one is slow', async () => {
    const { docket, keysOfAll } = await divided();
    const slow = await cluster.owner(keysOfAll[1]!.work);
    const { writer } = internalsOf(docket).partitions.routes.destinations[1]!;
    await slow.ask('CLIENT', 'PAUSE', 600_000, 'WRITE'); // it answers all else, so its link is not replaced
    onTestFinished(async () => void (await slow.ask('CLIENT', 'UNPAUSE')));
    const adding: Promise<unknown>[] = [];
    for (let n = 0; n < 2 * COUNT; n++) {
      adding.push(docket.add(note, { n }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor(() => writer.isSlow);
    for (let n = 0; n < 30; n++) expect((await docket.add(note, { n })).disposition).toBe('scheduled');
    await slow.ask('CLIENT', 'UNPAUSE');
    expect(await Promise.all(adding)).toHaveLength(2 * COUNT);
    const before = Number(await slow.ask('XLEN', keysOfAll[1]!.work));
    await waitFor(async () => {
      await docket.add(note, {});
      return Number(await slow.ask('XLEN', keysOfAll[1]!.work)) > before;
    });
  }, 180_000);

  test('works on without the one that is down: what leads there fails and names it, all else goes to the others', async () => {
    const { docket, open, keysOfAll } = await divided();
    const down = await cluster.owner(keysOfAll[1]!.work);
    const replica = await cluster.replicaOf(down);
    await docket.add(note, {}, { key: keyIn(1, COUNT) });
    const where = ['--url', cluster.url, '--docket', docket.name];
    const watching = startDocket(['watch', keyIn(1, COUNT), ...where]);
    const top = startDocket(['top', '--json', ...where]);
    onTestFinished(() => [watching, top].forEach((command) => void command.process.kill()));
    await waitFor(() => watching.lines().length > 0 && top.lines().length > 0, { timeoutMs: 60_000 });
    await Promise.all([replica.kill(), down.kill()]);
    try {
      await waitFor(() => watching.errors().includes('the connection to Redis is lost'), { timeoutMs: 60_000 });
      const missed = `"problem":"partition ${keysOfAll[1]!.prefix.slice(0, -1)} does not answer"`;
      await waitFor(() => top.output().includes(missed), { timeoutMs: 60_000 });
      const adding = waitFor(async () => {
        const error = await docket.add(note, {}, { key: keyIn(1, COUNT, 'y') }).then(
          () => null,
          (reason: unknown) => reason,
        );
        return error instanceof RedisUnavailableError ? error : null;
      });
      const hashTag = keysOfAll[1]!.prefix.slice(0, -1);
      expect((await adding)!.message).toContain(`partition ${hashTag} of docket`);
      const many = await docket.addMany(Array.from({ length: 600 }, (_, n) => call(note, { n })));
      expect(many).toHaveLength(600);
      for (let n = 0; n < 6; n++) expect((await docket.add(note, { n })).disposition).toBe('scheduled');
      for (const partition of [0, 2]) await docket.add(note, {}, { key: keyIn(partition, COUNT, 'z') });
      expect(await docket.getExecution(keyIn(2, COUNT, 'z'))).toMatchObject({ state: 'queued' });
      await expect(docket.getExecution('nobody')).rejects.toThrow(RedisUnavailableError);
      for (const one of [docket, open()])
        await expect(one.snapshot()).rejects.toThrow(`partition ${hashTag} of docket`);
      await expect(open().snapshot()).rejects.toThrow(new RegExp(`, master \\S+:(${down.port}|${replica.port}): `));
      const failed = (await examine(open())).filter(({ status }) => status === 'fail');
      expect(failed.map(({ check }) => check)).toEqual(['partition 1']);
      expect(failed[0]!.advice).toContain('redis-cli --cluster check');
      await docket.add(note, {}, { key: keyIn(0, COUNT, 'cleared') });
      await expect(docket.clear()).rejects.toThrow(/the other partitions were cleared \(\d+ executions?\)/);
      const cleared = await docket.getExecution(keyIn(0, COUNT, 'cleared'));
      expect(cleared?.state).not.toBe('queued');
    } finally {
      await down.start();
      await replica.start();
    }
    await waitFor(async () => (await docket.add(note, {}, { key: keyIn(1, COUNT, 'w') }).catch(() => null)) !== null, {
      timeoutMs: 60_000,
    });
  }, 180_000);
});
