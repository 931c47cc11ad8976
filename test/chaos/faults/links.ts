/** Faults of the network between a worker, or the producers, and the server: each has a relay of its own (`support/relay.ts`). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Condition, Relay } from '../../support/relay.js';
import type { Fault } from '../fault.js';
import type { Reach } from '../history.js';
import { ONE_SERVER } from '../topology.js';
import { LEASE_MS } from '../worker-place.js';
import type { World } from '../world.js';

interface LinkFault {
  readonly name: string;
  readonly condition: Condition;
  readonly lastsMs: readonly [number, number];
  readonly reach: Reach;
  /** Whether nothing that is sent over it arrives. */
  readonly holdsOutcomes?: boolean;
  /** Whether the link breaks at the end, with all that it had held. */
  readonly endsBroken?: boolean;
}

/** What a worker has read before its links fell silent has started within this time. */
const SILENCE_MS = 2_000;

const SHORT = [200, 1_000] as const;
const LONGER_THAN_A_LEASE = [LEASE_MS + 1_000, 2 * LEASE_MS] as const;

const LINK_FAULTS_OF_WORKERS: readonly LinkFault[] = [
  { name: 'cut', condition: { kind: 'cut' }, lastsMs: LONGER_THAN_A_LEASE, reach: 'worker', holdsOutcomes: true },
  { name: 'cut for a moment', condition: { kind: 'cut' }, lastsMs: SHORT, reach: 'none', holdsOutcomes: true },
  {
    name: 'stalled',
    condition: { kind: 'stalled' },
    lastsMs: LONGER_THAN_A_LEASE,
    reach: 'worker',
    holdsOutcomes: true,
  },
  {
    name: 'stalled, then broken',
    condition: { kind: 'stalled' },
    lastsMs: LONGER_THAN_A_LEASE,
    reach: 'worker',
    holdsOutcomes: true,
    endsBroken: true,
  },
  {
    name: 'half-open',
    condition: { kind: 'half-open' },
    lastsMs: LONGER_THAN_A_LEASE,
    reach: 'worker',
    holdsOutcomes: true,
  },
  { name: 'deaf, then broken', condition: { kind: 'deaf' }, lastsMs: SHORT, reach: 'none', endsBroken: true },
  { name: 'broken before the answer', condition: { kind: 'unanswered' }, lastsMs: SHORT, reach: 'none' },
  { name: 'late', condition: { kind: 'late', ms: 40 }, lastsMs: [1_000, 4_000], reach: 'none' },
  { name: 'sliced', condition: { kind: 'sliced', bytes: 7 }, lastsMs: [1_000, 4_000], reach: 'none' },
];

const LINK_FAULTS_OF_PRODUCERS: readonly LinkFault[] = [
  { name: 'cut', condition: { kind: 'cut' }, lastsMs: [500, 3_000], reach: 'none' },
  { name: 'stalled', condition: { kind: 'stalled' }, lastsMs: [500, 6_000], reach: 'none' },
  { name: 'deaf, then broken', condition: { kind: 'deaf' }, lastsMs: SHORT, reach: 'none', endsBroken: true },
  { name: 'broken before the answer', condition: { kind: 'unanswered' }, lastsMs: SHORT, reach: 'none' },
  { name: 'sliced', condition: { kind: 'sliced', bytes: 5 }, lastsMs: [1_000, 3_000], reach: 'none' },
];

export const LINK_FAULTS: readonly Fault[] = [
  ...LINK_FAULTS_OF_WORKERS.map(
    (link): Fault => ({
      ...common(link, 'link of a worker'),
      resources: ['worker'],
      start: async (world, worker) => {
        const place = world.places[worker]!;
        const mend = begin(world, place.relay!, link);
        const beganMs = Date.now();
        return async () => {
          if (link.lastsMs === LONGER_THAN_A_LEASE) await world.checkUnready(place, Date.now() - beganMs);
          await mend();
        };
      },
    }),
  ),
  {
    family: 'F8',
    name: 'links of a worker that fall silent for good, while new ones work',
    resources: ['worker'],
    lastsMs: [1_000, 3_000],
    reach: 'worker',
    topologies: ONE_SERVER,
    async start(world, worker) {
      const place = world.places[worker]!;
      place.relay!.abandonAll();
      const beganMs = Date.now();
      return async () => {
        await world.expects(7, `${place.name} never gave up links that had fallen silent`, () =>
          world.saw((one) => place.process?.ran(one) === true && one.startedMs > beganMs + SILENCE_MS),
        );
      };
    },
  },
  ...LINK_FAULTS_OF_PRODUCERS.map(
    (link): Fault => ({
      ...common(link, 'link of the producers'),
      resources: ['producers'],
      start: async (world) => begin(world, world.producerRelay!, link),
    }),
  ),
];

function common({ name, lastsMs, reach, holdsOutcomes = false }: LinkFault, whose: string) {
  return { family: 'F8', name: `${whose}: ${name}`, lastsMs, reach, holdsOutcomes, topologies: ONE_SERVER } as const;
}

function begin(world: World, relay: Relay, { name, condition, endsBroken }: LinkFault): () => Promise<void> {
  const before = relay.hits;
  relay.set(condition);
  return async () => {
    await world.showsEffect(`nothing was sent over the link that was ${name}`, () => relay.hits > before);
    if (endsBroken) relay.breakAll();
    relay.set({ kind: 'open' });
    await sleep(0);
  };
}
