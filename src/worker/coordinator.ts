/**
 * The coordinator of a worker: assembles its parts, starts and stops them, and answers questions about the worker.
 *
 * The parts that a worker has once are in `shared-parts.ts`, and those that it has for each partition in `partition.ts`. The route
 * of an execution is in `pipeline.ts`, the order of the services beside it in `services.ts`, the end of the worker in `drain.ts`,
 * and whether it takes work in `readiness.ts`. No user code runs here (unless `threads: 0` asks for it), so nothing a task does
 * can stall a lease.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { aborted, pause, type Service, within } from '../core/service.js';
import type { DocketGauges } from '../observe/metrics.js';
import type { TaskCounters } from '../observe/task-counters.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import type { PauseTerms } from '../redis/pause-store.js';
import { describePolicies } from '../tasks/describe.js';
import type { Manifest } from '../tasks/manifest.js';
import type { ConnectionPool } from './connection-pool.js';
import { DeadlineEnforcer } from './dispatch/deadline-enforcer.js';
import { ThreadSupervisor } from './dispatch/thread-supervisor.js';
import { drain } from './drain.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { isLevelEnabled, type WorkerLogger, type WorkerSettings } from './options.js';
import { Partitions } from './partitions.js';
import { type PartitionHealth, Readiness, type WorkerState } from './readiness.js';
import { requeueUnstarted, SharedParts } from './shared-parts.js';
import { startThread } from './thread-starter.js';
import { type Remaining, WaitLog } from './wait-log.js';
import { HistoryWriter } from './watch/history-writer.js';
import { PartitionLog } from './watch/partition-log.js';
import { SummaryLogger } from './watch/summary-logger.js';

/** The first and the longest pause before a check whether anything remains in the docket. */
const FIRST_CHECK_MS = 10;
const LONGEST_CHECK_MS = 500;
/** How long a partition may take to be measured. A scrape waits for a second. */
const GAUGES_MS = 800;

export interface CoordinatorOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly connections: ConnectionPool;
  readonly logger: WorkerLogger;
  readonly attemptBudget: AttemptBudget;
  /** `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
  /** Called when threads can no longer be started. */
  onBroken(error: Error): void;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #shared: SharedParts;
  readonly #partitions: Partitions;
  readonly #supervisor: ThreadSupervisor;
  /** The services that all partitions share. */
  readonly #keepers: readonly Service[];
  readonly #readiness: Readiness;
  readonly #waitLog: WaitLog;
  #state: WorkerState = 'starting';

  constructor(options: CoordinatorOptions) {
    const { docket, settings, logger, counters, onBroken } = options;
    this.#options = options;
    this.#shared = new SharedParts({
      ...options,
      retireThread: (thread) => this.#supervisor.retire(thread, settings.abortGraceMs),
      startSuspectThread: (lane) => this.#supervisor.startForSuspect(lane),
    });
    const { dispatcher } = this.#shared;
    this.#supervisor = new ThreadSupervisor({
      dispatcher,
      logger,
      start: (lane, signal) => startThread(lane, signal, { docket, settings, dispatcher, logger, counters }),
      onManifest: (manifest) => this.#learn(manifest),
      onBroken,
    });
    this.#partitions = new Partitions({
      ...options,
      shared: this.#shared,
      report: (partition) => this.#readiness.report(partition),
    });
    this.#readiness = new Readiness({
      settings,
      heartbeatIntervalMs: docket.heartbeatIntervalMs,
      shared: this.#shared,
      supervisor: this.#supervisor,
      partitions: () => this.#partitions.all,
      hasNoPartition: () => this.#partitions.hasNone,
      state: () => this.#state,
    });
    const pauses = () => this.pauses;
    this.#waitLog = new WaitLog(
      {
        get list() {
          return pauses();
        },
        get isDocketPaused() {
          return pauses().some(({ task }) => task === null);
        },
      },
      logger,
    );
    this.#keepers = this.#sharedKeepers();
  }

  #sharedKeepers(): Service[] {
    const { docket, settings, connections, logger, counters } = this.#options;
    const { dispatcher, progressWriter, attemptRecorder } = this.#shared;
    const { abortGraceMs, drainTimeoutMs } = settings;
    return [
      new DeadlineEnforcer({ dispatcher, abortGraceMs, drainTimeoutMs, logger }),
      progressWriter,
      new PartitionLog({
        health: () => (this.#state === 'ready' ? this.#readiness.partitions() : []),
        everyMs: docket.heartbeatIntervalMs,
        logger,
      }),
      ...(counters && attemptRecorder && isLevelEnabled(logger, 'info')
        ? [new SummaryLogger(counters, attemptRecorder, logger)]
        : []),
      ...(counters && attemptRecorder && settings.writesHistory
        ? [
            new HistoryWriter({
              redis: connections.first.commands,
              keys: docket.keys,
              consumer: this.#partitions.consumer,
              clock: { nowMs: () => this.#partitions.reached[0]?.context.clock.nowMs() ?? Date.now() },
              logger,
              intervalMs: docket.heartbeatIntervalMs,
              counters,
              attempts: attemptRecorder,
            }),
          ]
        : []),
    ];
  }

  /**
   * Starts the threads and the guards, then everything else. Resolves early when `signal` aborts.
   * @throws the error of a task module that fails to load
   * @throws RedisUnavailableError when the server refuses to create the streams
   */
  async start(signal: AbortSignal): Promise<void> {
    const starting = Promise.all([this.#supervisor.start(), this.#partitions.prepare()]);
    starting.catch(() => undefined); // a worker that is told to stop does not await it
    const started = await Promise.race([starting, aborted(signal)]);
    if (!started || signal.aborted) return;
    const [manifest] = started;
    for (const keeper of this.#keepers) keeper.start();
    this.#partitions.start();
    this.#state = 'ready';
    this.#logReady(manifest);
  }

  /** Learns what the threads can run. After a deploy in place, threads that are replaced can run other tasks. */
  #learn(manifest: Manifest): void {
    const tasks = manifest.tasks.map((task) => task.name);
    this.#shared.open(manifest);
    this.#options.counters?.addTasks(tasks);
    if (this.#state === 'ready')
      this.#options.logger.info({ tasks }, 'the threads have loaded other tasks than before');
  }

  /** Stops taking work, finishes or requeues what it has, ends the threads, and closes the connections. See `drain.ts`. */
  async drain(): Promise<void> {
    const { settings, logger } = this.#options;
    const { name, drainTimeoutMs, abortGraceMs } = settings;
    const { dispatcher, failureNotifier } = this.#shared;
    const wasReady = this.#state === 'ready';
    this.#state = 'draining';
    this.#shared.close();
    if (wasReady) {
      const fields = { inHand: dispatcher.size, drainTimeoutMs };
      logger.info(fields, `worker ${name} is draining: it takes no new work and lets running work finish`);
    }
    const partitionsStopped = this.#partitions.stop();
    await drain({
      partitions: this.#partitions.inHand,
      dispatcher,
      supervisor: this.#supervisor,
      failureNotifier,
      drainTimeoutMs,
      abortGraceMs,
      logger,
      requeueUnstarted,
      stopShared: async () => {
        await Promise.all(this.#keepers.map((keeper) => keeper.stop()));
      },
    });
    await this.#options.connections.close(); // what has no answer yet fails now
    await partitionsStopped;
    await turn(); // and says so, before the last line
    if (wasReady) logger.info({}, `worker ${name} has stopped`);
  }

  /**
   * Resolves when nothing remains in the whole docket, on any worker, except under the keys that this worker may run no
   * more. Checks twice, because each answer holds for one moment only.
   */
  async finished(signal: AbortSignal): Promise<void> {
    let emptyChecks = 0;
    let pauseMs = FIRST_CHECK_MS;
    while (emptyChecks < 2 && !signal.aborted) {
      await pause(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_CHECK_MS);
      emptyChecks = (await this.#isDocketEmpty()) ? emptyChecks + 1 : 0;
    }
  }

  /** Returns why the worker takes no work at the moment; `null` when it takes work. */
  notReadyBecause(): string | null {
    return this.#readiness.notReadyBecause();
  }

  /** Counts the attempts on the threads, by the label of their task. */
  onThreads(): Map<string, { begun: number; running: number }> {
    return this.#shared.attemptRecorder?.onThreads() ?? new Map();
  }

  /** The number of threads that can run tasks. */
  get threads(): number {
    return this.#shared.dispatcher.lanes.filter((lane) => lane.thread !== null).length;
  }

  /** The number of strikes in effect. */
  get strikes(): number {
    return this.#partitions.reached[0]?.pipeline.strikeGuard.size ?? 0;
  }

  /** The pauses in effect. */
  get pauses(): readonly PauseTerms[] {
    return this.#partitions.reached[0]?.pipeline.pauseGuard.list ?? [];
  }

  /** Says of each partition why the worker takes no work of it; `null` where it takes work. */
  partitionHealth(): PartitionHealth[] {
    return this.#readiness.partitions();
  }

  /** Measures the whole docket, except for partitions that do not answer. Rejects when none does. */
  async gauges(): Promise<DocketGauges> {
    const { reached } = this.#partitions;
    const [only] = reached;
    if (only && reached.length === 1) return await only.gauges();
    const asked = reached.map((partition) => within(partition.gauges(), GAUGES_MS).catch(() => undefined));
    return sumOf((await Promise.all(asked)).filter((gauges) => gauges !== undefined));
  }

  /** Also `false` when Redis does not answer. */
  async #isDocketEmpty(): Promise<boolean> {
    const { dispatcher, attemptBudget } = this.#shared;
    if (dispatcher.size > 0) return false;
    const { spentKeys } = attemptBudget;
    const asked = this.#partitions.all.map(({ partition }) => partition?.remaining(spentKeys) ?? null);
    const all = (await Promise.all(asked)).filter((remaining) => remaining !== null);
    if (all.length === 0 || all.length < asked.length) return false;
    const sum = (count: keyof Remaining) => all.reduce((total, remaining) => total + remaining[count], 0);
    const remaining = { queued: sum('queued'), scheduled: sum('scheduled'), paused: sum('paused') };
    this.#waitLog.note(remaining);
    return remaining.queued + remaining.scheduled + remaining.paused === 0;
  }

  #logReady({ tasks, fallback }: Manifest): void {
    const { settings, logger } = this.#options;
    const { name, threads, concurrency } = settings;
    const names = tasks.filter(({ isBuiltin }) => !isBuiltin).map((task) => task.name);
    logger.info({ threads, concurrency, tasks: names }, `worker ${name} is ready`);
    if (names.length === 0 && !fallback)
      logger.info({}, 'it has the built-in tasks only: --tasks names modules with yours');
    for (const task of tasks) {
      const level = task.isBuiltin ? 'debug' : 'info'; // nobody asked for the built-in ones
      logger[level]({ task: task.name }, `task ${task.name}: ${describePolicies(task.policies)}`);
    }
    if (fallback) logger.info({}, `fallback for all other tasks: ${describePolicies(fallback)}`);
  }
}

/** Adds up what was measured of the partitions. A worker is listed in all that it reads. */
function sumOf(gauges: readonly DocketGauges[]): DocketGauges {
  if (gauges.length === 0) throw new Error('no partition was measured');
  return gauges.reduce((a, b) => ({
    queued: a.queued + b.queued,
    scheduled: a.scheduled + b.scheduled,
    waiting: a.waiting + b.waiting,
    paused: a.paused + b.paused,
    failures: a.failures + b.failures,
    workers: Math.max(a.workers, b.workers),
    oldestQueuedMs: Math.max(a.oldestQueuedMs, b.oldestQueuedMs),
  }));
}
