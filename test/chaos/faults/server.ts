/** Faults of the server: it restarts, forgets scripts or groups, is full, busy, paused, or ends connections. */
import { mkdir, readdir, rm, stat, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STREAM_NAMES } from '../../support/built.js';
import type { RestartableRedis } from '../../support/servers.js';
import { waitFor } from '../../support/wait.js';
import type { Fault, Mend } from '../fault.js';
import { oneServer } from '../servers-of.js';
import { ONE_SERVER } from '../topology.js';
import { LEASE_MS } from '../worker-place.js';
import type { Partition, World } from '../world.js';

const serverOf = ({ servers }: World) => oneServer(servers);

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

/** A key that a fault writes, to see whether the server keeps it, or takes it at all. It expires, so it is never a leftover. */
const markerOf = ({ partitions: [partition] }: World) => `${partition!.prefix}user:chaos`;
const mark = (world: World) => world.admin.set(markerOf(world), 'x', 'EX', 600);

/** The identity of the process that answers. */
async function runIdOf(world: World): Promise<string> {
  return /run_id:(\w+)/.exec(await world.admin.info('server'))![1]!;
}

/** Ends the server, after which it starts again, as another process that has what was written just before or has not. */
async function crash(world: World, isKept: boolean, end: () => Promise<void>): Promise<Mend> {
  const runId = await runIdOf(world);
  await mark(world);
  await end();
  return async () => {
    await serverOf(world).start();
    await world.showsEffect('the server was never another process', async () => (await runIdOf(world)) !== runId);
    const kept = await waitFor(async () => ({ count: await world.admin.exists(markerOf(world)) }));
    if ((kept.count === 1) !== isKept)
      world.hadNoEffect(`the server has ${isKept ? 'lost' : 'kept'} what was written last`);
  };
}

/** Waits until the server refuses writes with this error, and until producers are told at once. */
async function refusesWrites(world: World, error: RegExp): Promise<void> {
  await world.showsEffect(`the server refuses nothing with ${error}`, async () => {
    const refusal = await mark(world).then(() => null, String);
    return refusal !== null && error.test(refusal);
  });
  await world.expects(11, 'a server that takes no writes refused no add', () => world.load.isRefused());
}

/** Waits until what was added before has completed, although the server takes nothing new. */
async function completesWhatIsThere(world: World): Promise<void> {
  const due = world.load.added
    .filter(({ shape, outcome }) => shape === 'keyed' && outcome === 'acknowledged')
    .slice(-20);
  const states = () =>
    Promise.all(
      due.flatMap(({ key }) => world.partitions.map(({ redis, prefix }) => redis.hget(`${prefix}run:${key}`, 's'))),
    );
  await world.expects(7, 'a server that takes nothing new lets nothing complete either', async () => {
    return (await states()).every((state) => state === null || state === 'completed');
  });
}

/** The folder of the files to which the server appends its writes. */
const appendOnlyFolder = ({ socket }: RestartableRedis) => join(dirname(socket), 'appendonlydir');

/** The file that grows with each write. */
async function growingFile(server: RestartableRedis): Promise<string> {
  const folder = appendOnlyFolder(server);
  const name = (await readdir(folder)).filter((name) => name.endsWith('.incr.aof')).at(-1)!;
  return join(folder, name);
}

/** Makes the server stop answering, by itself only for so long. */
async function pause(world: World, ms: number, what: 'ALL' | 'WRITE'): Promise<Mend> {
  await world.admin.call('CLIENT', 'PAUSE', String(ms), what);
  const beganMs = Date.now();
  const stoppedMs = mark(world)
    .catch(() => undefined)
    .then(() => Date.now() - beganMs);
  return async () => {
    if ((await stoppedMs) < ms / 2) world.hadNoEffect(`CLIENT PAUSE ${what} stopped nothing`);
  };
}

/** Makes snapshots until the last one went like this. */
async function snapshots(world: World, how: 'ok' | 'err'): Promise<void> {
  await world.showsEffect(`no snapshot was ${how}`, async () => {
    await world.admin.bgsave().catch(() => undefined); // one may be going on
    return (await world.admin.info('persistence')).includes(`rdb_last_bgsave_status:${how}`);
  });
}

const common = { resources: ['server'], topologies: ONE_SERVER } as const;

export const SERVER_FAULTS: readonly Fault[] = [
  {
    ...common,
    family: 'F5',
    name: 'server killed, with every write on disk',
    lastsMs: [300, 3_000],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      return await crash(world, true, () => serverOf(world).kill());
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server killed for longer than a lease',
    lastsMs: [LEASE_MS + 1_000, LEASE_MS + 3_000],
    reach: 'none',
    holdsOutcomes: true, // every live worker may renew its leases before anybody else takes them for lost
    async start(world) {
      return await crash(world, true, () => serverOf(world).kill());
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server shut down, with every write on disk',
    lastsMs: [300, 3_000],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      return await crash(world, true, () => shutDown(world));
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server killed, with what was on disk a second ago',
    lastsMs: [300, 2_000],
    reach: 'all',
    loses: 'recent',
    isOnlyByName: true,
    async start(world) {
      await world.admin.config('SET', 'appendfsync', 'everysec');
      const file = await growingFile(serverOf(world));
      const { size } = await stat(file);
      await sleep(1_000);
      return await crash(world, false, async () => {
        await serverOf(world).kill();
        await truncate(file, size); // what a crash of the machine would have taken
      });
    },
  },
  {
    ...common,
    family: 'F5',
    name: 'server killed, with nothing on disk',
    lastsMs: [300, 2_000],
    reach: 'all',
    loses: 'everything',
    isOnlyByName: true,
    async start(world) {
      const server = serverOf(world);
      return await crash(world, false, async () => {
        await server.kill();
        await rm(appendOnlyFolder(server), { recursive: true });
      });
    },
  },
  {
    ...common,
    family: 'F6',
    name: 'FLUSHALL',
    lastsMs: [0, 500],
    reach: 'all',
    loses: 'everything',
    isOnlyByName: true,
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
        let destroyed = 0;
        for (const stream of STREAM_NAMES) {
          // It may not be there yet.
          destroyed += Number(await redis.xgroup('DESTROY', prefix + stream, 'workers').catch(() => 0));
        }
        if (destroyed === 0) world.hadNoEffect(`${prefix} had no consumer group`);
      });
      return async () => {};
    },
  },
  {
    ...common,
    family: 'F9',
    name: 'CLIENT KILL of all connections',
    lastsMs: [0, 500],
    reach: 'none',
    async start(world) {
      for (const type of ['normal', 'pubsub']) {
        // Another fault may have broken them all just before.
        await world.showsEffect(`no connection of the type ${type} was killed`, async () => {
          return Number(await world.admin.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes')) > 0;
        });
      }
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
      holdsOutcomes: true,
      async start(world) {
        return await pause(world, 1_000, what);
      },
    }),
  ),
  {
    ...common,
    family: 'F9',
    name: 'CLIENT PAUSE for longer than a lease',
    lastsMs: [5_000, 5_200],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      return await pause(world, 5_000, 'ALL');
    },
  },
  {
    ...common,
    family: 'F9',
    name: 'server busy with a script',
    lastsMs: [1_500, 1_700],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      const script = `
        local function now() local time = redis.call('TIME') return time[1] * 1000 + time[2] / 1000 end
        local enough = now() + 1500
        while now() < enough do end`;
      const beganMs = Date.now();
      const busyMs = world.admin
        .eval(script, 0)
        .catch(() => undefined)
        .then(() => Date.now() - beganMs);
      return async () => {
        if ((await busyMs) < 1_400) world.hadNoEffect('the script did not keep the server busy');
      };
    },
  },
  {
    ...common,
    family: 'F14',
    name: 'server whose memory is full',
    lastsMs: [2_000, 5_000],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      await world.admin.config('SET', 'maxmemory', '1mb', 'maxmemory-policy', 'noeviction');
      await refusesWrites(world, /OOM/);
      return async () => {
        await completesWhatIsThere(world);
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
    holdsOutcomes: true,
    async start(world) {
      await world.admin.config('SET', 'min-replicas-to-write', '1');
      await refusesWrites(world, /NOREPLICAS/);
      return async () => {
        await world.admin.config('SET', 'min-replicas-to-write', '0');
      };
    },
  },
  {
    ...common,
    family: 'F14',
    name: 'server whose snapshots fail (MISCONF)',
    lastsMs: [2_000, 6_000],
    reach: 'none',
    holdsOutcomes: true,
    async start(world) {
      const obstacle = join(dirname(serverOf(world).socket), 'dump.rdb');
      await rm(obstacle, { force: true }); // the last snapshot
      await mkdir(join(obstacle, 'in the way'), { recursive: true }); // as a full disk does, it makes snapshots fail
      await world.admin.config('SET', 'save', '3600 1000000');
      await snapshots(world, 'err');
      await refusesWrites(world, /MISCONF/);
      return async () => {
        await rm(obstacle, { recursive: true });
        await snapshots(world, 'ok');
        await world.admin.config('SET', 'save', '');
      };
    },
  },
];
