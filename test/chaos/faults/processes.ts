/** Faults of worker processes: they die, stand still, are stopped, have a wrong clock, or a name that another has. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../support/wait.js';
import type { Fault } from '../fault.js';
import { CUT_SHORT, LEASE_MS } from '../worker-place.js';
import { moduleUrl, type WorkerProcess } from '../worker-process.js';
import type { World } from '../world.js';

/** A clock that is ten minutes ahead is further ahead than this. */
const FAR_AHEAD_MS = 5 * 60_000;

/** Longer than it takes to notice a second signal. */
const LONG_BODY_MS = 5_000;

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    family: 'F1',
    name: 'worker killed',
    resources: ['worker'],
    lastsMs: [0, 3_000],
    reach: 'worker',
    async start(world, worker) {
      const place = world.places[worker]!;
      await place.present();
      const how = await place.kill();
      if (how !== 'SIGKILL') world.hadNoEffect(`${place.name} was not killed, but ended with ${how}`);
      return () => place.start();
    },
  },
  {
    family: 'F12',
    name: 'worker stopped for two leases',
    resources: ['worker'],
    lastsMs: [2 * LEASE_MS, 2 * LEASE_MS + 2_000],
    reach: 'worker',
    async start(world, worker) {
      const place = world.places[worker]!;
      const process = await place.present();
      process.signal('SIGSTOP');
      await world.showsEffect(`${place.name} did not stand still`, () => !process.isAlive || process.isStopped());
      return async () => process.signal('SIGCONT');
    },
  },
  {
    family: 'F16',
    name: 'worker drained',
    resources: ['worker'],
    lastsMs: [500, 3_000],
    reach: 'none',
    drains: true,
    async start(world, worker) {
      const place = world.places[worker]!;
      await place.present();
      await place.drain();
      return () => place.start();
    },
  },
  {
    family: 'F16',
    name: 'drain cut short by a second signal',
    resources: ['worker'],
    lastsMs: [500, 2_000],
    reach: 'worker',
    async start(world, worker) {
      const place = world.places[worker]!;
      await world.showsEffect(`no drain of ${place.name} was cut short`, async () => {
        await untilLongBodyRuns(world, await place.present());
        const how = await place.signalUntilEnded();
        if (how !== null && CUT_SHORT.includes(how)) return true;
        await place.start(); // all had ended before the second signal
        return false;
      });
      return () => place.start();
    },
  },
  {
    family: 'F11',
    name: 'worker whose clock is ten minutes ahead',
    resources: ['worker'],
    lastsMs: [4_000, 8_000],
    reach: 'none',
    drains: true,
    async start(world, worker) {
      const place = world.places[worker]!;
      await place.drain();
      await place.start({ preloads: [moduleUrl('shifted-clock')] });
      const shifted = await place.present();
      return async () => {
        await world.showsEffect(`${shifted.name} never ran anything with a wrong clock`, () => {
          if (!shifted.isAlive) return true; // a body has taken the memory of its process
          return world.saw((one) => shifted.ran(one) && one.clockMs - one.startedMs > FAR_AHEAD_MS);
        });
        await place.drain();
        await place.start();
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
      const place = world.places[worker]!;
      const twin = world.adopt(place.spawn());
      return async () => {
        await world.showsEffect(`the second ${place.name} was not refused, and had no work`, async () => {
          return !twin.isAlive || (await world.saw((one) => twin.ran(one)));
        });
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
    drains: true,
    async start(world) {
      const added = await world.acknowledged(() => world.load.addNovel(5));
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

/** Adds long bodies until one of them runs in this process. */
async function untilLongBodyRuns(world: World, process: WorkerProcess): Promise<void> {
  await waitFor(
    async () => {
      const isThere = await world.saw((one) => one.id.startsWith('long') && one.endedMs === null && process.ran(one));
      if (isThere) return true;
      await world.load.addLong(6, LONG_BODY_MS);
      await sleep(1_000);
      return false;
    },
    { timeoutMs: 60_000 },
  );
}
