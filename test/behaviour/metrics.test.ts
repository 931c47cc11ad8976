/** What a worker tells Prometheus: names, labels and numbers, read by a strict parser. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { call, task } from 'docket';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Token } from '../../src/redis/delivery-store.js';
import { importBuilt } from '../support/built.js';
import { type Fleet, fixture, openFleet, type Running } from '../support/fleet.js';
import { ask, pageOf, scrape } from '../support/probes.js';
import { setStage } from '../support/stage.js';
import { describeEachServer, describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const { redeliver } = await importBuilt<typeof import('../../src/redis/delivery-store.js')>('redis/delivery-store.js');
const { measure } = await importBuilt<typeof import('../../src/redis/snapshot-store.js')>('redis/snapshot-store.js');
const { keysOf } = await importBuilt<typeof import('../../src/redis/keys.js')>('redis/keys.js');

const note = task('note', () => {});
const WATCHED = { metricsPort: 0, threads: 1 } as const;
const COUNTERS =
  'added replaced scheduled cancelled stricken superseded started completed succeeded failed retried perpetuated redelivered poisoned'.split(
    ' ',
  );

describeOnOwnRedis('metrics', (redis) => {
  async function watched(options = {}): Promise<{ fleet: Fleet; running: Running }> {
    const fleet = await openFleet(redis().url);
    return { fleet, running: await fleet.worker({ ...WATCHED, ...options }) };
  }

  test('have the names and labels that are documented, and parse', async () => {
    const { fleet, running } = await watched();
    const exposition = await scrape(running);
    const counters = COUNTERS.map((name) => `docket_tasks_${name}_total`);
    const others = ['docket_tasks_running', 'docket_task_duration_seconds', 'docket_task_punctuality_seconds'];
    const docketWide = [
      ...['docket_queue_depth', 'docket_queue_oldest_age_seconds', 'docket_schedule_depth'],
      ...['docket_executions_waiting', 'docket_executions_paused', 'docket_failures_kept', 'docket_workers'],
    ];
    const own = [
      ...['docket_strikes_in_effect', 'docket_paused', 'docket_threads', 'docket_build_info'],
      ...['docket_redis_disruptions_total', 'docket_coordinator_loop_delay_seconds', 'docket_partition_up'],
    ];
    const families = [...exposition.families.keys()];
    const [ofDocket, ofProcess] = [/^docket_/, /^(process|nodejs)_/].map((prefix) =>
      families.filter((name) => prefix.test(name)),
    ) as [string[], string[]];
    expect(ofDocket.sort()).toEqual([...counters, ...others, ...docketWide, ...own].sort());
    expect(ofProcess).toEqual(expect.arrayContaining(['process_cpu_seconds_total', 'process_resident_memory_bytes']));
    expect(families).toHaveLength(ofDocket.length + ofProcess.length);
    const common = { docket: fleet.name, worker: running.worker.name };
    for (const name of counters) {
      expect(exposition.samples(name, { task: 'noop' })).toEqual([
        { name, labels: { ...common, task: 'noop' }, value: 0 },
      ]);
    }
    expect(exposition.samples('docket_threads')).toEqual([{ name: 'docket_threads', labels: common, value: 1 }]);
  });

  test('count each outcome under its task, never with a key', async () => {
    const { fleet, running } = await watched();
    const { docket } = fleet;
    const key = `secret-key-${fleet.name}`;
    const added = [
      ...(await Promise.all(Array.from({ length: 5 }, () => docket.add('echo', { value: 1 })))),
      await docket.add('fail', { message: 'on purpose' }, { key }),
    ];
    await Promise.allSettled(added.map((execution) => execution.result()));
    const exposition = await scrape(running);
    const count = (name: string, task: string) => exposition.value(`docket_tasks_${name}_total`, { task });
    expect(['added', 'started', 'completed', 'succeeded', 'failed'].map((name) => count(name, 'echo'))).toEqual([
      5, 5, 5, 5, 0,
    ]);
    expect(['added', 'started', 'completed', 'succeeded', 'retried', 'failed'].map((n) => count(n, 'fail'))).toEqual([
      1, 2, 2, 0, 1, 1,
    ]);
    expect(exposition.value('docket_task_duration_seconds_count', { task: 'echo' })).toBe(5);
    expect(exposition.value('docket_task_punctuality_seconds_count', { task: 'fail' })).toBe(2);
    const late = exposition.value('docket_task_punctuality_seconds_sum', { task: 'echo' });
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(60);
    const samples = [...exposition.families.values()].flatMap((family) => family.samples);
    const labels = samples.filter(({ name }) => name.startsWith('docket_')).map((one) => one.labels);
    expect(labels.flatMap((one) => Object.values(one)).join()).not.toContain(key);
    const allowed = new Set([
      'docket',
      'worker',
      'task',
      'le',
      'connection',
      'quantile',
      'version',
      'node',
      'partition',
    ]);
    expect(labels.flatMap((one) => Object.keys(one)).filter((name) => !allowed.has(name))).toEqual([]);
  });

  test('count a start as it happens, and an execution as running while it runs', async () => {
    const { fleet, running } = await watched();
    const held = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    await fleet.step('start held 1');
    const during = await scrape(running);
    expect(during.value('docket_tasks_running', { task: 'hold' })).toBe(1);
    expect(during.value('docket_tasks_started_total', { task: 'hold' })).toBe(1);
    expect(during.value('docket_tasks_completed_total', { task: 'hold' })).toBe(0);
    await fleet.release();
    await held.result();
    const after = await scrape(running);
    expect(after.value('docket_tasks_running', { task: 'hold' })).toBe(0);
    expect(after.value('docket_tasks_started_total', { task: 'hold' })).toBe(1);
    expect(after.value('docket_tasks_completed_total', { task: 'hold' })).toBe(1);
  });

  test('show what waits in the whole docket, and what is struck', async () => {
    const { fleet, running } = await watched();
    const { docket, probe } = fleet;
    fleet.leavesWork();
    await docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    await Promise.all([1, 2, 3].map((n) => docket.add('hold', { probe }, { key: `queued-${n}` })));
    await Promise.all([1, 2].map((n) => docket.add('noop', {}, { key: `later-${n}`, when: '1h' })));
    await docket.strike('echo');
    const struck = await docket.add('echo', {});
    expect(struck.disposition).toBe('struck');
    await waitFor(async () => (await scrape(running)).value('docket_queue_depth') >= 2); // one may be read ahead
    const exposition = await scrape(running);
    expect(exposition.value('docket_schedule_depth')).toBe(2);
    expect(exposition.value('docket_tasks_scheduled_total', { task: 'noop' })).toBe(2);
    expect(exposition.value('docket_tasks_stricken_total', { task: 'echo' })).toBe(1);
    await waitFor(async () => (await scrape(running)).value('docket_strikes_in_effect') === 1);
    await fleet.release();
    await docket.clear();
    await docket.restore('echo');
  });

  test('tell for how long the next queued execution has been due, and 0 when nothing is queued', async () => {
    const { fleet, running } = await watched();
    const { docket, probe } = fleet;
    const age = async () => (await scrape(running)).value('docket_queue_oldest_age_seconds');
    expect(await age()).toBe(0);
    await docket.add('hold', { probe }, { key: 'held' });
    await fleet.step('start held 1');
    const queued = await docket.addMany([1, 2, 3].map((n) => call('hold', { probe }, { key: `queued-${n}` })));
    await waitFor(async () => (await age()) > 0.001); // of those that were not read ahead
    await fleet.release();
    await waitFor(async () => (await age()) === 0);
    await Promise.all(queued.map((execution) => execution.result()));
  });

  test('count the live workers of the docket, and the executions that wait for a permit', async () => {
    const { fleet, running } = await watched({ tasks: fixture('limits.js'), concurrency: 2 });
    const { docket, probe } = fleet;
    await waitFor(async () => (await scrape(running)).value('docket_workers') === 1);
    const other = await fleet.worker({ threads: 0, tasks: [] });
    await waitFor(async () => (await scrape(running)).value('docket_workers') === 2);
    await other.stop();
    await waitFor(async () => (await scrape(running)).value('docket_workers') === 1);
    await docket.add('each', { probe, value: 'ada', how: 'hold' }, { key: 'first' });
    await fleet.step('start string first 1');
    expect((await scrape(running)).value('docket_executions_waiting')).toBe(0);
    const waiters = await docket.addMany([2, 3].map((n) => call('each', { probe, value: 'ada' }, { key: `k${n}` })));
    await waitFor(async () => (await scrape(running)).value('docket_executions_waiting') === 2);
    await fleet.release();
    await Promise.all(waiters.map((execution) => execution.result()));
    await waitFor(async () => (await scrape(running)).value('docket_executions_waiting') === 0);
  });

  test('name the versions of docket and of Node', async () => {
    const { fleet, running } = await watched();
    const [sample] = (await scrape(running)).samples('docket_build_info');
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    const labels = { docket: fleet.name, worker: running.worker.name, version, node: process.version };
    expect(sample).toEqual({ name: 'docket_build_info', labels, value: 1 });
  });

  test('count executions that are cancelled or replaced', async () => {
    const { fleet, running } = await watched({ tasks: [fixture('tasks.js')] });
    const { docket, probe } = fleet;
    const doomed = await docket.add('patient', { probe, how: 'signal' }, { key: 'doomed' });
    await fleet.step('waits doomed');
    await docket.cancel('doomed');
    await expect(doomed.result()).rejects.toThrow('cancelled');
    const newer = await docket.replace('echo', { value: 2 }, { key: 'again' });
    await newer.result();
    const exposition = await scrape(running);
    expect(exposition.value('docket_tasks_cancelled_total', { task: 'patient' })).toBe(1);
    expect(exposition.value('docket_tasks_replaced_total', { task: 'echo' })).toBe(1);
    expect(exposition.value('docket_tasks_added_total', { task: 'echo' })).toBe(0);
  });

  test.each([{ executionTtl: '15m' }, { executionTtl: 0 }] as const)(
    'count an execution that ends after its key has passed on: %o',
    async (options) => {
      const { fleet, running } = await watched();
      const { probe } = fleet;
      const docket = fleet.with(options);
      await docket.add('hold', { probe }, { key: 'replaced' });
      await fleet.step('start replaced 1');
      await docket.replace('noop', {}, { key: 'replaced', when: '1h' });
      await fleet.release();
      const superseded = async () => (await scrape(running)).value('docket_tasks_superseded_total', { task: 'hold' });
      await expect.poll(superseded).toBe(1);
      await docket.cancel('replaced');
    },
  );

  test('count a lean execution that ends after its lease has passed on', async () => {
    const { fleet, running } = await watched();
    const { probe, redis } = fleet;
    const { key } = await fleet.with({ executionTtl: 0 }).add('hold', { probe });
    await fleet.step(`start ${key} 1`);
    const [entry] = await redis.xrange(fleet.key('work'), '-', '+');
    const token: Token = `w${entry![0]}`;
    await waitFor(async () => (await redeliver(redis, keysOf(fleet.name), 1, [token])) === 1);
    await fleet.release();
    const count = async (name: string) => (await scrape(running)).value(`docket_tasks_${name}_total`, { task: 'hold' });
    await waitFor(async () => (await count('succeeded')) === 2);
    await waitFor(async () => (await count('superseded')) === 1);
    expect(await fleet.pending()).toBe(0);
  });

  test('count adds of tasks', async () => {
    const { fleet, running } = await watched({ tasks: [fixture('tasks.js'), fixture('flood.js')] });
    await (await fleet.docket.add('flood', { count: 25 })).result();
    const count = async (name: string) => (await scrape(running)).value(`docket_tasks_${name}_total`, { task: 'noop' });
    await expect.poll(() => count('succeeded')).toBe(25);
    await expect.poll(() => count('added')).toBe(25);
  });

  test('count executions that are added while the worker starts under their own task', async () => {
    const fleet = await openFleet(redis().url);
    const starting = fleet.worker({ ...WATCHED, tasks: fixture('slow-to-load.js') });
    const execution = await fleet.docket.add('late');
    const running = await starting;
    expect(await execution.result()).toBe('loaded');
    const exposition = await scrape(running);
    expect(exposition.value('docket_tasks_added_total', { task: 'late' })).toBe(1);
    expect(exposition.samples('docket_tasks_added_total', { task: 'other' })).toEqual([]);
  });

  test('have one label for all tasks that are not loaded', async () => {
    const { fleet, running } = await watched({ fallback: `${fixture('fallback.js')}:other` });
    const names = Array.from({ length: 30 }, (_, i) => `made-up-${i}`);
    const all = await Promise.all(names.map((name) => fleet.docket.add(name, { probe: fleet.probe })));
    await Promise.all(all.map((execution) => execution.result()));
    const exposition = await scrape(running);
    expect(exposition.value('docket_tasks_started_total', { task: 'other' })).toBe(30);
    const labels = exposition.samples('docket_tasks_started_total').map(({ labels }) => labels.task!);
    expect(labels.filter((label) => label.startsWith('made-up'))).toEqual([]);
  });

  test('count broken links, and are served while Redis is away', async () => {
    const { running } = await watched();
    await redis().kill();
    await waitFor(async () => {
      const exposition = await scrape(running);
      const broken = exposition.samples('docket_redis_disruptions_total').map(({ value }) => value);
      expect(exposition.samples('docket_queue_depth')).toEqual([]); // not a number that is no longer true
      return broken.length === 3 && broken.every((count) => count === 1);
    });
    await redis().start();
    await waitFor(async () => (await scrape(running)).samples('docket_queue_depth').length === 1);
  });

  test('are served on their port alone, and beside health when both ports are the same', async () => {
    const port = await freePort();
    const { running } = await watched({ metricsPort: port, healthcheckPort: port });
    await scrape(running);
    await waitFor(async () => (await ask(pageOf(running, '/readyz'))).status === 200);
    const other = await fetch(`http://127.0.0.1:${port}/nothing`);
    expect([other.status, await other.text()]).toEqual([
      404,
      'not found: the pages here are /metrics, /, /healthz, /readyz\n',
    ]);
    const posted = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: 'x' });
    expect(posted.status).toBe(405);
    const head = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    await running.stop();
    await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
  });

  describe('a port that is taken', () => {
    test.each(['metricsPort', 'healthcheckPort'])(
      'fails the start of the worker with an error that names it (%s)',
      async (option) => {
        const fleet = await openFleet(redis().url);
        const port = await occupiedPort();
        await expect(fleet.worker({ [option]: port, threads: 1 })).rejects.toMatchObject({
          name: 'PortUnavailableError',
          code: 'DOCKET_PORT_UNAVAILABLE',
          message: `${option}: cannot listen on 127.0.0.1:${port}, the port is in use: choose another one, or 0 for any`,
        });
      },
    );

    test('is reported by docket-worker in one line', async () => {
      const fleet = await openFleet(redis().url);
      const port = await occupiedPort();
      const command = fleet.command(['--metrics-port', String(port)]);
      expect((await command.ended).code).toBe(1);
      expect(command.errors).toEqual([
        `docket-worker: metricsPort: cannot listen on 127.0.0.1:${port}, the port is in use: choose another one, or 0 for any`,
      ]);
    });
  });
});

describeEachServer('the age of the next queued execution', (url) => {
  const stage = setStage(url);

  test('is that of the older of the heads of both streams, without what was read', async () => {
    const [docket, redis] = [stage.docket({ executionTtl: 0 }), await stage.redis()];
    const keys = keysOf(stage.name);
    expect(await measure(redis, keys)).toEqual({ workers: 0, oldestQueuedMs: 0, oldestDueMs: null });
    await docket.addMany([call(note), call(note)]);
    const age = async () => (await measure(redis, keys)).oldestQueuedMs;
    await waitFor(async () => (await age()) > 0);
    expect(await age()).toBeLessThan(3_000_000);
    const hourAgo = Date.now() - 3_600_000;
    await redis.xadd(keys.front, '*', 'm', 'read', 'w', hourAgo - 3_600_000);
    await redis.xadd(keys.front, '*', 'm', 'put back', 'w', hourAgo);
    expect(await age()).toBeGreaterThan(7_000_000);
    await redis.xgroup('CREATE', keys.front, 'workers', '0');
    await redis.xreadgroup('GROUP', 'workers', 'w:1', 'COUNT', 1, 'STREAMS', keys.front, '>');
    expect(await age()).toBeGreaterThan(3_000_000);
    expect(await age()).toBeLessThan(7_000_000);
    await redis.xtrim(keys.front, 'MAXLEN', 0);
    expect(await age()).toBeLessThan(3_000_000);
    await docket.clear();
  });
});

async function occupiedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
