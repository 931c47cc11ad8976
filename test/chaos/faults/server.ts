/** Faults of the server: it restarts, forgets scripts or groups, is full, busy, paused, or ends connections. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM_NAMES } from '../../support/built.js';
import type { RestartableRedis } from '../../support/servers.js';
import type { Fault } from '../fault.js';
import type { Topology } from '../topology.js';
import type { Partition, World } from '../world.js';

/** Where one server has everything. */
const ONE_SERVER: readonly Topology[] = ['single', 'partitions'];

function serverOf({ servers }: World): RestartableRedis {
  if (servers.kind !== 'single') throw new Error('this fault is about one server');
  return servers.redis;
}

/** One partition for each server that answers. */
async function onEach(world: World, ask: (partition: Partition) => Promise<unknown>): Promise<void> {
  await Promise.all(world.partitions.map(ask));
}

async function shutDown(world: World): Promise<void> {
  const server = serverOf(world);
  // The server ends without an answer.
  await Promise.race([world.admin.call('SHUTDOWN', 'NOSAVE').catch(() => undefined), sleep(1_000)]);
  await server.kill();
}

const common = { resources: ['server'], topologies: ONE_SERVER } as const;

export const SERVER_FAULTS: readonly Fault[] = [
  {
    ...common,
    family: 'F5',
    name: 'server killed, with every write on disk',
    lastsMs: [300, 3_000],
    reach: 'all',
    async start(world) {
      await serverOf(world).kill();
      return () => serverOf(world).start();
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server shut down, with every write on disk',
    lastsMs: [300, 3_000],
    reach: 'all',
    async start(world) {
      await shutDown(world);
      return () => serverOf(world).start();
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server killed, with what was on disk a second ago',
    lastsMs: [300, 2_000],
    reach: 'all',
    loses: 'recent',
    isAlone: true,
    async start(world) {
      await world.admin.config('SET', 'appendfsync', 'everysec');
      await sleep(2_000);
      await serverOf(world).kill();
      return () => serverOf(world).start();
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server killed, with nothing on disk',
    lastsMs: [300, 2_000],
    reach: 'all',
    loses: 'everything',
    isAlone: true,
    async start(world) {
      const server = serverOf(world);
      await server.kill();
      await rm(join(dirname(server.socket), 'appendonlydir'), { recursive: true, force: true });
      return () => server.start();
    },
  },
  {
    ...common,
    family: 'F6',
    name: 'FLUSHALL',
    lastsMs: [0, 500],
    reach: 'all',
    loses: 'everything',
    isAlone: true,
    async start(world) {
      await world.admin.flushall();
      return async () => {};
    },
  },
  {
    family: 'F6',
    resources: ['server'],
    name: 'SCRIPT FLUSH',
    lastsMs: [0, 500],
    reach: 'none',
    async start(world) {
      await onEach(world, ({ redis }) => redis.script('FLUSH'));
      return async () => {};
    },
  },
  {
    family: 'F6',
    resources: ['server'],
    name: 'consumer groups destroyed',
    lastsMs: [0, 500],
    reach: 'all',
    async start(world) {
      await onEach(world, async ({ redis, prefix }) => {
        for (const stream of STREAM_NAMES) {
          await redis.xgroup('DESTROY', prefix + stream, 'workers').catch(() => undefined); // it may not be there yet
        }
      });
      return async () => {};
    },
  },
  {
    ...common,
    family: 'F9',
    name: 'CLIENT KILL of all connections',
    lastsMs: [0, 500],
    reach: 'all',
    async start(world) {
      await world.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await world.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub', 'SKIPME', 'yes');
      return async () => {};
    },
  },
  ...(['ALL', 'WRITE'] as const).map(
    (what): Fault => ({
      ...common,
      family: 'F9',
      name: `CLIENT PAUSE ${what} for a second`,
      lastsMs: [1_000, 1_200],
      reach: 'none',
      async start(world) {
        await world.admin.call('CLIENT', 'PAUSE', '1000', what);
        return async () => {};
      },
    }),
  ),
  {
    ...common,
    family: 'F9',
    name: 'CLIENT PAUSE for longer than a lease',
    lastsMs: [5_000, 5_200],
    reach: 'all',
    async start(world) {
      await world.admin.call('CLIENT', 'PAUSE', '5000', 'ALL');
      return async () => {};
    },
  },
  {
    ...common,
    family: 'F9',
    name: 'server busy with a script',
    lastsMs: [1_500, 1_700],
    reach: 'none',
    async start(world) {
      const script = `
        local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
        local enough = now() + 1500
        while now() < enough do end`;
      const running = world.admin.eval(script, 0).catch(() => undefined);
      return async () => {
        await running;
      };
    },
  },
  {
    ...common,
    family: 'F14',
    name: 'server whose memory is full',
    lastsMs: [2_000, 5_000],
    reach: 'none',
    async start(world) {
      await world.admin.config('SET', 'maxmemory', '1mb', 'maxmemory-policy', 'noeviction');
      return async () => {
        await world.admin.config('SET', 'maxmemory', '0');
      };
    },
  },
  {
    ...common,
    family: 'F14',
    name: 'server that refuses all writes',
    lastsMs: [2_000, 6_000],
    reach: 'none',
    async start(world) {
      await world.admin.config('SET', 'min-replicas-to-write', '1');
      return async () => {
        await world.admin.config('SET', 'min-replicas-to-write', '0');
      };
    },
  },
];
