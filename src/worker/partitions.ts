/**
 * The partitions that a worker reads. It follows the layout of the docket: new partitions are read, and those that were removed
 * are read until nothing remains in them.
 *
 * Owns two rules:
 * - A partition whose server is away or refuses commands does not delay the others. Each is opened by itself, again and again, and
 *   starts when its guards are ready. A refusal ends the worker only at its start, and only when it comes from the first partition.
 * - A partition is closed in order: nothing more is read, deliveries that have not begun are requeued, and those that
 *   run end and are settled.
 */
import { onAbort } from '../core/abort.js';
import { monotonicMs } from '../core/clock.js';
import { aborted, jittered, pause } from '../core/service.js';
import { type ExecutionState, isTerminal } from '../core/states.js';
import type { TaskCounters } from '../observe/task-counters.js';
import { type DocketSettings, unusable } from '../redis/docket-settings.js';
import type { WorkerReport } from '../redis/fleet-store.js';
import { type Keys, keysOf } from '../redis/keys.js';
import { FIRST_LAYOUT, forgetPartition, isPartitionEmpty, type Layout, layoutSource } from '../redis/layout-store.js';
import { ListFollower } from '../redis/list-follower.js';
import { RECORD } from '../redis/schema.js';
import { isClusterUrl } from '../redis/url.js';
import { ArrivalVersions, type Destination } from './arrival-versions.js';
import type { ConnectionPool } from './connection-pool.js';
import type { Connections } from './connections.js';
import { logRetry } from './log-retry.js';
import type { WorkerLogger, WorkerSettings } from './options.js';
import { consumerOf, Partition } from './partition.js';
import type { Places } from './places.js';
import type { SharedParts } from './shared-parts.js';
import { loggerWith } from './worker-log.js';

const RETRY_AFTER_MS = 1_000;

export interface PartitionsOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly connections: ConnectionPool;
  readonly shared: SharedParts;
  readonly logger: WorkerLogger;
  /** `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
  /** Returns what the next heartbeat to a partition says. */
  report(partition: Partition): WorkerReport;
}

/** A partition that the worker reads, or is about to. */
export interface OpenPartition {
  readonly tag: string;
  /** Number of the partition; `null` when it was removed from the layout. */
  readonly number: number | null;
  /** `null` until its server was reached. */
  readonly partition: Partition | null;
  /** Whether its guards are ready, so that it can be read. */
  readonly isPrepared: boolean;
}

/** The state of an open partition. Only `Partitions` changes it. */
class PartitionState implements OpenPartition {
  partition: Partition | null = null;
  isPrepared = false;
  readonly closing = new AbortController();
  connections: Connections | null = null;
  /** Resolves when it is open, or is to be closed. */
  opening: Promise<void> = Promise.resolve();
  /** When it was first found empty, on the monotonic clock; `null` while it is not. */
  emptySinceMs: number | null = null;

  constructor(
    readonly tag: string,
    public number: number | null,
  ) {}
}

export class Partitions implements Places {
  readonly #options: PartitionsOptions;
  /** This worker as the streams know it. */
  readonly consumer: string;
  readonly arrivals: ArrivalVersions;
  readonly #follower: ListFollower<Layout>;
  readonly #open = new Map<string, PartitionState>();
  /** Partitions that are being closed. */
  readonly #closing = new Map<PartitionState, Promise<void>>();
  readonly #stopping = new AbortController();
  #layout: Layout = FIRST_LAYOUT;
  #isLayoutKnown = false;
  #isStarted = false;
  /** The loop that forgets drained partitions, while there are any. */
  #forgetting: Promise<void> | null = null;
  #onFirst: { resolve(): void; reject(error: Error): void } = { resolve: () => {}, reject: () => {} };

  constructor(options: PartitionsOptions) {
    const { settings, connections, docket, logger } = options;
    const { commands, subscriber } = connections.first;
    this.#options = options;
    this.consumer = consumerOf(settings.name);
    this.arrivals = new ArrivalVersions({ redis: commands, keys: docket.keys });
    this.#follower = new ListFollower({
      source: layoutSource(commands, docket.keys),
      copy: { size: 1, replaceAll: ([layout]) => this.#follow(layout!), add: () => {}, delete: () => {} },
      subscriber,
      onFailure: (error) => {
        if (!this.#isLayoutKnown) this.#onFirst.reject(unusable(docket, error));
        logRetry(logger, error, 'the partitions of the docket could not be loaded or followed');
      },
    });
  }

  /** The partitions that the worker reads or is about to, in the order of the layout. */
  get all(): readonly OpenPartition[] {
    return [...this.#open.values()].sort(
      (a, b) => (a.number ?? Number.POSITIVE_INFINITY) - (b.number ?? Number.POSITIVE_INFINITY),
    );
  }

  /** The open partitions whose servers were reached. */
  get reached(): readonly Partition[] {
    return this.all.flatMap(({ partition }) => partition ?? []);
  }

  /** All partitions whose deliveries the worker may have, including those that are being closed. */
  get inHand(): readonly Partition[] {
    return [...this.reached, ...[...this.#closing.keys()].flatMap(({ partition }) => partition ?? [])];
  }

  /** Whether the layout is known, and has none of the partitions that the worker should read. */
  get hasNone(): boolean {
    return this.#isLayoutKnown && this.#open.size === 0;
  }

  get tags(): readonly string[] {
    return this.#layout.tags;
  }

  async find(tag: string): Promise<Destination | null> {
    const { docket, connections } = this.#options;
    const open = this.#open.get(tag);
    if (open?.partition) return open.partition.context.link.isUsable ? open.partition.context : null;
    const keys = this.#keysOf(tag);
    if (tag === '' || !isClusterUrl(docket.url)) return { redis: connections.first.commands, keys };
    return open ? null : { redis: await connections.unread.open(keys, tag), keys };
  }

  async keysElsewhere(keys: readonly string[], tag: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    const { tags, draining } = this.#layout;
    const others = new Set([...tags, ...draining]);
    others.delete(tag);
    const look = async (other: string) => {
      const to = await this.find(other);
      if (!to) throw new Error(`partition '${other}' cannot be asked whether it has the chains of automatic tasks`);
      const states = keys.map((key) => to.redis.hget(to.keys.record(key), RECORD.state));
      for (const [i, state] of (await Promise.all(states)).entries()) {
        if (state !== null && !isTerminal(state as ExecutionState)) found.add(keys[i]!);
      }
    };
    if (keys.length > 0) await Promise.all([...others].map(look));
    return found;
  }

  #keysOf(tag: string): Keys {
    const { docket } = this.#options;
    return keysOf(docket.name, { db: docket.keys.db, tag });
  }

  /**
   * Learns the layout, and opens the partitions. Resolves when the layout is known and one of them can be read, or early when
   * the worker stops.
   * @throws RedisUnavailableError when the server refuses to tell the layout, or to create the streams of the first one
   */
  async prepare(): Promise<void> {
    const first = new Promise<void>((resolve, reject) => {
      this.#onFirst = { resolve, reject };
    });
    const { partitions: pinned } = this.#options.settings;
    if (pinned === null || pinned.includes(0)) this.#begin('', 0); // every layout has it
    await Promise.race([Promise.all([this.#follower.open(), first]), aborted(this.#stopping.signal)]);
  }

  /** Starts to read the partitions that can be read, and the others as soon as they can be. */
  start(): void {
    this.#isStarted = true;
    for (const { partition, isPrepared } of this.#open.values()) if (isPrepared) partition!.services.start();
  }

  /** Stops opening and closing partitions. Resolves when those that were being closed are closed. */
  async stop(): Promise<void> {
    this.#follower.close();
    this.#stopping.abort();
    await Promise.all([this.#forgetting, ...this.#closing.values()]);
  }

  /** Adopts a layout: opens partitions that are new in it, and closes those that it no longer has. */
  #follow(layout: Layout): void {
    if (this.#stopping.signal.aborted) return;
    this.#layout = layout;
    this.#isLayoutKnown = true;
    const { partitions: pinned } = this.#options.settings;
    const read = layout.tags.filter((_, number) => pinned === null || pinned.includes(number));
    const wanted = new Set([...read, ...layout.draining]);
    for (const tag of wanted) if (!this.#open.has(tag)) this.#begin(tag, layout.tags.indexOf(tag));
    for (const one of this.#open.values()) {
      const number = layout.tags.indexOf(one.tag);
      one.number = number < 0 ? null : number;
      if (one.number !== null) one.emptySinceMs = null;
      if (!wanted.has(one.tag)) this.#end(one);
    }
    if (layout.draining.length > 0) {
      this.#forgetting ??= this.#forgetDrained().finally(() => {
        this.#forgetting = null;
      });
    }
    const fields = { partitions: layout.tags.length, reads: read.length, draining: layout.draining.length };
    if (layout.version !== '') this.#options.logger.info(fields, 'the partitions of the docket are known');
    this.#warnOfMissing((pinned ?? []).filter((number) => number >= layout.tags.length));
  }

  /** Workers may be started before their partitions are there, so that these are read from their first moment on. */
  #warnOfMissing(missing: readonly number[]): void {
    if (missing.length === 0) return;
    const last = this.#layout.tags.length - 1;
    const those = last === 0 ? 'partition 0 only' : `partitions 0 to ${last}`;
    const until = this.#open.size === 0 ? 'this worker reads nothing until they are there' : 'the others are read';
    const problem = `--partitions names ${missing.join(', ')}, but the docket has ${those}: ${until}`;
    this.#options.logger.warn({ missing }, `${problem}. 'docket partitions N' changes their number`);
  }

  #begin(tag: string, number: number): void {
    const one = new PartitionState(tag, number < 0 ? null : number);
    this.#open.set(tag, one);
    if (this.#stopping.signal.aborted) return;
    const forget = onAbort(this.#stopping.signal, () => one.closing.abort());
    one.opening = this.#keepOpening(one).then(forget);
  }

  /** Opens a partition, again and again until that succeeds. Never rejects. */
  async #keepOpening(one: PartitionState): Promise<void> {
    const { signal } = one.closing;
    const { docket } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#reach(one, signal);
        if (signal.aborted) return;
        await one.partition!.prepare();
        await Promise.race([one.partition!.services.startGuards(), aborted(signal)]);
        if (signal.aborted) return;
        one.isPrepared = true;
        if (this.#isStarted) one.partition!.services.start();
        return this.#onFirst.resolve();
      } catch (error) {
        if (signal.aborted) return;
        if (one === this.all[0]) this.#onFirst.reject(unusable(docket, error)); // ignored once one has started
        logRetry(this.#loggerOf(one), error, 'a partition could not be opened');
        await pause(jittered(RETRY_AFTER_MS), signal);
      }
    }
  }

  /** Connects to the server of a partition, unless that was done before. */
  async #reach(one: PartitionState, signal: AbortSignal): Promise<void> {
    if (one.partition) return;
    const { connections } = this.#options;
    const keys = this.#keysOf(one.tag);
    one.connections =
      one.tag === '' ? connections.first : await connections.openFor(keys, signal, () => this.#nameOf(one));
    one.partition = new Partition({
      ...this.#options,
      connections: one.connections,
      keys,
      tag: one.tag,
      places: this,
      consumer: this.consumer,
      logger: this.#loggerOf(one),
    });
  }

  #end(one: PartitionState): void {
    this.#open.delete(one.tag);
    one.closing.abort();
    const closing = this.#close(one);
    this.#closing.set(one, closing);
    void closing.then(() => {
      if (!this.#stopping.signal.aborted) this.#closing.delete(one);
    });
  }

  /** Closes a partition. If the worker stops meanwhile, the drain of the worker does the rest. Never rejects. */
  async #close(one: PartitionState): Promise<void> {
    await one.opening; // its connections may just have been opened
    const { partition, connections } = one;
    const { tags, draining } = this.#layout;
    const isForgotten = !tags.includes(one.tag) && !draining.includes(one.tag);
    if (partition) await partition.close(this.#stopping.signal, isForgotten);
    if (connections && !this.#stopping.signal.aborted) await this.#options.connections.closeOf(connections);
  }

  /** Forgets partitions that were removed, once they are empty. Never rejects. */
  async #forgetDrained(): Promise<void> {
    const { signal } = this.#stopping;
    const { docket, logger } = this.#options;
    while (this.#layout.draining.length > 0 && !signal.aborted) {
      await pause(jittered(docket.heartbeatIntervalMs), signal);
      for (const one of this.#open.values()) {
        if (one.number !== null || !one.isPrepared || signal.aborted) continue;
        await this.#forgetIfEmpty(one).catch((error) => logRetry(logger, error, 'a partition could not be removed'));
      }
    }
  }

  /**
   * Forgets a partition that was removed once it has been empty, without failures too, for as long as this docket keeps
   * results. Until then its results can be read.
   */
  async #forgetIfEmpty(one: PartitionState): Promise<void> {
    const { docket, connections, logger } = this.#options;
    const partition = one.partition!;
    const { redis, keys } = partition.context;
    const isEmpty = partition.isIdle && (await isPartitionEmpty(redis, keys));
    one.emptySinceMs = isEmpty ? (one.emptySinceMs ?? monotonicMs()) : null;
    if (one.emptySinceMs === null || monotonicMs() - one.emptySinceMs < docket.executionTtlMs) return;
    if (await forgetPartition(connections.first.commands, docket.keys, one.tag)) {
      logger.info({ tag: one.tag }, 'nothing remains in a partition that was removed: it is forgotten');
    }
  }

  /** Returns the fields of a line about a partition. */
  #nameOf({ number, tag }: PartitionState): object {
    return { partition: number ?? `removed (${tag})` };
  }

  /** Logs with the number of the partition, unless there is only one. */
  #loggerOf(one: PartitionState): WorkerLogger {
    return loggerWith(this.#options.logger, () => (this.#open.size > 1 ? this.#nameOf(one) : {}));
  }
}
