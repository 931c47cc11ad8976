/** Suspects: where they run, and who is to blame when a thread or a process dies. */
import { type Execution, PoisonedError } from 'docket';
import { expect, test } from 'vitest';
import { type Fleet, openFleet } from '../support/fleet.js';
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

describeOnRedis('an execution that takes its process down each time', (url) => {
  test('is given up after maxDeliveries, but its neighbours are not', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const bad = await docket.add('hold', { probe }, { key: 'bad' });
    await chargeOf(fleet, 'bad', { deliveries: 7, charges: 4 });
    const neighbour = await docket.add('hold', { probe, value: 'unharmed' }, { key: 'neighbour' });
    const command = fleet.command(['--threads', '2', '--redelivery-timeout', '500ms']);
    await Promise.all([fleet.step('start bad 1'), fleet.step('start neighbour 1')]);
    command.process.kill('SIGKILL');
    await command.ended;
    await fleet.release(); // from now on both would end

    await fleet.worker({ threads: 1, redeliveryTimeout: '500ms', maxDeliveries: 5 });
    await expect(bad.result()).rejects.toMatchObject({ name: PoisonedError.name, key: 'bad', charges: 5 });
    expect(await neighbour.result()).toBe('unharmed');
    const started = (await fleet.steps()).filter((step) => step.startsWith('start'));
    expect(started.sort()).toEqual(['start bad 1', 'start neighbour 1', 'start neighbour 1']);
  });
});

describeOnRedis('a suspect', (url) => {
  test('has a thread of its own beside what its worker runs, and nobody waits for it', async () => {
    const fleet = await openFleet(url());
    const { docket, probe } = fleet;
    const command = fleet.command(['--threads', '1', '--concurrency', '50', '--scheduling-resolution', '100ms']);
    const long = await docket.add('hold', { probe }, { key: 'long' });
    await fleet.step('start long 1');
    const suspect = await addSuspect(fleet, 'suspect', 'hold', { value: 'innocent' });
    await fleet.step('start suspect 1');
    await (await docket.add('noop')).result();
    await fleet.release();
    expect(await suspect.result()).toBe('innocent');
    await long.result();
    expect((await fleet.steps()).filter((step) => step.startsWith('start'))).toHaveLength(2);
    command.process.kill('SIGTERM');
    await command.ended;
  });
});

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

/** Makes the one entry on the work stream look as if it had been delivered so often. */
async function chargeOf(
  { redis, key }: Fleet,
  record: string,
  counts: { deliveries: number; charges: number },
): Promise<void> {
  const [entry] = await redis.xrangeBuffer(key('work'), '-', '+');
  const [id, fields] = entry!;
  const { deliveries, charges } = counts;
  await redis.xdel(key('work'), id);
  const again = await redis.xadd(key('work'), '*', ...fields, 'd', deliveries, 'c', charges);
  await redis.hset(key(`run:${record}`), 'e', `w${again}`);
}
