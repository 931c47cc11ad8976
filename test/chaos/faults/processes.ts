/** Faults of worker processes: they die, stand still, are stopped, have a wrong clock, or a name that another has. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.js';
import { moduleUrl } from '../worker-process.js';
import { LEASE_MS } from '../worker-slot.js';

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    family: 'F1',
    name: 'worker killed',
    resources: ['worker'],
    lastsMs: [0, 3_000],
    reach: 'worker',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      await slot.kill();
      return () => slot.start();
    },
  },
  {
    family: 'F12',
    name: 'worker stopped for two leases',
    resources: ['worker'],
    lastsMs: [2 * LEASE_MS, 2 * LEASE_MS + 2_000],
    reach: 'worker',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      slot.signal('SIGSTOP');
      return async () => slot.signal('SIGCONT');
    },
  },
  {
    family: 'F16',
    name: 'worker drained',
    resources: ['worker'],
    lastsMs: [500, 3_000],
    reach: 'none',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      await slot.drain();
      return () => slot.start();
    },
  },
  {
    family: 'F16',
    name: 'drain cut short by a second signal',
    resources: ['worker'],
    lastsMs: [500, 2_000],
    reach: 'worker',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      await slot.endTwice();
      return () => slot.start();
    },
  },
  {
    family: 'F11',
    name: 'worker whose clock is ten minutes ahead',
    resources: ['worker'],
    lastsMs: [4_000, 8_000],
    reach: 'none',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      await slot.drain();
      await slot.start({ preloads: [moduleUrl('shifted-clock')] });
      return async () => {
        await slot.drain();
        await slot.start();
      };
    },
  },
  {
    family: 'F17',
    name: 'two workers with one name',
    resources: ['worker'],
    lastsMs: [3_000, 6_000],
    reach: 'worker',
    async start(world, worker) {
      const slot = world.slots[worker]!;
      const twin = slot.spawn();
      return async () => {
        await twin.kill();
      };
    },
  },
  {
    family: 'F15',
    name: 'newer worker beside the old ones',
    resources: ['producers'],
    lastsMs: [3_000, 6_000],
    reach: 'none',
    async start(world) {
      const added = await world.load.addNovel(5);
      const newer = world.spawnNewer();
      return async () => {
        await world.ended(added);
        await sleep(200); // so that it has settled them
        newer.signal('SIGTERM');
        await newer.endsWithin(30_000);
      };
    },
  },
];
