/** Faults that come from tasks and messages: bodies that harm their thread, bursts, and messages that nobody should write. */
import type { Crime } from '../bodies.js';
import type { Fault } from '../fault.js';

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
      const isDeadly = family === 'F3';
      if (isDeadly) world.mayLoseProcesses(true);
      const added = await world.load.addHostile(crime);
      return async () => {
        await world.ended(added);
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
};

export const BODY_FAULTS: readonly Fault[] = [
  ...crimeFaults,
  {
    family: 'F10',
    name: 'burst that is due in one millisecond',
    resources: ['producers'],
    lastsMs: [1_500, 3_000],
    reach: 'none',
    async start(world) {
      await world.load.addBurst(400);
      return async () => {};
    },
  },
  {
    family: 'F10',
    name: 'burst of a hundred thousand',
    resources: ['producers'],
    lastsMs: [1_500, 3_000],
    reach: 'none',
    isAlone: true,
    async start(world) {
      await world.load.addBurst(100_000);
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
      const [partition] = world.partitions;
      for (const message of Object.values(BAD_MESSAGES)) {
        await partition!.redis.callBuffer('XADD', [`${partition!.prefix}work`, '*', 'm', message]);
        world.badMessages += 1;
      }
      return async () => {};
    },
  },
];
