/**
 * A worker that cannot write the outcomes of its executions reads none, and goes on by itself once it can. The bytes that it
 * has in hand are bounded.
 */
import { readFileSync } from 'node:fs';
import { call, RedisUnavailableError, ResultTooLargeError } from 'docket';
import { Worker } from 'docket/worker';
import { expect, test } from 'vitest';
import { importBuilt } from '../support/built.js';
import { faultyProxy } from '../support/faulty-proxy.js';
import { type Command, type Fleet, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { admit } = await importBuilt<typeof import('../../src/redis/admission-store.js')>('redis/admission-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

const LEAN = { executionTtl: 0 } as const;

function hasLogged({ lines }: Command, words: RegExp): Promise<boolean> {
  return waitFor(() => lines.some(({ message }) => words.test(message)));
}

describeOnOwnRedis('a worker whose link for commands is gone', (redis) => {
  test('runs nothing that it could not settle, so nothing runs twice, and works again once the link is back', async () => {
    const fleet = await openFleet(redis().url, LEAN);
    const { docket, probe } = fleet;
    const proxy = await faultyProxy(redis().socket);
    const options = ['--threads', '1', '--redelivery-timeout', '2s', '--reconnection-delay', '100ms'];
    const cutOff = fleet.command([...options, '--url', proxy.url]);
    const healthy = fleet.command(options);
    await Promise.all([cutOff.ready(), healthy.ready()]);
    proxy.cut('commands');
    await hasLogged(cutOff, /^the link to Redis at .* broke/);
    const keys: string[] = [];
    for (let i = 0; i < 100; i++) keys.push((await docket.add('counted', { probe })).key);
    const once = (expected: readonly string[]) => Object.fromEntries(expected.map((key) => [key, 1]));
    await waitFor(async () => Object.keys(await fleet.counts()).length === keys.length);
    await waitFor(async () => (await fleet.pending()) === 0);
    expect(await fleet.counts()).toEqual(once(keys));

    healthy.process.kill('SIGTERM');
    await healthy.ended;
    proxy.mend();
    await hasLogged(cutOff, /^Redis at .* answers again/);
    for (let i = 0; i < 20; i++) keys.push((await docket.add('counted', { probe })).key);
    await waitFor(async () => Object.keys(await fleet.counts()).length === keys.length);
    expect(await fleet.counts()).toEqual(once(keys));
  });

  test('keeps the entries that it had just read, and runs them once the link is back', async () => {
    const fleet = await openFleet(redis().url, LEAN);
    const { docket, probe } = fleet;
    const proxy = await faultyProxy(redis().socket);
    const worker = fleet.command(['--threads', '1', '--reconnection-delay', '100ms', '--url', proxy.url]);
    await worker.ready();
    proxy.cut('commands');
    await hasLogged(worker, /^the link to Redis at .* broke/);
    const { key } = await docket.add('counted', { probe });
    await waitFor(async () => (await fleet.pending()) === 1);
    const next = await docket.add('counted', { probe }); // not even read
    expect(await fleet.pending()).toBe(1);
    expect(await fleet.counts()).toEqual({});
    proxy.mend();
    await waitFor(async () => Object.keys(await fleet.counts()).length === 2);
    await waitFor(async () => (await fleet.pending()) === 0);
    expect(await fleet.counts()).toEqual({ [key]: 1, [next.key]: 1 });
  });
});

/** The most memory that a process had, in MiB. */
function peakMemory({ process: { pid } }: Command): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}

describeOnOwnRedis('a worker whose link for commands is slow', (redis) => {
  test('has a bounded number of bytes in hand, however large the results are', async () => {
    const fleet = await openFleet(redis().url);
    const { docket, probe } = fleet;
    fleet.leavesWork();
    const proxy = await faultyProxy(redis().socket);
    const worker = fleet.command(['--threads', '1', '--concurrency', '30', '--url', proxy.url]);
    await worker.ready();
    const before = peakMemory(worker);
    proxy.narrow('commands', 6_000_000);
    const count = 400;
    await docket.addMany(Array.from({ length: count }, () => call('bulky', { probe, bytes: 900_000 })));
    let mostInHand = 0;
    await waitFor(
      async () => {
        const ran = Object.keys(await fleet.counts()).length; // pending ones that are given back unstarted have no result
        const unsettled = (await fleet.redis.xlen(fleet.key('work'))) + (await fleet.redis.xlen(fleet.key('front')));
        mostInHand = Math.max(mostInHand, ran - (count - unsettled));
        return unsettled <= count - 40;
      },
      { timeoutMs: 60_000 },
    );
    expect(peakMemory(worker) - before).toBeLessThan(400);
    expect(mostInHand).toBeGreaterThan(0);
    expect(mostInHand).toBeLessThan(200); // 900 kB each, a budget of 128 MiB, and the 30 that run
  }, 90_000);
});

/** Waits until the only worker of the fleet has reported once more. */
async function nextHeartbeat({ redis, key }: Fleet): Promise<void> {
  const [consumer] = await redis.zrange(key('workers'), '0', '-1');
  const seen = () => redis.hget(key(`worker:${consumer}`), 'seen');
  const last = await seen();
  await waitFor(async () => (await seen()) !== last);
}

describeOnOwnRedis('a worker that finds large messages', (redis) => {
  test('reads no more of them than it may have in hand, and the others when it has settled some of them', async () => {
    const fleet = await openFleet(redis().url, LEAN);
    const { docket, probe } = fleet;
    const count = 200;
    const padding = 'x'.repeat(900_000);
    for (let i = 0; i < count; i += 10) {
      await docket.addMany(Array.from({ length: 10 }, () => call('hold', { probe, padding })));
    }
    const worker = fleet.command(['--threads', '1', '--concurrency', String(count)]);
    let mostInHand = 0;
    const inHand = async () => {
      const pending = await fleet.pending().catch(() => 0); // before the worker is there
      mostInHand = Math.max(mostInHand, pending);
      return pending;
    };
    await waitFor(async () => (await inHand()) >= 140, { timeoutMs: 60_000 });
    for (let beats = 0; beats < 2; beats++) await nextHeartbeat(fleet); // time enough to read the others
    await inHand();
    await fleet.release();
    await waitFor(async () => (await inHand()) === 0 && (await fleet.redis.xlen(fleet.key('work'))) === 0, {
      timeoutMs: 60_000,
    });
    expect(mostInHand).toBeLessThan(160); // 900 kB each, and a budget of 128 MiB
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(count);
    expect(worker.process.exitCode).toBe(null);
  }, 150_000);
});

describeOnOwnRedis('a server that refuses all writes for longer than the lease', (redis) => {
  test('gets the outcome of what ended meanwhile, nothing runs twice, and no log is flooded', async () => {
    const fleet = await openFleet(redis().url);
    const { docket, probe, redis: commands, key } = fleet;
    const options = ['--threads', '1', '--redelivery-timeout', '1s'];
    const workers = [fleet.command(options), fleet.command(options)];
    await Promise.all(workers.map((worker) => worker.ready()));
    const held = await docket.add('hold', { probe, value: 'done' }, { key: 'held' });
    await fleet.step('start held 1');
    await commands.config('SET', 'min-replicas-to-write', '1'); // it has none
    try {
      await fleet.release();
      await fleet.step('end held 1');
      await waitFor(async () => {
        const pending = (await commands.xpending(key('work'), 'workers', '-', '+', 1)) as [string, string, number][];
        return pending.some(([, , idleMs]) => idleMs > 2_500); // nobody could renew the lease
      });
    } finally {
      await commands.config('SET', 'min-replicas-to-write', '0');
    }
    expect(await held.result()).toBe('done');
    await held.sync();
    expect(held).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await fleet.steps()).toEqual(['start held 1', 'end held 1']);
    for (const what of [/^outcomes could not be written, trying again/, /^the heartbeat failed, trying again/]) {
      const written = workers.flatMap(({ lines }) => lines.filter(({ message }) => what.test(message)));
      expect(written.length).toBeGreaterThan(0);
      expect(written.length).toBeLessThan(5); // it was tried many times
    }
  });
});

describeOnOwnRedis('a server that became a replica', (redis) => {
  test('is named by a worker that starts, which ends', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.redis.call('REPLICAOF', '127.0.0.1', '1');
    try {
      const starting = new Worker(fleet.docket, { threads: 0 }).runForever();
      await expect(starting).rejects.toThrow(RedisUnavailableError);
      await expect(starting).rejects.toThrow(/the server is a replica, which takes no writes: give the URL of the/);
    } finally {
      await fleet.redis.call('REPLICAOF', 'NO', 'ONE');
    }
  });

  test('lets no admission count as the failure of an execution, so that the worker reconnects', async () => {
    const { redis: commands, name } = await openFleet(redis().url);
    const who = { worker: 'w', consumer: 'w:1' };
    const lean = {
      record: null,
      token: 'w1-1',
      attempt: 1,
      ticket: 1,
      id: 'i',
      ttlMs: 0,
      holdsPermits: false,
      hasBooking: false,
    } as const;
    await commands.call('REPLICAOF', '127.0.0.1', '1');
    try {
      const admitted = admit(commands, keysOf(name), who, [{ ...lean, admissionStage: 'new', checks: [] }]);
      await expect(admitted).rejects.toThrow('READONLY');
    } finally {
      await commands.call('REPLICAOF', 'NO', 'ONE');
    }
  });
});

describeOnOwnRedis('a result that is larger than the server takes', (redis) => {
  test('fails its execution and does not break the link', async () => {
    const fleet = await openFleet(redis().url, { maxPayloadBytes: 8 * 1024 * 1024 });
    await fleet.redis.config('SET', 'proto-max-bulk-len', String(2 * 1024 * 1024));
    const { lines } = await fleet.worker({ threads: 1 });
    const { docket } = fleet;
    const small = await docket.add('bulky', { bytes: 1_900_000 });
    const large = await docket.add('bulky', { bytes: 3_000_000 });
    expect(await small.result()).toHaveLength(1_900_000);
    await expect(large.result()).rejects.toThrow(ResultTooLargeError);
    expect(lines.filter(({ message }) => /the link to Redis .* broke/.test(message))).toEqual([]);
    expect(lines.map(({ message }) => message)).toContainEqual(expect.stringMatching(/proto-max-bulk-len/));
  });
});
