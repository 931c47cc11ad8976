/** Faults that come from tasks and messages: bodies that harm their thread, bursts, and messages that nobody should write. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Crime, HARMS } from '../bodies.js';
import type { Fault } from '../fault.js';
import { oneServer } from '../servers-of.js';
import { ONE_SERVER } from '../topology.js';
import type { World } from '../world.js';

const CRIMES: readonly { readonly family: string; readonly crime: Crime }[] = [
  { family: 'F2', crime: 'exits' },
  { family: 'F2', crime: 'throws later' },
  { family: 'F2', crime: 'rejects' },
  { family: 'F3', crime: 'eats memory' },
  { family: 'F3', crime: 'asks for too much' },
  { family: 'F4', crime: 'never yields' },
];

const crimeFaults = CRIMES.map(
  ({ family, crime }): Fault => ({
    family,
    name: `body that ${crime}`,
    resources: ['producers'],
    lastsMs: [2_000, 4_000],
    reach: 'none', // its attempts say which worker it was on: the auditor takes them for the fault
    async start(world) {
      const isDeadly = HARMS[crime] === 'process';
      if (isDeadly) world.mayLoseProcesses(true);
      const add = () => world.acknowledged(() => world.load.addHostile(crime));
      let added = await add();
      return async () => {
        await world.showsEffect(`no body that ${crime} was cut short by that`, async () => {
          await world.ended(added);
          if (
            await world.saw(({ id, redelivered, endedMs }) => added.includes(id) && !redelivered && endedMs === null)
          ) {
            return true;
          }
          added = await add(); // another fault came first
          return false;
        });
        if (isDeadly) world.mayLoseProcesses(false);
      };
    },
  }),
);

/** Bytes that are no message, as the field that carries one. */
const BAD_MESSAGES: Readonly<Record<string, Buffer>> = {
  'random bytes': Buffer.from('97c3ff01a50b7e', 'hex'),
  text: Buffer.from('not a message at all'),
  nothing: Buffer.alloc(0),
  'ten thousand levels': Buffer.alloc(10_000, 0x91),
  'a length beyond its end': Buffer.from('dfffffffff', 'hex'),
  'a megabyte of one byte': Buffer.alloc(1_000_000, 0xc1),
  'a prototype': Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from('__proto__'), Buffer.from([0x80])]),
};

/** Writes a message that nobody can read, past all that checks it. */
async function writeBadMessage(world: World, message: Buffer): Promise<void> {
  const { redis, prefix } = world.partitions[world.badMessages % world.partitions.length]!;
  await redis.callBuffer('XADD', [`${prefix}work`, '*', 'm', message]);
  world.badMessages += 1;
}

/** Adds a burst that is whole before it is due; on a busy machine with more time before that. */
async function burst(world: World, count: number, leadMs: number): Promise<void> {
  await world.showsEffect(`a burst of ${count} was never there before it was due`, async () => {
    const added = await world.load.addBurst(count, leadMs);
    if (added === 'late') leadMs *= 2;
    if (added === 'refused') await sleep(500); // the server may be away
    return added === 'whole';
  });
}

export const BODY_FAULTS: readonly Fault[] = [
  ...crimeFaults,
  {
    family: 'F10',
    name: 'burst that is due in one millisecond',
    resources: ['producers'],
    lastsMs: [1_500, 3_000],
    reach: 'none',
    async start(world) {
      await burst(world, 400, 1_000);
      return async () => {};
    },
  },
  {
    family: 'F10',
    name: 'burst of a hundred thousand',
    resources: ['producers'],
    lastsMs: [50_000, 60_000],
    reach: 'none',
    isOnlyByName: true,
    async start(world) {
      await burst(world, 100_000, 40_000);
      return async () => {};
    },
  },
  {
    family: 'F13',
    name: 'messages that cannot be read',
    resources: ['server'],
    lastsMs: [500, 1_500],
    reach: 'none',
    async start(world) {
      for (const message of Object.values(BAD_MESSAGES)) await writeBadMessage(world, message);
      return async () => {};
    },
  },
  {
    family: 'F13',
    name: 'message of a hundred megabytes',
    topologies: ONE_SERVER,
    resources: ['server'],
    lastsMs: [5_000, 8_000],
    reach: 'none',
    isOnlyByName: true,
    async start(world) {
      // Past the watch of docket's own links, which a busy machine makes wait for the answer.
      const redis = new Redis({ path: oneServer(world.servers).socket });
      await redis.xadd(`${world.partitions[0]!.prefix}work`, '*', 'm', Buffer.alloc(100_000_000, 0xc1));
      redis.disconnect();
      world.badMessages += 1;
      return async () => {};
    },
  },
];
