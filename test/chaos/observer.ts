/** Looks at a run while it goes on: permits, states, the needs of processes, and whether the machine itself stood still. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Execution } from 'docket';
import type { FaultWindow, PermitSample, ProcessSample, StateRead } from './history.js';
import { type Random, randomOf } from './random.js';
import { strayPermits } from './stray-permits.js';
import type { World } from './world.js';

/** Between two looks at permits. */
const PERMITS_EVERY_MS = 250;

/** Between two looks at states, and how many each takes. */
const STATES_EVERY_MS = 500;
const STATES_AT_ONCE = 8;

/** Between two looks at processes. */
const PROCESSES_EVERY_MS = 5_000;

/** The driver looks at the clock so often, and takes it for a fault of the machine when it comes so late. */
const TICK_MS = 100;
const STOOD_STILL_MS = 1_000;

export class Observer {
  readonly permits: PermitSample[] = [];
  readonly reads: StateRead[] = [];
  readonly processes: ProcessSample[] = [];
  readonly stalls: FaultWindow[] = [];
  readonly #world: World;
  readonly #random: Random;
  readonly #handles = new Map<string, Execution<unknown>>();
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#random = randomOf(seed);
  }

  start(): void {
    this.#running = Promise.all([
      this.#every(PERMITS_EVERY_MS, () => this.lookAtPermits()),
      this.#every(STATES_EVERY_MS, () => this.#lookAtStates()),
      this.#every(PROCESSES_EVERY_MS, async () => this.lookAtProcesses()),
      this.#watchClock(),
    ]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Samples how many permits each limit has given. */
  async lookAtPermits(): Promise<void> {
    for (const partition of this.#world.partitions) {
      const { redis, prefix } = partition;
      for (const what of await strayPermits(partition)) this.#world.finds(4, what);
      const taken = await redis.hgetall(`${prefix}held`);
      for (const [limit, count] of Object.entries(taken)) {
        this.permits.push({ limit, taken: Number(count), atMs: Date.now() });
      }
    }
  }

  /** Samples what each worker process needs. */
  lookAtProcesses(): void {
    for (const { process } of this.#world.places) {
      const sample = process?.hasStarted ? process.sample() : null;
      if (sample) this.processes.push(sample);
    }
  }

  /** Reads executions again that were read before, and a few others. */
  async #lookAtStates(): Promise<void> {
    const { added } = this.#world.load;
    const kept = added.filter(({ key, outcome }) => key !== null && outcome === 'acknowledged');
    if (kept.length === 0) return;
    const picked = Array.from({ length: STATES_AT_ONCE }, () => this.#random.pick(kept));
    const again = Array.from(this.#handles.keys()).slice(-STATES_AT_ONCE / 2);
    const chosen = new Map(picked.map(({ id, key }) => [id, key!]));
    for (const id of again) chosen.set(id, this.#handles.get(id)!.key);
    await Promise.all(
      Array.from(chosen, async ([id, key]) => {
        const execution = await this.#world.docket.getExecution(key);
        if (execution === null) return;
        this.#handles.set(id, execution);
        this.reads.push({ id, state: execution.state, token: null, atMs: Date.now() });
      }),
    );
  }

  /** Looks again and again. A look that fails, because the server is away, does not end the run. */
  async #every(ms: number, look: () => Promise<void>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await look().catch(() => {});
      await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
  }

  async #watchClock(): Promise<void> {
    let lastMs = Date.now();
    while (!this.#stopping.signal.aborted) {
      await sleep(TICK_MS);
      const nowMs = Date.now();
      if (nowMs - lastMs > TICK_MS + STOOD_STILL_MS) this.stalls.push(stallBetween(lastMs, nowMs));
      lastMs = nowMs;
    }
  }
}

function stallBetween(beganMs: number, endedMs: number): FaultWindow {
  const name = `the machine gave the driver no time for ${endedMs - beganMs} ms`;
  return {
    number: null,
    fault: 'machine',
    name,
    reach: 'all',
    loses: 'nothing',
    holdsOutcomes: true,
    drains: false,
    worker: null,
    thread: null,
    beganMs,
    endedMs,
  };
}
