/** A docket behind Sentinel: real servers and sentinels, and masters that are killed. */
import { Docket, RedisUnavailableError } from 'docket';
import { dashboard } from 'docket/dashboard';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { serveHandler } from '../../support/dashboard.js';
import { type Command, openFleet } from '../../support/fleet.js';
import { NO_REDIS, REDIS_BINARY } from '../../support/redis-binary.js';
import { startSentinels, type TestNode, type TestSentinels } from '../../support/replicated.js';
import { runDocket } from '../../support/shell.js';
import { type Adds, runsOf, streamOfAdds } from '../../support/stream-of-adds.js';
import { isEveryVariant } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

/** A failover takes seconds, on a busy machine many. */
const PATIENT = { timeout: 120_000 };
const WITHIN = { timeoutMs: 60_000 };

describe.skipIf(REDIS_BINARY === null && !process.env.CI)(`a docket behind Sentinel (left out if ${NO_REDIS})`, () => {
  let servers: TestSentinels;
  beforeAll(async () => {
    servers = await startSentinels();
  }, 90_000);
  afterAll(() => servers?.stop());

  function open(url: string): Docket {
    const docket = new Docket({ name: 'unused', url });
    onTestFinished(() => docket.close());
    return docket;
  }

  async function errorOf(url: string): Promise<string> {
    const error = await open(url)
      .add('noop' as never)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RedisUnavailableError);
    return (error as Error).message;
  }

  test(
    'loses nothing that was acknowledged when its master is killed, and every process goes on by itself',
    PATIENT,
    async () => {
      await servers.healthy();
      const fleet = await openFleet(servers.url, { durability: { replicas: 1, timeout: '1s' } });
      fleet.leavesWork();
      const workers = [1, 2].map(() =>
        fleet.command(['--threads', '1', '--concurrency', '10', '--redelivery-timeout', '3s']),
      );
      await Promise.all(workers.map((worker) => worker.ready()));
      const adds = streamOfAdds(fleet.docket, fleet.probe, 100);
      await waitFor(() => adds.acknowledged.size > 50, WITHIN);

      const master = await servers.master();
      await master.kill();
      await waitFor(() => adds.refused.size > 0, WITHIN); // fails fast meanwhile
      const named = `, master ${master.address}: `;
      await waitFor(() => workers.every(({ lines }) => lines.some(({ message }) => message.includes(named))), WITHIN);
      const before = adds.acknowledged.size;
      await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
      expect((await servers.master()).port).not.toBe(master.port);

      if (isEveryVariant) await replacedAgain(master, adds);
      const { acknowledged } = await adds.stop();
      await waitFor(async () => {
        const runs = runsOf(await fleet.steps());
        return [...acknowledged].every((key) => runs.has(key));
      }, WITHIN);
      expect(workers.map(({ process }) => process.exitCode)).toEqual([null, null]);
      expect(await seen(workers)).toBe(true);
    },
  );

  /** The old master comes back, empty, and is made a replica. Then the new one is replaced on request. */
  async function replacedAgain(old: TestNode, adds: Adds): Promise<void> {
    await old.start();
    await servers.healthy();
    const { port } = await servers.master();
    await servers.sentinels[0]!.ask('SENTINEL', 'FAILOVER', servers.name);
    await waitFor(async () => (await servers.master()).port !== port, WITHIN);
    const before = adds.acknowledged.size;
    await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
    await servers.healthy();
  }

  /** Whether each worker has noticed that its master was lost, and that there is one again. */
  async function seen(workers: readonly Command[]): Promise<boolean> {
    const has = (worker: Command, what: RegExp) => worker.lines.some(({ message }) => what.test(message));
    return await waitFor(
      () => workers.every((one) => has(one, /broke: trying again$/) && has(one, /answers again/)),
      WITHIN,
    );
  }

  test('says in one line what is wrong with the URL', PATIENT, async () => {
    await servers.healthy();
    const [sentinel] = servers.sentinels;
    expect(() => open(`redis+sentinel://${sentinel!.address}`)).toThrow('the name of the master is missing');
    expect(await errorOf(`redis+sentinel://:geheim@${sentinel!.address}/nobody`)).toBe(
      `cannot use Redis at redis+sentinel://:***@${sentinel!.address}/nobody: the sentinels know no master named 'nobody'`,
    );
    const { address } = await servers.master();
    expect(await errorOf(`redis+sentinel://${address}/tests`)).toContain(
      `${address} is no sentinel: give the addresses of sentinels, or the redis:// URL of one server`,
    );
    expect(await errorOf(`redis://${sentinel!.address}`)).toBe(
      `cannot use Redis at redis://${sentinel!.address}: the server is a sentinel: its URL is redis+sentinel://${sentinel!.address}/NAME, with the name of the master`,
    );
    expect(await errorOf(`redis+sentinel://127.0.0.1:1,127.0.0.1:2/tests`)).toMatch(
      /no sentinel answers \(127\.0\.0\.1:1: the connection was refused: nothing listens there; 127\.0\.0\.1:2: /,
    );
    const { code, errors } = await runDocket(['snapshot', '--url', `redis+sentinel://${sentinel!.address}/nobody`]);
    expect(errors).toMatch(/^docket: cannot use Redis at [^\n]*: the sentinels know no master named 'nobody'\n$/);
    expect(code).toBe(1);
    const found = await runDocket(['doctor', '--url', `redis+sentinel://${sentinel!.address}/nobody`]);
    expect(found.output).toMatch(
      /^fail {2}connection .*no master named 'nobody' -> give the name that the sentinels have/,
    );
    const mistaken = await runDocket(['doctor', '--url', `redis+cluster://${address}`]);
    expect(mistaken.output).toMatch(/^fail {2}connection .* is no cluster: .* -> change redis\+cluster:\/\/ in --url/);
    expect([found.code, mistaken.code]).toEqual([1, 1]);
    expect((await runDocket(['ls', '--url', `${servers.url}/3`])).code).toBe(0);
  });

  test.runIf(isEveryVariant)('is found by the one sentinel that is left', PATIENT, async () => {
    await servers.healthy();
    const [first, second, last] = servers.sentinels;
    await Promise.all([first!.kill(), second!.kill()]);
    onTestFinished(async () => {
      await Promise.all([first!.start(), second!.start()]);
      await servers.healthy();
    });
    const fleet = await openFleet(servers.url);
    await fleet.worker({ threads: 0 });
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
    expect(last!.port).toBeGreaterThan(0);
  });

  test.runIf(isEveryVariant)('goes on in its dashboard and for its commands after a failover', PATIENT, async () => {
    await servers.healthy();
    const fleet = await openFleet(servers.url);
    fleet.leavesWork();
    const served = await serveHandler(dashboard(fleet.docket));
    onTestFinished(served.close);
    const page = async () => (await fetch(new URL('api/workers', served.url))).status;
    expect(await page()).toBe(200);
    await (await servers.master()).kill();
    await waitFor(async () => (await page()) !== 200, WITHIN);
    await waitFor(async () => (await page()) === 200, WITHIN);
    const command = await runDocket(['add', 'noop', '--force', '--url', servers.url, '--docket', fleet.name]);
    expect([command.code, command.errors]).toEqual([0, '']);
    await servers.healthy();
  });

  test.runIf(isEveryVariant)('keeps to the database of its URL, also in the new master', PATIENT, async () => {
    await servers.healthy();
    const fleet = await openFleet(`${servers.url}/5`);
    fleet.leavesWork();
    await fleet.worker({ threads: 0 });
    expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
    const before = await servers.master();
    await servers.sentinels[0]!.ask('SENTINEL', 'FAILOVER', servers.name);
    await waitFor(async () => (await servers.master()).port !== before.port, WITHIN);
    const execution = await waitFor(() => fleet.docket.add('echo', { value: 2 }), WITHIN);
    expect(await execution.result()).toBe(2);
    expect(String(await (await servers.master()).ask('INFO', 'keyspace'))).toContain('db5:');
    await servers.healthy();
  });
});
