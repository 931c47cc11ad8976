/** Dockets of one name in several databases of one server, which share its channels. */
import { randomUUID } from 'node:crypto';
import { Docket, type Execution, ExecutionCancelledError, task } from 'docket';
import { Worker } from 'docket/worker';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { keysOf } from '../../src/redis/keys.js';
import { silent } from '../support/stage.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

const wait = task('wait', async (_args: {}, { signal }) => {
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
});
const echo = task('echo', ({ value }: { value: number }) => value);

describeOnOwnRedis('two databases of one server', (redis) => {
  function open(name: string, db: number): Docket {
    const docket = new Docket({ name, url: `${redis().url}?db=${db}` });
    onTestFinished(() => docket.close());
    return docket;
  }

  function work(docket: Docket): void {
    const worker = new Worker(docket, {
      tasks: { wait, echo },
      threads: 0,
      logger: silent,
      minimumCheckInterval: '50ms',
    });
    const running = worker.runForever();
    onTestFinished(async () => {
      await worker.close();
      await running;
    });
  }

  test('have channels of their own, by which results, cancels, wakes and strikes arrive', async () => {
    const name = `t-${randomUUID().slice(0, 8)}`;
    const listener = new Redis(redis().socket);
    onTestFinished(() => listener.disconnect());
    const heard = new Set<string>();
    listener.on('pmessage', (_pattern, channel) => heard.add(channel.slice(name.length + 3)));
    await listener.psubscribe(`{${name}}:*`);
    const docket = open(name, 1);
    work(docket);
    expect(await (await docket.add(echo, { value: 1 }, { when: 300 })).result({ timeout: '20s' })).toBe(1);
    const waiting = await docket.add(wait, {}, { key: 'w' });
    await waitFor(async () => (await docket.getExecution('w'))?.state === 'running');
    const ended = expect(waiting.result({ timeout: '20s' })).rejects.toThrow(ExecutionCancelledError);
    await docket.cancel('w');
    await ended;
    await docket.strike(echo);
    await waitFor(() => heard.has('@1:strikes'));
    expect([...heard].filter((channel) => !channel.startsWith('@1:'))).toEqual([]);
    expect([...heard]).toEqual(expect.arrayContaining(['@1:cancel', '@1:events:w', '@1:wake']));
    await docket.restore(echo);
  });

  test('an event of one does not reach the subscriptions of the other', async () => {
    const name = `t-${randomUUID().slice(0, 8)}`;
    const [here, there] = [open(name, 0), open(name, 1)];
    const statesOf = async (execution: Execution<unknown>, states: string[]) => {
      for await (const event of execution.subscribe()) if (event.type === 'state') states.push(event.state);
    };
    const seen: string[] = [];
    const execution = await here.add(echo, { value: 1 }, { key: 'k', when: '1h' });
    const watching = statesOf(execution, seen);
    await waitFor(() => seen.length > 0);
    await there.add(echo, { value: 2 }, { key: 'other' }); // so that the generation there is the newer one
    const seenThere: string[] = [];
    const watchingThere = statesOf(await there.add(echo, { value: 2 }, { key: 'k', when: '1h' }), seenThere);
    await waitFor(() => seenThere.length > 0);
    await there.cancel('k');
    await watchingThere;
    expect(seenThere).toEqual(['scheduled', 'cancelled']);
    await here.cancel('k');
    await watching;
    expect(seen).toEqual(['scheduled', 'cancelled']); // the second one is its own
    await execution.sync();
    expect(execution.state).toBe('cancelled');
  });

  test('that are numbered differently name different channels, and database 0 those of old', () => {
    expect(keysOf('d').cancel).toBe('{d}:cancel');
    expect(keysOf('d', { db: 3 }).cancel).toBe('{d}:@3:cancel');
    expect(keysOf('d', { db: 3 }).strikes).toBe(keysOf('d').strikes); // a key: every database has its own
    expect(keysOf('d', { db: 3 }).events('k')).toBe('{d}:@3:events:k');
  });
});
