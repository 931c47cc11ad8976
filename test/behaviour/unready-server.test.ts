/** A worker that is stopped while Redis is away, or is there but not ready, ends, and so does its process. */
import { expect, test } from 'vitest';
import { closeConnection, openConnection } from '../support/built.js';
import { runModule } from '../support/child.js';
import { type Command, type Fleet, openFleet, TASKS } from '../support/fleet.js';
import { describeOnRedis } from '../support/suites.js';
import { CONDITIONS, type Condition, type UnreadyProxy, unreadyProxy } from '../support/unready-proxy.js';
import { waitFor } from '../support/wait.js';

/** Longer than any test may take: a worker that used all of it would fail the test. */
const LONG = '10m';

describeOnRedis('a worker that is stopped while its server is', (url) => {
  async function openProxy(): Promise<UnreadyProxy> {
    return await unreadyProxy(new URL(url()).pathname);
  }

  async function openCommand(proxy: UnreadyProxy, fleet: Fleet, ...args: string[]): Promise<Command> {
    fleet.leavesWork();
    const command = fleet.command(['--url', proxy.url, '--threads', '1', '--reconnection-delay', '100ms', ...args]);
    await command.ready();
    return command;
  }

  /** Waits until the worker has noticed, so that its read is one that was in flight when the link broke. */
  async function breakLinks(proxy: UnreadyProxy, condition: Condition, command: Command): Promise<void> {
    await proxy.become(condition);
    await waitFor(() => command.lines.some(({ message }) => message.startsWith('the link to Redis')));
  }

  test.each(CONDITIONS)('%s and has nothing to do exits, long before its drain timeout', async (condition) => {
    const proxy = await openProxy();
    const fleet = await openFleet(url());
    const command = await openCommand(proxy, fleet, '--drain-timeout', LONG);
    await breakLinks(proxy, condition, command);
    command.process.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 0, signal: null });
  });

  test.each(CONDITIONS)('%s and has an outcome to write exits within its drain timeout', async (condition) => {
    const proxy = await openProxy();
    const fleet = await openFleet(url());
    const command = await openCommand(proxy, fleet, '--concurrency', '2', '--drain-timeout', '2s');
    await fleet.docket.add('hold', { probe: fleet.probe }, { key: 'k' });
    await fleet.step('start k 1');
    await breakLinks(proxy, condition, command);
    command.process.kill('SIGTERM');
    await fleet.release();
    await fleet.step('end k 1');
    expect(await command.ended).toEqual({ code: 0, signal: null });
    const messages = command.lines.map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringMatching(/^outcomes could not be written/));
    expect(messages.at(-1)).toMatch(/^worker .* has stopped$/); // what it gave up is told before
  });

  test('away for a moment writes its outcomes when the server is back', async () => {
    const proxy = await openProxy();
    const fleet = await openFleet(url());
    const command = await openCommand(proxy, fleet, '--drain-timeout', LONG);
    const execution = await fleet.docket.add('hold', { probe: fleet.probe, value: 'done' }, { key: 'k' });
    await fleet.step('start k 1');
    await breakLinks(proxy, 'loading', command);
    command.process.kill('SIGTERM');
    await fleet.release();
    await fleet.step('end k 1');
    await proxy.recover();
    expect(await execution.result()).toBe('done');
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(await fleet.pending()).toBe(0);
  });

  test.each(CONDITIONS)('%s ends in code, too, and leaves nothing that keeps its process alive', async (condition) => {
    const proxy = await openProxy();
    const fleet = await openFleet(url());
    fleet.leavesWork();
    const running = runModule(
      `import { Docket } from 'docket';
      import { Worker } from 'docket/worker';
      const { URL: url, NAME: name, TASKS: tasks } = process.env;
      const docket = new Docket({ url, name });
      const logger = { debug() {}, info() {}, error() {}, warn: (_, line) => line.includes('broke') && worker.close() };
      const worker = new Worker(docket, { tasks, threads: 1, drainTimeout: '${LONG}', logger });
      await worker.runForever();
      console.log('closed');`,
      { URL: proxy.url, NAME: fleet.name, TASKS },
    );
    await waitFor(async () => (await fleet.docket.workers()).length === 1);
    await proxy.become(condition);
    expect(await running).toEqual({ code: 0, signal: null, stdout: 'closed\n', stderr: '' });
  });
});

describeOnRedis('a connection that is closed while its server is', (url) => {
  test.each(CONDITIONS)('%s settles what was in flight when its link broke', async (condition) => {
    const proxy = await unreadyProxy(new URL(url()).pathname);
    const redis = await openConnection(proxy.url, 'blocking', { longestPauseMs: 10 });
    const inFlight = redis.blpop('nothing', 0).catch(String);
    let attempts = 0;
    const begun = () => {
      attempts += 1;
    };
    redis.on('connect', begun).on('close', begun);
    await proxy.become(condition);
    await waitFor(() => attempts >= 2); // the link broke, and an attempt to open another one got this far
    const [sent, waiting] = [redis.client('ID').catch(String), redis.get('key').catch(String)];
    await closeConnection(redis);
    await sent; // a link that is not ready yet takes this one, and may answer
    expect(await inFlight).toBe('Error: Connection is closed.');
    expect(await waiting).toMatch(/Connection is closed|LOADING/); // a refused ready check settles what waits for it
  });
});
