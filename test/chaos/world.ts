/**
 * All that a run of the chaos suite is made of: the servers, the workers with their relays, the producers, and the history. Faults
 * reach all of it through here.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Docket } from 'docket';
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../support/built.js';
import { divideNew } from '../support/partitions.js';
import { openRelay, type Relay } from '../support/relay.js';
import { type RestartableRedis, startRestartableRedis } from '../support/servers.js';
import { waitFor } from '../support/wait.js';
import type { Rule, Violation } from './audit/rules.js';
import type { Attempt, FalseReadiness, UnplannedExit } from './history.js';
import { HistoryReader } from './history-reader.js';
import { Load } from './load.js';
import { type Servers, startServers, stopServers, urlOf } from './servers-of.js';
import type { Topology } from './topology.js';
import { WorkerPlace } from './worker-place.js';
import type { WorkerProcess } from './worker-process.js';

/** How many workers there are. */
export const WORKERS = 3;

/** How long a thing may take that takes a moment on a machine with nothing else to do. */
const PATIENCE_MS = 180_000;

/** A worker that is cut off must say so within this time: a second of silence, and the time until it is noticed. */
const UNREADY_WITHIN_MS = 4_500;

/** A partition of the docket, seen past all relays. */
export interface Partition {
  readonly prefix: string;
  readonly redis: Redis;
}

export class World {
  readonly topology: Topology;
  readonly servers: Servers;
  readonly partitions: readonly Partition[];
  readonly places: readonly WorkerPlace[];
  readonly producerRelay: Relay | null;
  readonly docket: Docket;
  readonly load: Load;
  readonly history: HistoryReader;
  readonly exits: UnplannedExit[] = [];
  readonly falseReadiness: FalseReadiness[] = [];
  /** Promises that were seen to be broken. */
  readonly seen: Violation[] = [];
  /** How many messages were written that nobody can read. */
  badMessages = 0;
  readonly #parts: Parts;
  readonly #guests = new Set<WorkerProcess>();
  #deadlyFaults = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.topology = parts.topology;
    this.servers = parts.servers;
    this.partitions = parts.partitions;
    this.places = parts.places((exit) => this.#noteExit(exit));
    this.producerRelay = parts.producerRelay;
    this.docket = parts.docket;
    const { docket, lean, seed, bodyMs, history } = parts;
    this.history = history;
    this.load = new Load({ docket, lean, seed, bodyMs, hasStarted: (id) => history.hasStarted(id) });
  }

  /** Starts it all, and waits until each worker is ready. */
  static async open(options: WorldOptions): Promise<World> {
    const world = new World(await assemble(options));
    try {
      await Promise.all(world.places.map((place) => place.start()));
      await Promise.all(world.places.map((place) => place.ready(PATIENCE_MS)));
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** Leads to partition 0, past all relays. */
  get admin(): Redis {
    return this.partitions[0]!.redis;
  }

  /** Starts a worker with the tasks of a later version, which the caller ends. */
  spawnNewer(): WorkerProcess {
    return this.adopt(this.#parts.newer.spawn({ tasks: 'tasks-next' }));
  }

  /** Takes care of a process that has no place of its own: it ends with the world, if not before. */
  adopt(guest: WorkerProcess): WorkerProcess {
    this.#guests.add(guest);
    return guest;
  }

  /** Whether an attempt like this has been recorded. */
  async saw(isLike: (attempt: Attempt) => boolean): Promise<boolean> {
    await this.history.read();
    return this.history.attempts.some(isLike);
  }

  /** Waits for what a promise says. When it does not come, the promise counts as broken. */
  async expects(rule: Rule, orElse: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const isMissing = waitFor(holds, { timeoutMs: PATIENCE_MS }).then(
      () => false,
      () => true,
    );
    if (await Promise.race([isMissing, sleep(PATIENCE_MS + 10_000, true, { ref: false })])) {
      this.finds(rule, orElse);
    }
  }

  /** Notes a promise that is broken, once. */
  finds(rule: Rule, what: string): void {
    if (!this.seen.some((one) => one.what === what)) this.seen.push({ rule, what });
  }

  /** Notes a fault that did not do what it is named for. */
  hadNoEffect(what: string): void {
    this.finds(13, what);
  }

  /** Waits until a fault shows what it is named for. A fault without effect would excuse repeats and show nothing. */
  async showsEffect(orElse: string, hasIt: () => boolean | Promise<boolean>): Promise<void> {
    await this.expects(13, orElse, hasIt);
  }

  /** Adds until at least one add is acknowledged: the server may be away. */
  async acknowledged(add: () => Promise<string[]>): Promise<string[]> {
    return await waitFor(
      async () => {
        const added = await add();
        if (added.length === 0) await sleep(200);
        return added.length > 0 && added;
      },
      { timeoutMs: PATIENCE_MS },
    ).then((added) => added || []);
  }

  /** Waits until each of these executions has been run. If that takes too long, the auditor will say so. */
  async ended(ids: readonly string[]): Promise<void> {
    await this.history.ended(ids, PATIENCE_MS).catch(() => {});
  }

  /** Whether so much is not done yet that more would only wait: on a busy machine workers need longer. */
  isBehind(perSecond: number): boolean {
    return this.load.owedCount - this.history.endedCount > Math.max(400, 10 * perSecond);
  }

  /** Says that a fault lasts, or lasts no more, that may end worker processes. */
  mayLoseProcesses(may: boolean): void {
    this.#deadlyFaults += may ? 1 : -1;
  }

  /** Notes a worker that calls itself ready although its link has been cut for a while. */
  async checkUnready(place: WorkerPlace, cutForMs: number): Promise<void> {
    if (cutForMs < UNREADY_WITHIN_MS || !place.process?.hasStarted) return;
    if ((await place.process.unreadiness()) !== null) return;
    this.falseReadiness.push({ worker: place.name, atMs: Date.now(), cutForMs });
  }

  /** Waits until every partition can be reached. */
  async reachable(): Promise<void> {
    const answers = () => Promise.all(this.partitions.map(({ redis }) => redis.ping()));
    await waitFor(async () => (await answers()).length > 0, { timeoutMs: PATIENCE_MS });
  }

  async close(): Promise<void> {
    await Promise.all([...this.places.map((place) => place.kill()), ...[...this.#guests].map((guest) => guest.kill())]);
    await this.#parts.close();
  }

  #noteExit(exit: UnplannedExit): void {
    if (this.#deadlyFaults === 0) this.exits.push(exit);
  }
}

interface WorldOptions {
  readonly topology: Topology;
  readonly seed: number;
  /** How long a body takes at most. */
  readonly bodyMs: number;
}

interface Parts extends WorldOptions {
  readonly servers: Servers;
  readonly partitions: readonly Partition[];
  readonly places: (onExit: (exit: UnplannedExit) => void) => WorkerPlace[];
  /** The place of workers of a later version. */
  readonly newer: WorkerPlace;
  readonly producerRelay: Relay | null;
  readonly docket: Docket;
  readonly lean: Docket;
  readonly history: HistoryReader;
  close(): Promise<void>;
}

/** Starts the servers and opens what leads to them. What was opened is closed when anything fails. */
async function assemble(options: WorldOptions): Promise<Parts> {
  const { topology } = options;
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const closeOne of closers.splice(0).reverse()) await closeOne();
  };
  try {
    const historyServer = await startRestartableRedis(false);
    closers.push(() => historyServer.stop());
    const servers = await startServers(topology);
    closers.push(() => stopServers(servers));
    return { ...options, servers, close, ...(await connect(topology, servers, historyServer, closers)) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function connect(
  topology: Topology,
  servers: Servers,
  historyServer: RestartableRedis,
  closers: (() => Promise<unknown>)[],
) {
  const name = `chaos-${randomUUID().slice(0, 8)}`;
  const directUrl = urlOf(servers);
  const relayed = async () => {
    if (servers.kind !== 'single') return null;
    const relay = await openRelay(servers.redis.socket);
    closers.push(() => relay.close());
    return relay;
  };
  const urlThrough = (relay: Relay | null) => (relay === null ? directUrl : `redis://127.0.0.1:${relay.port}`);

  const prefixes = topology === 'partitions' ? await divideNew(name, directUrl, 4) : [`{${name}}:`];
  const partitions: Partition[] = [];
  for (const prefix of prefixes) {
    const redis = await openConnection({ url: directUrl, keys: { prefix } }, 'producer', { name: 'chaos' });
    closers.push(() => closeConnection(redis));
    partitions.push({ prefix, redis });
  }
  const producerRelay = await relayed();
  const isReplicated = servers.kind !== 'single';
  const options = {
    name,
    url: urlThrough(producerRelay),
    ...(isReplicated && { durability: { replicas: 1, timeout: '2s' } as const }),
  };
  const docket = new Docket({ ...options, executionTtl: '1h' });
  const lean = new Docket({ ...options, executionTtl: 0 });
  closers.push(
    () => docket.close(),
    () => lean.close(),
  );
  const history = new HistoryReader(historyServer.socket);
  closers.push(async () => history.close());

  const relays: (Relay | null)[] = [];
  for (let i = 0; i <= WORKERS; i++) relays.push(await relayed());
  const place = (index: number, onExit: (exit: UnplannedExit) => void) =>
    new WorkerPlace({
      index,
      url: urlThrough(relays[index]!),
      docket: name,
      historyPath: historyServer.socket,
      relay: relays[index]!,
      onExit,
    });
  return {
    partitions,
    places: (onExit: (exit: UnplannedExit) => void) => Array.from({ length: WORKERS }, (_, i) => place(i, onExit)),
    newer: place(WORKERS, () => {}),
    producerRelay,
    docket,
    lean,
    history,
  };
}
