/** One run: adds work, makes the planned faults at their times, waits until all is done, and returns the history of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { faultNamed } from './faults/all.js';
import type { FaultWindow, History, Shape } from './history.js';
import { Observer } from './observer.js';
import { nameOf, type PlannedFault } from './profile.js';
import { comeToRest, readQuarantine, readStates } from './quiescence.js';
import { LANE_MAX, LANES, RETRY_DELAY_MS } from './tasks.js';
import type { Topology } from './topology.js';
import { World } from './world.js';

export interface RunOptions {
  readonly seed: number;
  readonly topology: Topology;
  readonly plan: readonly PlannedFault[];
  /** For how long work is added. */
  readonly durationMs: number;
  readonly addsPerSecond: number;
  /** How long a body takes at most. */
  readonly bodyMs: number;
  /** Only this shape of work is added; the mix when it is undefined. */
  readonly shape?: Shape | undefined;
  /** Is told what happens, in one line each. */
  readonly say: (line: string) => void;
}

export interface Ran {
  readonly history: History;
  /** The last lines that each worker has logged. */
  readonly logs: Readonly<Record<string, readonly string[]>>;
}

export async function run(options: RunOptions): Promise<Ran> {
  const { seed, plan, durationMs, addsPerSecond, shape, say } = options;
  const world = await World.open(options);
  const observer = new Observer(world, seed);
  try {
    observer.start();
    const beganMs = Date.now();
    const loading = world.load.run(addsPerSecond, { shape, mustPause: () => world.isBehind(addsPerSecond) });
    const reading = readOn(world);
    const faults = await makeFaults(world, plan, beganMs, say);
    await sleep(Math.max(0, beganMs + durationMs - Date.now()));
    world.load.stop();
    await loading;
    say(`${world.load.added.length} adds are settled: waiting until all is done`);
    const quiescence = await comeToRest(world);
    await world.load.waitsEnded();
    reading.stop();
    await observer.stop();
    observer.lookAtProcesses();
    await world.history.read();
    const { load, exits, falseReadiness } = world;
    const history: History = {
      limits: Object.fromEntries(LANES.map((lane) => [lane, LANE_MAX])),
      retryDelayMs: RETRY_DELAY_MS,
      added: load.added,
      attempts: world.history.attempts,
      faults: [...faults, ...observer.stalls],
      reads: [...observer.reads, ...(await readStates(world))],
      waited: load.waited,
      permits: observer.permits,
      processes: observer.processes,
      exits,
      falseReadiness,
      oddErrors: [...load.oddErrors],
      quarantine: await readQuarantine(world),
      seen: world.seen,
      quiescence,
    };
    return { history, logs: Object.fromEntries(world.places.map(({ name, lines }) => [name, lines])) };
  } finally {
    await observer.stop();
    await world.close();
  }
}

/** Reads the history while it is written, so that little is left to read in the end. */
function readOn(world: World): { stop(): void } {
  const timer = setInterval(() => void world.history.read().catch(() => {}), 500);
  return { stop: () => clearInterval(timer) };
}

/** Makes each fault at its time, or as soon as what it needs is free. Resolves when all are over. */
async function makeFaults(
  world: World,
  plan: readonly PlannedFault[],
  beganMs: number,
  say: (line: string) => void,
): Promise<FaultWindow[]> {
  const free = new Map<string, Promise<unknown>>();
  return await Promise.all(
    plan.map(async (planned) => {
      const needs = faultNamed(planned.name).resources.map((resource) => nameOf(resource, planned.worker));
      const before = needs.map((need) => free.get(need));
      const made = (async () => {
        await Promise.all(before);
        await sleep(Math.max(0, beganMs + planned.atMs - Date.now()));
        return await makeFault(world, planned, say);
      })();
      for (const need of needs) free.set(need, made);
      return await made;
    }),
  );
}

async function makeFault(world: World, planned: PlannedFault, say: (line: string) => void): Promise<FaultWindow> {
  const { number, name, family, worker, lastsMs } = planned;
  const fault = faultNamed(name);
  const beganMs = Date.now();
  say(`${number}: ${family} ${name}${worker === null ? '' : ` (${world.places[worker]!.name})`}`);
  const mend = await fault.start(world, worker ?? 0);
  await sleep(lastsMs);
  await mend();
  if (fault.resources.includes('server')) await world.reachable();
  const { reach, loses = 'nothing', holdsOutcomes = false, drains = false } = fault;
  const whose = worker === null ? null : world.places[worker]!.name;
  const window = { holdsOutcomes, drains, beganMs, endedMs: Date.now() };
  return { number, fault: family, name, reach, loses, worker: whose, thread: null, ...window };
}
