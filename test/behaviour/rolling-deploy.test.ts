/** While a fleet is replaced, worker by worker, a new task waits only for a free worker that has it. */
import { expect, onTestFinished, test } from 'vitest';
import { type Command, type Fleet, fixture, openFleet, startCommand } from '../support/fleet.js';
import { describeOnOwnRedis } from '../support/suites.js';
import { waitFor } from '../support/wait.js';

/** Modules that have none of the tasks of `tasks.js`. */
const OLD = fixture('results.js');

/** Starts a worker process that has only old tasks. */
function oldWorker(fleet: Fleet): Command {
  const where = ['--url', fleet.url, '--docket', fleet.name, '--logging-format', 'json'];
  const command = startCommand([...where, '--tasks', OLD, '--threads', '1']);
  onTestFinished(async () => {
    command.process.kill('SIGKILL');
    await command.ended;
  });
  return command;
}

const rerouted = ({ lines }: Command) => lines.filter(({ message }) => message.includes('is rerouted'));

describeOnOwnRedis('during a rolling deploy', (redis) => {
  test('a new task reaches the only worker that has it although three idle ones do not', {
    timeout: 180_000,
  }, async () => {
    const fleet = await openFleet(redis().url);
    const old = [oldWorker(fleet), oldWorker(fleet), oldWorker(fleet)];
    await Promise.all(old.map((command) => command.ready()));
    await fleet.command(['--threads', '1']).ready();
    await waitFor(async () => (await fleet.docket.taskWorkers('echo')).length === 1);
    const delays: number[] = [];
    for (let n = 0; n < 10; n++) {
      const begin = performance.now();
      const execution = await fleet.docket.add('echo', { value: n });
      expect(await execution.result()).toBe(n);
      delays.push(performance.now() - begin);
    }
    const meanMs = delays.reduce((sum, ms) => sum + ms, 0) / delays.length;
    // Redis serves idle workers in turn, so each of the old ones has it once or twice at most.
    expect(old.flatMap(rerouted).length).toBeLessThanOrEqual(6 * delays.length);
    expect(meanMs).toBeLessThan(1_500); // it was 4 to 13 s when it came back once a second
  });

  test('executions that were added before any worker had their task start when the first such worker does', async () => {
    const fleet = await openFleet(redis().url);
    const old = oldWorker(fleet);
    await old.ready();
    const early = await fleet.docket.add('echo', { value: 'early' }, { key: 'k' });
    await waitFor(() => rerouted(old).length === 1);
    expect(rerouted(old)[0]!.message).toBe(
      'echo is rerouted for 10 s: no such task is loaded here, and no live worker has it',
    );
    await waitFor(async () => (await fleet.redis.zcard(fleet.key('rerouted:echo'))) === 1);
    // As if it had been put back many times.
    for (const key of ['schedule', 'rerouted:echo'])
      await fleet.redis.zadd(fleet.key(key), 'XX', 10_000_000_000_000, 'kk');
    await fleet.command(['--threads', '1']).ready();
    expect(await early.result()).toBe('early');
  });
});
