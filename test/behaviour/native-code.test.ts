/** A worker that stops while a thread is in native code, which nothing can interrupt, does not wait for it for ever. */
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../support/fleet.js';
import { describeOnAnyServer, describeOnRedis } from '../support/suites.js';

const STOP = { drainTimeout: '1s', abortGrace: '500ms' } as const;
const STOP_FLAGS = ['--threads', '1', '--drain-timeout', STOP.drainTimeout, '--abort-grace', STOP.abortGrace];

describeOnAnyServer('a worker that stops while a thread is in native code', (url) => {
  test('requeues what runs there and signs off, and the next worker runs it', async () => {
    const fleet = await openFleet(url());
    const first = await fleet.worker({ threads: 2, concurrency: 4, ...STOP });
    const execution = await fleet.docket.add('native', { probe: fleet.probe }, { key: 'k' });
    await fleet.step('start k 1');
    await first.stop(); // before the native call returns, which it does once it is released
    await execution.sync();
    expect([execution.state, execution.attempt]).toEqual(['queued', 1]);
    expect(await fleet.consumers()).toEqual([]);
    expect(first.lines.filter(({ message }) => message.includes('native code'))).toHaveLength(1);
    await fleet.release();
    const second = await fleet.worker({ threads: 1 });
    expect(await execution.result()).toEqual({ attempt: 1, redelivered: false, worker: second.worker.name });
    expect(await fleet.steps()).toEqual(['start k 1', 'start k 1', 'end k 1']); // the first ended with its call
  });
});

describeOnRedis('a docket-worker with a thread in native code', (url) => {
  test.each(['SIGTERM', 'SIGINT'] as const)('drains on %s, and is then ended by it', async (signal) => {
    const fleet = await openFleet(url());
    const command = fleet.command([...STOP_FLAGS]);
    const execution = await startNative(fleet);
    command.process.kill(signal);
    expect(await command.ended).toEqual({ code: null, signal });
    expect(command.lines.at(-1)!.message).toMatch(/has stopped$/);
    await execution.sync();
    expect([execution.state, execution.attempt]).toEqual(['queued', 1]);
    expect([await fleet.docket.workers(), await fleet.consumers()]).toEqual([[], []]);
    await fleet.release();
    await fleet.worker({ threads: 1 });
    await execution.result();
  });

  test('is ended by a second signal, too', async () => {
    const fleet = await openFleet(url());
    const command = fleet.command(['--threads', '1', '--drain-timeout', '10m', '--redelivery-timeout', '300ms']);
    const execution = await startNative(fleet);
    command.process.kill('SIGINT');
    await expect.poll(() => command.lines.some(({ message }) => message.includes('is draining'))).toBe(true);
    const again = setInterval(() => command.process.kill('SIGTERM'), 100); // soon after the first it is the same signal
    expect(await command.ended).toEqual({ code: null, signal: 'SIGTERM' });
    clearInterval(again);
    await fleet.release();
    await fleet.worker({ threads: 1, redeliveryTimeout: '300ms' });
    await execution.result();
  });

  async function startNative(fleet: Fleet) {
    const execution = await fleet.docket.add('native', { probe: fleet.probe }, { key: 'k' });
    await fleet.step('start k 1');
    return execution;
  }
});
