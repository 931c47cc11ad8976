/** Nodes of a cluster that know little: of no slot, or of no host names. */
import { Docket } from 'docket';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { NO_REDIS, REDIS_BINARY } from '../../support/redis-binary.js';
import { type Started, startLoneNodes, type TestNode } from '../../support/replicated.js';
import { waitFor } from '../../support/wait.js';

const PATIENT = { timeout: 60_000 };
const WITHIN = { timeoutMs: 60_000 };

describe.skipIf(REDIS_BINARY === null && !process.env.CI)(`a docket in a cluster (left out if ${NO_REDIS})`, () => {
  let started: Started;
  let [first, second]: readonly TestNode[] = [];
  beforeAll(async () => {
    started = await startLoneNodes(2);
    [first, second] = started.nodes;
    for (const node of started.nodes) await node.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
  }, 60_000);
  afterAll(() => started?.stop());

  function open(nodes: readonly TestNode[]): Docket {
    const docket = new Docket({ name: 'd', url: `redis+cluster://${nodes.map(({ address }) => address).join(',')}` });
    onTestFinished(() => docket.close());
    return docket;
  }

  /** Gives the slot of the docket to one node, once both know each other. */
  async function giveSlotTo(node: TestNode): Promise<void> {
    const bus = String(await second!.ask('CONFIG', 'GET', 'cluster-port')).split(',')[1]!;
    await first!.ask('CLUSTER', 'MEET', '127.0.0.1', second!.port, bus);
    const [slot, id] = [await node.ask('CLUSTER', 'KEYSLOT', '{d}:work'), await node.ask('CLUSTER', 'MYID')];
    for (const one of [node, ...started.nodes.filter((other) => other !== node)]) {
      await one.ask('FLUSHALL');
      // A node that has not met the other one yet knows no such id.
      await waitFor(() => one.ask('CLUSTER', 'SETSLOT', Number(slot), 'NODE', String(id)).then(() => true), WITHIN);
    }
    await waitFor(async () => String(await node.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'), WITHIN);
  }

  test('finds its master through any node that knows of it, however many know of none', PATIENT, async () => {
    await first!.ask('CLUSTER', 'ADDSLOTS', Number(await first!.ask('CLUSTER', 'KEYSLOT', '{d}:work')));
    await waitFor(async () => String(await first!.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'), WITHIN);
    // They are asked in a random order.
    for (let i = 0; i < 12; i++) await expect(open(started.nodes).add('noop' as never)).resolves.toBeDefined();
  });

  test('finds its master where nodes should announce host names and have none', PATIENT, async () => {
    await giveSlotTo(second!);
    const setting = 'cluster-preferred-endpoint-type'; // from Redis 7 on
    for (const node of started.nodes) await node.ask('CONFIG', 'SET', setting, 'hostname').catch(() => null);
    onTestFinished(async () => {
      for (const node of started.nodes) await node.ask('CONFIG', 'SET', setting, 'ip').catch(() => null);
    });
    await expect(open([first!]).add('noop' as never)).resolves.toBeDefined();
  });

  test('leaves a node that was removed from the cluster while nothing was asked of it', PATIENT, async () => {
    await giveSlotTo(first!);
    const docket = open(started.nodes);
    await docket.add('noop' as never);
    await giveSlotTo(second!);
    await second!.ask('CLUSTER', 'FORGET', String(await first!.ask('CLUSTER', 'MYID')));
    await first!.ask('CLUSTER', 'RESET', 'SOFT'); // it knows no other node now
    const added = await waitFor(() => docket.add('noop' as never), WITHIN);
    expect(await second!.ask('XLEN', '{d}:work')).toBe(1);
    expect(added.key).toBeTruthy();
  });
});
