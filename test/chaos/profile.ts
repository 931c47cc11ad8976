/**
 * Plans the faults of a run from its seed. It is a pure function: the same seed, length and faults give the same plan.
 *
 * Two faults never have one resource at the same time, and at most two last at once, so that there is always a worker that is
 * left alone. Faults are dealt like cards, so each comes once before any comes again.
 */
import type { Fault, Resource } from './fault.js';
import { type Random, randomOf } from './random.js';
import type { Topology } from './topology.js';

/** A fault at its place in the plan. */
export interface PlannedFault {
  /** Its number in the whole plan, also in a plan from which others were taken out. */
  readonly number: number;
  readonly family: string;
  readonly name: string;
  readonly atMs: number;
  readonly lastsMs: number;
  /** Index of the worker that it hits; null if it is about none. */
  readonly worker: number | null;
}

export interface ProfileOptions {
  readonly seed: number;
  readonly topology: Topology;
  /** When the last fault is over, at the latest. */
  readonly durationMs: number;
  readonly workers: number;
  readonly faults: readonly Fault[];
  /** Only faults of this family, or with this name, one at a time; of all, mixed, when it is undefined. */
  readonly chosen?: string | undefined;
}

/** Before the first fault, workers have the time to start and to fill up. */
const QUIET_START_MS = 3_000;

/** Between the beginnings of two faults, at least and at most. */
const PAUSE_MS = [800, 3_500] as const;

/** Between a fault and the next one when only one fault or family is asked for: what the first one did must be over. */
const PAUSE_AFTER_CHOSEN_MS = 4_000;

export function planFaults(options: ProfileOptions): PlannedFault[] {
  const { seed, durationMs, faults, chosen } = options;
  const random = randomOf(seed);
  const eligible = faults.filter((fault) => isEligible(fault, options));
  if (eligible.length === 0) return [];
  const planned: PlannedFault[] = [];
  const busy: { readonly untilMs: number; readonly resources: ReadonlySet<string> }[] = [];
  let deck: Fault[] = [];
  for (let nowMs = QUIET_START_MS; ; nowMs += random.between(...PAUSE_MS)) {
    if (deck.length === 0) deck = shuffled(eligible, random);
    const lasting = busy.filter(({ untilMs }) => untilMs > nowMs);
    if (lasting.length >= (chosen === undefined ? 2 : 1)) {
      if (nowMs > durationMs) return planned;
      continue;
    }
    const fault = deck.pop()!;
    const lastsMs = random.between(...fault.lastsMs);
    const worker = fault.resources.includes('worker') ? random.between(0, options.workers - 1) : null;
    if (nowMs + lastsMs > durationMs) return planned;
    const resources = new Set(fault.resources.map((resource) => nameOf(resource, worker)));
    if (lasting.some((other) => [...resources].some((name) => other.resources.has(name)))) {
      deck.unshift(fault); // it comes later
      continue;
    }
    busy.push({ untilMs: nowMs + lastsMs + (chosen === undefined ? 0 : PAUSE_AFTER_CHOSEN_MS), resources });
    planned.push({ number: planned.length + 1, family: fault.family, name: fault.name, atMs: nowMs, lastsMs, worker });
  }
}

/** The name of what only one fault may have at a time. */
export function nameOf(resource: Resource, worker: number | null): string {
  return resource === 'worker' ? `worker ${worker}` : resource;
}

function isEligible(fault: Fault, { topology, chosen }: ProfileOptions): boolean {
  if (fault.topologies !== undefined && !fault.topologies.includes(topology)) return false;
  if (fault.isOnlyByName) return fault.name === chosen;
  return chosen === undefined || fault.family === chosen || fault.name === chosen;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.between(0, left.length - 1), 1)[0]!);
}
