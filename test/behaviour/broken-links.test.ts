/** A worker that cannot write what becomes of its executions reads none, and goes on by itself once it can. */
import { expect, test } from 'vitest';
import { faultyProxy } from '../support/faulty-proxy.js';
import { type Command, openFleet } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const LEAN = { executionTtl: 0 } as const;

function hasLogged({ lines }: Command, words: RegExp): Promise<boolean> {
  return waitFor(() => lines.some(({ message }) => words.test(message)));
}

describeOnOwnRedis('a worker whose link for commands is gone', (redis) => {
  test('runs nothing that it could not settle, so nothing runs twice, and works again when the link is back', async () => {
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

  test('keeps what it had just read, and runs it once the link is back', async () => {
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
