/** A docket in a cluster: real nodes that are killed, taken over from, and whose slots move. */
import { Docket, RedisUnavailableError } from 'docket';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Fleet, openFleet } from '../../support/fleet.js';
import { NO_REDIS, REDIS_BINARY } from '../../support/redis-binary.js';
import { REDIS_CLI, redisCli, startCluster, type TestCluster } from '../../support/replicated.js';
import { runDocket } from '../../support/shell.js';
import { type Adds, runsOf, streamOfAdds } from '../../support/stream-of-adds.js';
import { isEveryVariant } from '../../support/suites.js';
import { waitFor } from '../../support/wait.js';

/** A failover takes seconds, on a busy machine many. */
const PATIENT = { timeout: 120_000 };
const WITHIN = { timeoutMs: 60_000 };

describe.skipIf(REDIS_BINARY === null && !process.env.CI)(`a docket in a cluster (left out if ${NO_REDIS})`, () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  }, 90_000);
  afterAll(() => cluster?.stop());

  function open(url: string, name: string): Docket {
    const docket = new Docket({ name, url });
    onTestFinished(() => docket.close());
    return docket;
  }

  async function errorOf(docket: Docket): Promise<string> {
    const error = await docket.add('noop' as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RedisUnavailableError);
    return (error as Error).message;
  }

  /** Waits until everything that was acknowledged has run. */
  async function allRun(fleet: Fleet, { acknowledged }: Adds): Promise<void> {
    const all = waitFor(async () => {
      const runs = runsOf(await fleet.steps());
      return [...acknowledged].every((key) => runs.has(key));
    }, WITHIN);
    await expect(all).resolves.toBe(true);
  }

  async function startFleet(): Promise<Fleet> {
    await cluster.healthy();
    const fleet = await openFleet(cluster.url, { durability: { replicas: 1, timeout: '1s' } });
    fleet.leavesWork();
    const worker = fleet.command(['--threads', '1', '--concurrency', '10', '--redelivery-timeout', '3s']);
    await worker.ready();
    return fleet;
  }

  test(
    'loses nothing that was acknowledged when its master is killed, and every process goes on by itself',
    PATIENT,
    async () => {
      const fleet = await startFleet();
      const adds = streamOfAdds(fleet.docket, fleet.probe, 100);
      await waitFor(() => adds.acknowledged.size > 50, WITHIN);
      const master = await cluster.owner(fleet.key('work'));
      await master.kill();
      await waitFor(() => adds.refused.size > 0, WITHIN); // fails fast meanwhile
      const before = adds.acknowledged.size;
      await waitFor(async () => (await cluster.owner(fleet.key('work'))).port !== master.port, WITHIN);
      await master.start(); // as the replica without which nothing is acknowledged
      await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
      await allRun(fleet, await adds.stop());
    },
  );

  test(
    'goes on in the node to which its slot moves, with everything in it, and hears of its cancels there',
    PATIENT,
    async () => {
      const fleet = await startFleet();
      const adds = streamOfAdds(fleet.docket, fleet.probe, 100);
      await waitFor(() => adds.acknowledged.size > 50, WITHIN);
      const running = await fleet.docket.add('patient', { probe: fleet.probe, how: 'signal' }, { key: 'running' });
      await fleet.step('waits running');
      const target = await cluster.stranger(fleet.key('work'));
      const move = await cluster.beginMove(fleet.key('work'), target);
      while ((await move.moveKeys(20)) > 0);
      await move.end();
      const before = adds.acknowledged.size;
      await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
      expect((await cluster.owner(fleet.key('work'))).port).toBe(target.port);
      expect((await fleet.docket.cancel('running')).outcome).toBe('stopping');
      await expect(running.result()).rejects.toThrow();
      const all = await adds.stop();
      await allRun(fleet, all);
      const runs = runsOf((await fleet.steps()).filter((step) => step.startsWith('k-')));
      expect([...runs.values()].filter(({ runs }) => runs > 1)).toEqual([]);
    },
  );

  test('never runs a script half-way through a move, and says why an add has to wait', PATIENT, async () => {
    await cluster.healthy();
    const fleet = await openFleet(cluster.url);
    for (let n = 0; n < 20; n++) await fleet.docket.add('noop', {}, { key: `held-${n}` });
    const target = await cluster.stranger(fleet.key('work'));
    const move = await cluster.beginMove(fleet.key('work'), target);
    for (const count of isEveryVariant ? [1, 5, 5] : [5]) {
      await move.moveKeys(count);
      const error = await fleet.docket.add('noop', {}, { key: 'late' }).catch((thrown: unknown) => thrown as Error);
      expect(error).toBeInstanceOf(RedisUnavailableError);
      expect((error as Error).message).toMatch(
        /refused the add: the keys of this docket are on their way to another node/,
      );
    }
    const waiting = fleet.docket.add('noop', {}, { key: 'in time' });
    while ((await move.moveKeys(100)) > 0);
    await move.end();
    expect((await waiting).disposition).toBe('scheduled');
    expect(await fleet.docket.getExecution('late')).toBeNull();
    await fleet.worker({ threads: 0 });
    await waitFor(async () => (await fleet.docket.snapshot()).totals.queued === 0, WITHIN);
  });

  test('says in one line what is wrong with the URL', PATIENT, async () => {
    await cluster.healthy();
    const name = 'misled';
    const stranger = await cluster.stranger(`{${name}}:work`);
    expect(() => open(`${cluster.url}/3`, name)).toThrow('a cluster has database 0 only');
    const plain = await errorOf(open(`redis://${stranger.address}`, name));
    expect(plain).toMatch(
      /the keys of this docket are on another node of the cluster: redis\+cluster:\/\/ URLs follow them by themselves/,
    );
    expect(await errorOf(open('redis+cluster://127.0.0.1:1,127.0.0.1:2', name))).toContain(
      'no node of the cluster answers',
    );
    const elsewhere = await errorOf(open(`redis://${stranger.address}/3`, name));
    expect(elsewhere).toMatch(/: the server has no such database \(ERR SELECT is not allowed in cluster mode\)$/);
    const { code, errors } = await runDocket(['ls', '--docket', name, '--url', `redis://${stranger.address}`]);
    expect(errors).toMatch(/^docket: cannot use Redis at [^\n]*redis\+cluster:[^\n]*\n$/);
    expect(code).toBe(1);
    const owner = await cluster.owner(`{${name}}:work`);
    const doctor = ['doctor', '--docket', name, '--url'];
    expect((await runDocket([...doctor, `redis://${owner.address}`])).output).toMatch(
      /^warn +topology +.* -> give the URL as redis\+cluster/m,
    );
    const found = (await runDocket([...doctor, cluster.url])).output;
    expect(found).toMatch(/^ok +topology +the master was found in the cluster: 127\.0\.0\.1:\d+$/m);
    expect(found).toMatch(/^(?:ok|warn) +coverage +cluster-require-full-coverage (?:yes|no) on 127\.0\.0\.1:\d+/m);
    expect(found).not.toMatch(/^fail/m);
    expect((await runDocket(['ls', '--docket', name, '--url', `redis://${owner.address}`])).code).toBe(0);
  });

  describe.runIf(isEveryVariant)('in more trouble', () => {
    test('is found when only one node of the URL lives', PATIENT, async () => {
      await cluster.healthy();
      const live = await cluster.stranger('{d}:work');
      const fleet = await openFleet(`redis+cluster://127.0.0.1:1,${live.address},127.0.0.1:2`);
      await fleet.worker({ threads: 0 });
      expect(await (await fleet.docket.add('echo', { value: 1 })).result()).toBe(1);
      expect((await runDocket(['doctor', '--url', cluster.url, '--docket', fleet.name])).output).not.toContain('fail ');
    });

    test('follows a manual failover without losing anything', PATIENT, async () => {
      const fleet = await startFleet();
      const adds = streamOfAdds(fleet.docket, fleet.probe, 100);
      await waitFor(() => adds.acknowledged.size > 50, WITHIN);
      const master = await cluster.owner(fleet.key('work'));
      await (await cluster.replicaOf(master)).ask('CLUSTER', 'FAILOVER');
      await waitFor(async () => (await cluster.owner(fleet.key('work'))).port !== master.port, WITHIN);
      const before = adds.acknowledged.size;
      await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
      await allRun(fleet, await adds.stop());
      await cluster.healthy();
    });

    test('waits for a slot that no node has, and goes on when one has it again', PATIENT, async () => {
      const fleet = await startFleet();
      const [master, slot] = [await cluster.owner(fleet.key('work')), await cluster.slotOf(fleet.key('work'))];
      await master.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
      await master.ask('CLUSTER', 'DELSLOTS', slot);
      const message = await fleet.docket.add('noop').then(
        () => 'added',
        (error: Error) => error.message,
      );
      expect(message).toMatch(
        /no node of the cluster serves the keys of this docket|another node of the cluster|cannot be reached/,
      );
      const late = fleet.command(['--threads', '1']);
      await waitFor(() => late.lines.some(({ message }) => /: waiting for it$/.test(message)), WITHIN);
      await master.ask('CLUSTER', 'ADDSLOTS', slot);
      await late.ready();
      const added = await waitFor(() => fleet.docket.add('echo', { value: 1 }), WITHIN);
      expect(await added.result()).toBe(1);
      await master.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'yes');
      await cluster.healthy();
    });

    test('is not stopped by redis-cli --cluster reshard (left out if redis-cli is not installed)', {
      ...PATIENT,
      skip: REDIS_CLI === null,
    }, async () => {
      const fleet = await startFleet();
      const adds = streamOfAdds(fleet.docket, fleet.probe, 100);
      await waitFor(() => adds.acknowledged.size > 50, WITHIN);
      const [from, slot] = [await cluster.owner(fleet.key('work')), await cluster.slotOf(fleet.key('work'))];
      const to = await cluster.stranger(fleet.key('work'));
      // It takes the lowest slots of the node, so all up to ours move.
      const ranges = (await from.ask('CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
      const own = ranges.filter(([first, , master]) => master[1] === from.port && first <= slot);
      const count = own.reduce((sum, [first, last]) => sum + Math.min(last, slot) - first + 1, 0);
      const [fromId, toId] = [await cluster.idOf(from), await cluster.idOf(to)];
      const choice = [
        '--cluster-from',
        fromId,
        '--cluster-to',
        toId,
        '--cluster-slots',
        String(count),
        '--cluster-yes',
      ];
      await redisCli('--cluster', 'reshard', from.address, ...choice);
      expect((await cluster.owner(fleet.key('work'))).port).toBe(to.port);
      const before = adds.acknowledged.size;
      await waitFor(() => adds.acknowledged.size > before + 50, WITHIN);
      await allRun(fleet, await adds.stop());
    });
  });
});
