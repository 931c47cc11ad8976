/**
 * One partition of the docket in this worker: its pipeline, and the services that talk to Redis about it. Everything that
 * partitions share is in `shared-parts.ts`.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { DocketGauges } from '../observe/metrics.js';
import type { TaskCounters } from '../observe/task-counters.js';
import { ensureGroups } from '../redis/delivery-store.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { leave, type WorkerReport } from '../redis/fleet-store.js';
import type { Keys } from '../redis/keys.js';
import { manualClockAt } from '../redis/manual-clock.js';
import { countRemaining } from '../redis/schedule-store.js';
import { measure, survey, surveyWaiting } from '../redis/snapshot-store.js';
import type { TaskManifest } from '../tasks/manifest.js';
import { CommandLink } from './command-link.js';
import type { Connections } from './connections.js';
import type { WorkerContext } from './context.js';
import { Heartbeat } from './fleet/heartbeat.js';
import { Leases } from './fleet/leases.js';
import { Reclaimer } from './fleet/reclaimer.js';
import { Scheduler } from './fleet/scheduler.js';
import { Seeder } from './fleet/seeder.js';
import { ServerClock } from './fleet/server-clock.js';
import { Streams } from './fleet/streams.js';
import type { WorkerLogger, WorkerSettings } from './options.js';
import { Pipeline } from './pipeline.js';
import { type Places, placeOfChain } from './places.js';
import { Services } from './services.js';
import type { SharedParts } from './shared-parts.js';
import type { Remaining } from './wait-log.js';

/** How often to look whether everything of a partition that is being closed is settled. */
const LOOK_EVERY_MS = 50;

export interface PartitionOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly connections: Connections;
  /** The names of its keys. */
  readonly keys: Keys;
  /** Its tag; '' for partition 0. */
  readonly tag: string;
  /** This worker as the streams know it, in all partitions. */
  readonly consumer: string;
  readonly shared: SharedParts;
  /** Knows where executions belong. */
  readonly places: Places;
  readonly logger: WorkerLogger;
  /** `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
  /** Returns the report for the next heartbeat to this partition. */
  report(partition: Partition): WorkerReport;
}

export class Partition {
  readonly context: WorkerContext;
  readonly pipeline: Pipeline;
  readonly heartbeat: Heartbeat;
  readonly services: Services;
  /** The measurement that is under way. */
  #measuring: Promise<DocketGauges> | null = null;

  constructor(options: PartitionOptions) {
    const { docket, settings, shared, places, tag } = options;
    this.context = contextOf(options);
    const { context } = this;
    this.pipeline = new Pipeline(context, shared, settings, places);
    const { pipeline } = this;
    const inHand = () => pipeline.inHand();
    const scheduler = new Scheduler({ ...context, resolutionMs: settings.schedulingResolutionMs });
    this.heartbeat = new Heartbeat({
      ...context,
      intervalMs: docket.heartbeatIntervalMs,
      missed: docket.missedHeartbeats,
      report: () => options.report(this),
      tasks: () => shared.catalog.tasks,
      onSchedule: (nextInMs) => scheduler.learn(nextInMs),
    });
    const { executionTtlMs } = docket;
    const isOwn = ({ name, policies }: TaskManifest) => placeOfChain(name, policies, places.tags) === tag;
    this.services = new Services({
      guards: [pipeline.strikeGuard, pipeline.pauseGuard, pipeline.cancelListener],
      keepers: [new Leases({ ...context, inHand, onLost: (tokens) => pipeline.dispatched.loseLeases(tokens) })],
      suppliers: [
        pipeline.intake,
        new Reclaimer({ ...context, reconnectionMs: settings.longestPauseMs, inHand }),
        scheduler,
        ...(settings.schedulesAutomaticTasks
          ? [
              new Seeder({
                ...context,
                executionTtlMs,
                tasks: () => shared.catalog.tasks.filter(isOwn),
                runningElsewhere: (tasks) => places.keysElsewhere(tasks, tag),
                ownVersion: {
                  get: async () => (tag === '' ? null : await places.arrivals.of(tag, context)), // partition 0 is never removed
                  forget: () => places.arrivals.forget(tag),
                },
              }),
            ]
          : []),
      ],
      heartbeat: this.heartbeat,
    });
  }

  /** Creates the streams. Rejects when the server refuses. */
  async prepare(): Promise<void> {
    const { redis, keys } = this.context;
    await ensureGroups(redis, keys);
  }

  /** Measures the whole partition. Asks the server once at a time, because commands wait while it is unreachable. */
  gauges(): Promise<DocketGauges> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measure(): Promise<DocketGauges> {
    const { redis, keys } = this.context;
    const [{ queued, scheduled, failures }, { total: waiting, paused }, { workers, oldestQueuedMs }] =
      await Promise.all([survey(redis, keys, 0), surveyWaiting(redis, keys, 0), measure(redis, keys)]);
    return { queued, scheduled, waiting, paused, failures, workers, oldestQueuedMs };
  }

  /** Counts what remains, except under these keys. `null` when Redis does not answer, or something here is not settled. */
  async remaining(spentKeys: readonly string[]): Promise<Remaining | null> {
    const { redis, keys } = this.context;
    if (!this.pipeline.settler.isIdle) return null;
    return await countRemaining(redis, keys, [...spentKeys]).catch(() => null);
  }

  /**
   * Stops reading, requeues deliveries that have not begun, and waits until the rest is settled. Never rejects.
   * @param stopping - when it aborts, the drain of the worker does the rest
   * @param isForgotten - whether the docket has it no more
   */
  async close(stopping: AbortSignal, isForgotten: boolean): Promise<void> {
    await this.services.stopSuppliers();
    this.pipeline.requeueUnstarted(this.pipeline.dispatched.takeBackUnstarted());
    while (!stopping.aborted && !this.isIdle) await delay(LOOK_EVERY_MS);
    if (stopping.aborted) return;
    await this.services.stop();
    this.pipeline.leave();
    await this.leave(isForgotten);
  }

  /** Whether the worker has no deliveries of this partition in hand. */
  get isIdle(): boolean {
    for (const _ of this.pipeline.inHand()) return false;
    return this.pipeline.settler.isIdle;
  }

  /** Takes this worker off the list of those that read the partition. Never rejects. */
  async leave(isForgotten = false): Promise<void> {
    const { redis, keys, consumer, logger } = this.context;
    await leave(redis, keys, consumer, isForgotten).catch((error) =>
      logger.warn({ error: String(error) }, 'leaving failed: the worker is listed until its heartbeat expires'),
    );
  }
}

/** Returns a name for this worker in the streams. Names of workers may repeat, consumers must not. */
export function consumerOf(workerName: string): string {
  return `${workerName}:${randomBytes(4).toString('hex')}`;
}

function contextOf(options: PartitionOptions): WorkerContext {
  const { docket, settings, connections, keys, tag, consumer, logger, counters } = options;
  const leapMs = settings.leaseMs / 3; // a lease that was renewed on time outlasts a shorter leap
  const redis = connections.commands;
  return {
    redis,
    streams: new Streams({ redis, keys, logger }),
    link: new CommandLink(connections.commands, settings.leaseMs),
    blocking: connections.blocking,
    subscriber: connections.subscriber,
    keys,
    tag,
    consumer,
    workerName: settings.name,
    leaseMs: settings.leaseMs,
    clock: new ServerClock(leapMs, manualClockAt(docket.url)),
    logger,
    counters,
  };
}
