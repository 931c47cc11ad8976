/**
 * Tells probes (with the reason) and the fleet (in heartbeats) whether a worker takes work. Owns the rule, which is
 * the same for both.
 */
import { assertNever } from '../core/assert.js';
import { monotonicMs } from '../core/clock.js';
import type { WorkerReport } from '../redis/fleet-store.js';
import type { TaskManifest } from '../tasks/manifest.js';
import type { ThreadSupervisor } from './dispatch/thread-supervisor.js';
import type { WorkerSettings } from './options.js';
import type { Partition } from './partition.js';
import type { OpenPartition } from './partitions.js';
import type { SharedParts } from './shared-parts.js';
import { versionOfPackage } from './version.js';

const VERSION = versionOfPackage();

/** How much longer than its block time a read may take before the worker is no longer listed. */
const READ_MARGIN_MS = 1_000;

const NO_PARTITION = 'the docket has none of the partitions that this worker reads';

export type WorkerState = 'starting' | 'ready' | 'draining';

export interface ReadinessOptions {
  readonly settings: WorkerSettings;
  readonly heartbeatIntervalMs: number;
  readonly shared: Pick<SharedParts, 'dispatcher' | 'catalog'>;
  readonly supervisor: Pick<ThreadSupervisor, 'threadlessMs'>;
  /** Returns the partitions that the worker reads. */
  partitions(): readonly OpenPartition[];
  /** Whether the docket is known to have none of the partitions that the worker should read. */
  hasNoPartition(): boolean;
  state(): WorkerState;
}

/** Whether the worker takes work of one partition. */
export interface PartitionHealth {
  /** Number of the partition. */
  readonly partition: string;
  /** Why the worker takes no work of it; `null` when it does. */
  readonly reason: string | null;
}

export class Readiness {
  readonly #options: ReadinessOptions;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Returns why the worker takes no work at the moment; `null` when it takes work. */
  notReadyBecause(): string | null {
    const state = this.#options.state();
    switch (state) {
      case 'starting':
        return this.#options.hasNoPartition() ? NO_PARTITION : 'the worker is starting';
      case 'draining':
        return 'the worker is draining';
      case 'ready':
        return this.#stalledBecause();
      default:
        return assertNever(state);
    }
  }

  /** Returns the content of the next heartbeat to a partition. */
  report(partition: Pick<Partition, 'pipeline'>): WorkerReport {
    const { name, threads, concurrency, leaseMs } = this.#options.settings;
    const { catalog, dispatcher } = this.#options.shared;
    const { hasFallback } = catalog;
    const tasks = catalog.tasks.map((task) => task.name);
    const canClaim = this.#canClaim(partition);
    const logged = loggedBy(catalog.tasks);
    return {
      ...{ name, threads, concurrency, leaseMs, tasks, hasFallback, running: dispatcher.size, canClaim, logged },
      ...{ version: VERSION, nodeVersion: process.version, isDraining: this.#options.state() === 'draining' },
    };
  }

  #stalledBecause(): string | null {
    const { heartbeatIntervalMs, supervisor } = this.#options;
    if (supervisor.threadlessMs > 2 * heartbeatIntervalMs) return 'no thread can run tasks';
    const partitions = this.partitions();
    if (partitions.some(({ reason }) => reason === null)) return null;
    return partitions[0]?.reason ?? NO_PARTITION;
  }

  /** Says of each partition why the worker takes no work of it; `null` where it takes work. */
  partitions(): PartitionHealth[] {
    return this.#options.partitions().map(({ tag, number, partition, isPrepared }) => ({
      partition: number === null ? `removed (${tag})` : String(number),
      reason: partition && isPrepared ? this.#unansweredBecause(partition) : 'it could not be opened yet',
    }));
  }

  /** Returns why the worker takes no work of a partition; `null` when it does. */
  #unansweredBecause({ heartbeat, pipeline }: Pick<Partition, 'heartbeat' | 'pipeline'>): string | null {
    const { heartbeatIntervalMs } = this.#options;
    const nowMs = monotonicMs();
    // The heartbeat is checked too: a worker whose threads are full does not read, so no read would show an outage.
    const silentMs = nowMs - heartbeat.lastAnswerMs;
    if (heartbeat.lastAnswerMs > 0 && silentMs > 2 * heartbeatIntervalMs) {
      return `Redis has answered no heartbeat for ${(silentMs / 1_000).toFixed(1)} s`;
    }
    if (this.#canClaim({ pipeline })) return null;
    const idleMs = nowMs - pipeline.intake.lastAnswerMs;
    return `Redis has answered no read and no claim for ${(idleMs / 1_000).toFixed(1)} s`;
  }

  /** Whether the intake reads, or the threads have all they can run. Otherwise the intake is stalled or stopped. */
  #canClaim({ pipeline }: Pick<Partition, 'pipeline'>): boolean {
    const { heartbeatIntervalMs, settings } = this.#options;
    const patienceMs = Math.max(2 * heartbeatIntervalMs, settings.longestReadMs + READ_MARGIN_MS);
    return pipeline.intake.isTaking(patienceMs);
  }
}

/** Returns the names of the arguments whose values may be shown, by task. */
function loggedBy(tasks: readonly TaskManifest[]): Record<string, string[]> {
  const logged = tasks.map((task): [string, string[]] => {
    const shown = Object.entries(task.logged ?? {}).filter(([, how]) => how === 'value');
    return [task.name, shown.map(([name]) => name)];
  });
  return Object.fromEntries(logged.filter(([, names]) => names.length > 0));
}
