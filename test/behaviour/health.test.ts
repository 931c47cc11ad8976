/** What probes are told: live while the coordinator's loop turns, ready while it reads or claims. */
import { setTimeout as pass } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { openFleet, type Running } from '../support/fleet.js';
import { ask, pageOf } from '../support/probes.js';
import { stoppingProxy } from '../support/stopping-proxy.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const HEARTBEAT_MS = 1_000;
const PROBED = { healthcheckPort: 0, threads: 1, minimumCheckInterval: '100ms' } as const;

async function statusOf(running: Running, path: string): Promise<number> {
  return (await ask(pageOf(running, path))).status;
}

/** Waits for an answer of readiness and tells how long that took. */
async function turned(running: Running, status: number): Promise<number> {
  const sinceMs = performance.now();
  await expect.poll(() => statusOf(running, '/readyz')).toBe(status);
  return performance.now() - sinceMs;
}

/** How long it may take until a worker is not ready: two heartbeats, on a machine that may be busy with other things. */
const SOON_MS = 5 * 2 * HEARTBEAT_MS;

describeOnOwnRedis('health:', (redis) => {
  const open = (url = redis().url) => openFleet(url, { heartbeatInterval: HEARTBEAT_MS });

  test('an idle worker is live and ready', async () => {
    const running = await (await open()).worker(PROBED);
    await turned(running, 200);
    expect(await ask(pageOf(running, '/readyz'))).toEqual({ status: 200, body: { status: 'ready' } });
    for (const path of ['/', '/healthz']) {
      expect(await ask(pageOf(running, path))).toEqual({ status: 200, body: { status: 'live' } });
    }
  });

  test('a worker whose threads are all busy is ready', async () => {
    const fleet = await open();
    const running = await fleet.worker({ ...PROBED, minimumCheckInterval: '1s' });
    const held = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    await fleet.step('start held 1');
    const lastBeat = async () => (await fleet.redis.zrange(fleet.key('workers'), '0', '0', 'WITHSCORES'))[1];
    for (let beats = 0; beats < 4; beats++) {
      const before = await lastBeat();
      await expect.poll(lastBeat).not.toBe(before);
    }
    // Were it not, it would stay so until it reads again.
    await expect.poll(() => statusOf(running, '/readyz')).toBe(200);
    await fleet.release();
    await held.result();
  });

  test('a worker whose only thread is replaced again and again is ready all the time', async () => {
    const fleet = await openFleet(redis().url, { heartbeatInterval: '5s' }); // a thread has two of them to start
    const running = await fleet.worker({ ...PROBED, maxTasksPerThread: 1 });
    await turned(running, 200);
    const executions = await Promise.all(Array.from({ length: 5 }, (_, i) => fleet.docket.add('echo', { value: i })));
    let isDone = false;
    void Promise.all(executions.map((execution) => execution.result())).then(() => {
      isDone = true;
    });
    do {
      expect(await ask(pageOf(running, '/readyz'))).toMatchObject({ status: 200 });
      await pass(20);
    } while (!isDone);
  });

  test.each(['an idle', 'a busy'])(
    '%s worker is not ready within two heartbeats of an outage, and ready again afterwards',
    async (state) => {
      const fleet = await open();
      const running = await fleet.worker(PROBED);
      await turned(running, 200);
      const { docket, probe } = fleet;
      if (state === 'a busy') {
        await docket.add('hold', { probe }, { key: 'held' });
        await fleet.step('start held 1');
      }
      await redis().kill();
      expect(await turned(running, 503)).toBeLessThan(SOON_MS);
      const { body } = await ask(pageOf(running, '/readyz'));
      expect(body).toEqual({ status: 'not ready', reason: expect.stringMatching(/^Redis has answered no .* for \d/) });
      expect(await statusOf(running, '/healthz')).toBe(200); // a restart would not help
      await redis().start();
      await turned(running, 200);
      await waitFor(async () => {
        await docket.add('noop', {}, { key: 'after' });
        await fleet.release();
        return true;
      });
      await (await waitFor(() => docket.getExecution('after')))!.result();
      await waitFor(async () => (await fleet.pending()) === 0);
    },
  );

  test('a worker whose reads are not answered is not ready, though its heartbeats are', async () => {
    const proxy = await stoppingProxy(redis().socket);
    const fleet = await open(proxy.url);
    const running = await fleet.worker(PROBED);
    await turned(running, 200);
    proxy.hold('blocking');
    expect(await turned(running, 503)).toBeLessThan(SOON_MS);
    const { body } = await ask(pageOf(running, '/readyz'));
    expect(body.reason).toMatch(/^Redis has answered no read and no claim for/);
    proxy.release();
    await turned(running, 200);
    await (await fleet.docket.add('noop', {})).result();
  });

  test('a worker that drains is live, but not ready', async () => {
    const fleet = await open();
    const running = await fleet.worker(PROBED);
    const held = await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'held' });
    await fleet.step('start held 1');
    const stopped = running.stop();
    expect(await ask(pageOf(running, '/readyz'))).toEqual({
      status: 503,
      body: { status: 'not ready', reason: 'the worker is draining' },
    });
    expect(await statusOf(running, '/healthz')).toBe(200);
    await fleet.release();
    await stopped;
    await held.result();
    await expect(fetch(pageOf(running, '/healthz'))).rejects.toThrow();
  });

  test('a worker whose event loop is blocked is not live, and logs a warning', async () => {
    const fleet = await open();
    fleet.leavesWork();
    const running = await fleet.worker({ ...PROBED, threads: 0, redeliveryTimeout: '400ms' });
    await (await fleet.docket.add('blocked', { ms: 900 })).result();
    const { status, body } = await ask(pageOf(running, '/healthz'));
    expect([status, body.status]).toEqual([503, 'stuck']);
    const warned = running.lines.filter(({ message }) => message.startsWith('a task held the event loop'));
    expect(warned).toEqual([expect.objectContaining({ level: 'warn' })]);
    await waitFor(async () => (await statusOf(running, '/healthz')) === 200);
  });

  test('the password of the URL is shown nowhere', async () => {
    const admin = await openConnection(redis().url, 'commands');
    onTestFinished(async () => {
      await admin.config('SET', 'requirepass', '');
      await closeConnection(admin);
    });
    await admin.config('SET', 'requirepass', 'geheim');
    const fleet = await open(`unix://:geheim@${redis().socket}`);
    fleet.leavesWork();
    const command = fleet.command(
      ['--metrics-port', '0', '--healthcheck-port', '0', '--threads', '1', '--logging-level', 'debug'],
      { DOCKET_WORKER_HTTP_HOST: '127.0.0.1' },
    );
    await command.ready();
    await (await fleet.docket.add('noop', {})).result();
    const pages = async () =>
      (
        await Promise.all(
          ['/metrics', '/healthz', '/readyz', '/'].map(async (path) => (await fetch(pageOf(command, path))).text()),
        )
      ).join();
    const before = await pages();
    await admin.config('SET', 'requirepass', 'anders'); // each link that breaks now is refused
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await waitFor(() => command.lines.some(({ message }) => message.includes('wrong user name or password')));
    const after = await pages();
    await admin.config('SET', 'requirepass', 'geheim');
    command.process.kill('SIGTERM');
    await command.ended;
    for (const text of [before, after, command.errors.join('\n'), command.output.join('\n')]) {
      expect(text).not.toContain('geheim');
    }
    expect(command.lines.some(({ message }) => /^task echo: runs once$/.test(message))).toBe(true);
  });
});
