/** A server that takes no more, or is away: what was promised before is kept. */
import { randomUUID } from 'node:crypto';
import { Docket, DocketClosedError, task } from 'docket';
import { expect, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const note = task('note', (_args: {}) => {});

describeOnOwnRedis('a server whose memory is full', (redis) => {
  test('lets workers claim and complete what was added before', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1, concurrency: 1 });
    const { docket, probe } = fleet;
    const first = await docket.add('patient', { probe, how: 'signal' }, { key: 'first' });
    await fleet.step('waits first');
    const queued = await Promise.all(Array.from({ length: 50 }, (_, i) => docket.add('echo', { value: `${i}` })));
    const used = Number(/^used_memory:(\d+)/m.exec(await fleet.redis.info('memory'))![1]);
    await fleet.redis.config('SET', 'maxmemory', Math.floor(used / 2), 'maxmemory-policy', 'noeviction');
    try {
      await expect(fleet.redis.set(`refused:${fleet.name}`, '1')).rejects.toThrow('OOM');
      await fleet.release();
      await waitFor(async () => {
        await Promise.all([first, ...queued].map((execution) => execution.sync()));
        return [first, ...queued].every(({ state }) => state === 'completed');
      });
    } finally {
      await fleet.redis.config('SET', 'maxmemory', 0);
    }
    const values = await Promise.all(queued.map((execution) => execution.result()));
    expect(values).toEqual(queued.map((_, i) => `${i}`));
  });
});

describeOnOwnRedis('a server whose memory is full', (redis) => {
  test('goes on listing the workers that run what it has', async () => {
    const fleet = await openFleet(redis().url);
    const { lines } = await fleet.worker({ threads: 0 });
    const seen = async () => (await fleet.docket.workers())[0]?.lastSeen.getTime() ?? 0;
    await waitFor(seen);
    await fleet.redis.config('SET', 'maxmemory', '100kb', 'maxmemory-policy', 'noeviction');
    try {
      await expect(fleet.redis.set(`refused:${fleet.name}`, '1')).rejects.toThrow('OOM');
      const before = await seen();
      await waitFor(async () => (await seen()) > before);
      expect(lines.filter(({ message }) => /heartbeat failed/.test(message))).toEqual([]);
    } finally {
      await fleet.redis.config('SET', 'maxmemory', 0);
    }
  });
});

describeOnOwnRedis('a server whose memory is full', (redis) => {
  test('lets producers wait for results', async () => {
    const fleet = await openFleet(redis().url);
    await fleet.worker({ threads: 1 });
    const { docket, probe, redis: commands } = fleet;
    const held = await docket.add('hold', { probe, value: 'done' }, { key: 'held' });
    const ended = await docket.add('hold', { probe, value: 'over' }, { key: 'ended' });
    await fleet.step('start held 1');
    const used = Number(/^used_memory:(\d+)/m.exec(await commands.info('memory'))![1]);
    await commands.config('SET', 'maxmemory', Math.floor(used / 2), 'maxmemory-policy', 'noeviction');
    try {
      await expect(commands.set(`refused:${fleet.name}`, '1')).rejects.toThrow('OOM');
      const results = Promise.all([held.result(), ended.result()]);
      results.catch(() => {}); // awaited below
      await fleet.release();
      expect(await results).toEqual(['done', 'over']);
    } finally {
      await commands.config('SET', 'maxmemory', 0);
    }
  });
});

describeOnOwnRedis('a server whose memory is full of work', (redis) => {
  test('can be cleared', async () => {
    const { docket, redis: commands } = await openFleet(redis().url);
    const when = (i: number) => (i % 2 ? { when: '1h' as const } : {});
    await Promise.all(Array.from({ length: 50 }, (_, i) => docket.add('echo', { value: i }, when(i))));
    await commands.config('SET', 'maxmemory', 1_000_000, 'maxmemory-policy', 'noeviction');
    try {
      await expect(docket.add('echo', { value: 50 })).rejects.toThrow('OOM');
      expect(await docket.clear()).toBe(50);
    } finally {
      await commands.config('SET', 'maxmemory', 0);
    }
  });
});

describeOnOwnRedis('a server that went away before the first wait for a result', (redis) => {
  test('does not keep a docket from being closed', async () => {
    const docket = new Docket({ name: `t-${randomUUID()}`, url: redis().url });
    const execution = await docket.add(note);
    await redis().kill();
    const waiting = expect(execution.result()).rejects.toThrow(DocketClosedError);
    await docket.close();
    await waiting;
  });
});
