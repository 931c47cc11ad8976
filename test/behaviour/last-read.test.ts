/** A worker that stops while a read is open that the server cannot end: it claims nothing any more. */
import { expect, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { openFleet } from '../support/fleet.js';
import { describeOnEmbedded, describeOnOwnRedis } from '../support/suites.js';

/** Longer than any test: the read ends only if the worker ends it. */
const LONG_READ = '10m';
/** The thread has room for another execution, so it reads while one runs. */
const OPTIONS = { concurrency: 2, drainTimeout: '1s', abortGrace: '500ms', minimumCheckInterval: LONG_READ } as const;

describeOnOwnRedis('a worker that may not use CLIENT UNBLOCK, and stops while it reads', (redis) => {
  async function restrictedUrl(): Promise<string> {
    const admin = await openConnection(redis().url, 'producer');
    await admin.call('ACL', 'SETUSER', 'app', 'on', '>pw', '~*', '&*', '+@all', '-client|unblock');
    await closeConnection(admin);
    return redis().url.replace('unix://', 'unix://app:pw@');
  }

  test('requeues executions that did not end in time, does not claim them again, signs off and exits', async () => {
    const fleet = await openFleet(redis().url);
    const read = ['--threads', '1', '--concurrency', '2', '--minimum-check-interval', LONG_READ];
    const stop = ['--drain-timeout', '1s', '--abort-grace', '500ms'];
    const command = fleet.command([...read, ...stop, '--url', await restrictedUrl()]);
    await command.ready();
    const execution = await fleet.docket.add('patient', { probe: fleet.probe, how: 'stubborn' }, { key: 'k' });
    await fleet.step('waits k');
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 0, signal: null });
    await execution.sync();
    expect([execution.state, execution.attempt]).toEqual(['queued', 1]);
    expect(await fleet.pending()).toBe(0);
    expect(await fleet.consumers()).toEqual([]);
    await fleet.release();
    const next = await fleet.worker({ threads: 1 });
    expect(await execution.result()).toEqual({ attempt: 1, redelivered: false, worker: next.worker.name });
  });
});

describeOnEmbedded('a worker that stops while it reads', (url) => {
  test.each([0, 1])(
    'leaves its work to the next one at once, not when the lease ends (threads: %i)',
    async (threads) => {
      const fleet = await openFleet(url());
      const lease = { redeliveryTimeout: '10m' } as const;
      const first = await fleet.worker({ threads, ...lease, ...OPTIONS });
      const how = threads === 0 ? 'signal' : 'stubborn';
      const execution = await fleet.docket.add('patient', { probe: fleet.probe, how }, { key: 'k' });
      await fleet.step('waits k');
      await first.stop();
      await execution.sync();
      expect([execution.state, execution.attempt]).toEqual(['queued', 1]);
      await fleet.release();
      const second = await fleet.worker({ threads, ...lease });
      expect(await execution.result()).toEqual({ attempt: 1, redelivered: false, worker: second.worker.name });
    },
  );
});
