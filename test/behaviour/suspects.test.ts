/** Suspects: where they run, and who is to blame when a thread or a process dies. */
import { type Execution, PoisonedError } from 'docket';
import { expect, test } from 'vitest';
import { type Fleet, fixture, openFleet } from '../support/fleet.js';
import type { Line } from '../support/logger.js';
import { takeNotes } from '../support/notes.js';
import { describeOnAnyServer, describeOnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

describeOnAnyServer('a task that ends its thread each time', (url) => {
  test('is given up, but not the one that sleeps beside it', async () => {
    const fleet = await openFleet(url());
    const { lines } = await fleet.worker({ threads: 1, concurrency: 2, maxDeliveries: 2 });
    const { docket, probe } = fleet;
    const neighbour = await docket.add('sleep', { seconds: 0.8 }, { key: 'neighbour' });
    await waitFor(async () => {
      await neighbour.sync();
      return neighbour.state === 'running';
    });
    const bad = await docket.add('exits', { probe }, { key: 'bad' });

    await expect(bad.result()).rejects.toMatchObject({ name: PoisonedError.name, key: 'bad', charges: 2 });
    await neighbour.result();
    await neighbour.sync();
    expect(neighbour).toMatchObject({ state: 'completed', attempt: 1 });
    const lost = lines.filter(({ message }) => message.includes('lost its thread'));
    const charged = lost.filter(({ message }) => message.endsWith(', charged'));
    expect(new Set(lost.map(({ fields }) => fields.key))).toEqual(new Set(['bad', 'neighbour']));
    expect(charged.map(({ fields }) => fields.key)).toEqual(['bad']); // and once more when it was given up
  });
});

describeOnAnyServer('an execution that is alone on its thread', (url) => {
  test('is not charged when something that an earlier execution left behind ends the thread', async () => {
    const fleet = await openFleet(url());
    const { docket } = fleet;
    await fleet.worker({ tasks: fixture('hostile.js'), threads: 1, maxDeliveries: 1 });
    const { file, written, open } = takeNotes();
    await (await docket.add('throwsOnCue', { file })).result();
    const innocent = await docket.add('waits', { file }, { key: 'innocent' });
    await written('waits');
    open('die');
    await written('waits', 2);
    open('end');
    await innocent.result();
    await innocent.sync();
    expect(innocent.state).toBe('completed');
  });
});

describeOnRedis('a suspect', (url) => {
  test('has a thread of its own beside the other work of its worker, and nothing waits for it', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--threads', '1', '--concurrency', '50', ...QUICK]);
    const long = await docket.add('hold', { probe }, { key: 'long' });
    await fleet.step('start long 1');
    const suspect = await addSuspect(fleet, 'suspect', 'hold', { value: 'innocent' });
    await fleet.step('start suspect 1');
    const isWarning = ({ message }: Line) => /was delivered 3 times without an outcome/.test(message);
    await waitFor(() => command.lines.some(isWarning)); // it has not ended: the line comes before it can end the process
    expect(command.lines.filter(isWarning)).toMatchObject([{ level: 'warn', fields: { key: 'suspect' } }]);
    await (await docket.add('noop')).result();
    await fleet.release();
    expect(await suspect.result()).toBe('innocent');
    await long.result();
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(2);
    command.process.kill('SIGTERM');
    await command.ended;
  });

  test('is not charged when another execution ends their process, whether it has started or not', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--threads', '2', '--concurrency', '4', ...QUICK]);
    const running = await addSuspect(fleet, 'running', 'hold', { value: 'running' });
    await fleet.step('start running 1'); // alone, until the other one starts
    const waiting = await addSuspect(fleet, 'waiting', 'hold', { value: 'waiting' });
    await docket.add('kills', { probe }, { key: 'killer' });
    await command.ended;
    await docket.cancel('killer');
    await fleet.release(); // from now on both would end

    await fleet.worker({ threads: 2, redeliveryTimeout: '500ms', maxDeliveries: 1 });
    expect(await running.result()).toBe('running');
    expect(await waiting.result()).toBe('waiting');
  });

  test('that always ends its process is charged each time, and given up after maxDeliveries', async () => {
    const fleet = await openFleet(url());
    const killer = await addSuspect(fleet, 'killer', 'kills');
    const poisoned = expect(killer.result()).rejects.toMatchObject({ name: PoisonedError.name, charges: 2 });
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    poisoned.then(over, over);
    while (!isOver) {
      const command = fleet.command(['--threads', '1', '--max-deliveries', '2', ...QUICK]);
      await Promise.race([command.ended, poisoned]);
      command.process.kill('SIGKILL');
      await command.ended;
    }
    await poisoned;
    expect(await fleet.counts()).toEqual({ killer: 2 });
  });
});

/** Flags of a worker that soon notices what is due, and whose work is soon redelivered. */
const QUICK = ['--scheduling-resolution', '100ms', '--redelivery-timeout', '500ms'];

/** Adds an execution that was delivered three times without an outcome. */
async function addSuspect(
  { docket, probe, redis, key }: Fleet,
  record: string,
  task: string,
  args: object = {},
): Promise<Execution<unknown>> {
  const execution = await docket.add(task, { probe, ...args }, { key: record, when: '1h' });
  await redis.hset(key(`run:${record}`), 'pd', 3); // parked: number of its deliveries
  await redis.zadd(key('schedule'), 1, `k${record}`);
  return execution;
}
