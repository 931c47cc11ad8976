/** Faults of servers that take over for each other: behind sentinels, and in a cluster. */
import type { TestCluster, TestSentinels } from '../../support/replicated.js';
import { waitFor } from '../../support/wait.js';
import type { Fault } from '../fault.js';
import type { World } from '../world.js';

/** An election takes seconds, on a busy machine many. */
const PATIENT = { timeoutMs: 60_000 };

function sentinelsOf({ servers }: World): TestSentinels {
  if (servers.kind !== 'sentinel') throw new Error('this fault is about a master behind sentinels');
  return servers.sentinels;
}

function clusterOf({ servers }: World): TestCluster {
  if (servers.kind !== 'cluster') throw new Error('this fault is about a cluster');
  return servers.cluster;
}

/** A key that is in the slot of the docket. */
const keyOf = ({ partitions }: World) => `${partitions[0]!.prefix}work`;

/** Waits until another node has the slot of the docket, and every node is in order. */
async function untilTakenOver(world: World, { port }: { readonly port: number }): Promise<void> {
  const cluster = clusterOf(world);
  await waitFor(async () => (await cluster.owner(keyOf(world))).port !== port, PATIENT);
  await cluster.healthy();
}

const behindSentinels = { family: 'F7', resources: ['server'], topologies: ['sentinel'] } as const;
const inCluster = { family: 'F7', resources: ['server'], topologies: ['cluster'] } as const;

export const FAILOVER_FAULTS: readonly Fault[] = [
  {
    ...behindSentinels,
    name: 'master killed behind sentinels',
    lastsMs: [2_000, 6_000],
    reach: 'all',
    loses: 'effects',
    async start(world) {
      const sentinels = sentinelsOf(world);
      const master = await sentinels.master();
      await master.kill();
      return async () => {
        await waitFor(async () => (await sentinels.master()).port !== master.port, PATIENT);
        await sentinels.healthy(); // the old master comes back as a replica
      };
    },
  },
  {
    ...behindSentinels,
    name: 'replica killed behind sentinels',
    lastsMs: [1_000, 4_000],
    reach: 'none',
    async start(world) {
      const sentinels = sentinelsOf(world);
      const { port } = await sentinels.master();
      await sentinels.nodes.find((node) => node.port !== port)!.kill();
      return () => sentinels.healthy();
    },
  },
  {
    ...behindSentinels,
    name: 'failover that somebody asks the sentinels for',
    lastsMs: [1_000, 3_000],
    reach: 'all',
    loses: 'recent', // the old master goes on with writes that the new one never gets
    isOnlyByName: true,
    async start(world) {
      const sentinels = sentinelsOf(world);
      const { port } = await sentinels.master();
      await sentinels.sentinels[0]!.ask('SENTINEL', 'FAILOVER', sentinels.name);
      return async () => {
        await waitFor(async () => (await sentinels.master()).port !== port, PATIENT);
        await sentinels.healthy();
      };
    },
  },
  {
    ...inCluster,
    name: 'master killed in a cluster',
    lastsMs: [2_000, 5_000],
    reach: 'all',
    loses: 'effects',
    async start(world) {
      const cluster = clusterOf(world);
      const master = await cluster.owner(keyOf(world));
      await master.kill();
      return () => untilTakenOver(world, master);
    },
  },
  {
    ...inCluster,
    name: 'failover that somebody asks a replica for',
    lastsMs: [1_000, 3_000],
    reach: 'none',
    async start(world) {
      const cluster = clusterOf(world);
      const master = await cluster.owner(keyOf(world));
      const replica = await cluster.replicaOf(master);
      await replica.ask('CLUSTER', 'FAILOVER');
      return () => untilTakenOver(world, master);
    },
  },
  {
    ...inCluster,
    name: 'slot moved to another master',
    lastsMs: [500, 1_500],
    reach: 'none',
    async start(world) {
      const cluster = clusterOf(world);
      const to = await cluster.stranger(keyOf(world));
      const move = await cluster.beginMove(keyOf(world), to);
      return async () => {
        while ((await move.moveKeys(50)) > 0);
        await move.end();
        await cluster.healthy();
        const { port } = await cluster.owner(keyOf(world));
        if (port !== to.port) world.hadNoEffect('the slot was not moved');
      };
    },
  },
];
