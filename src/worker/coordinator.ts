/**
 * The coordinator of a worker: assembles its parts, starts and stops them, and answers questions about the worker.
 *
 * The route of an execution is in `pipeline.ts`, the order of the services beside it in `services.ts`, the end of the
 * worker in `drain.ts`, and whether it takes work in `readiness.ts`. No user code runs here (unless `threads: 0` asks for
 * it), so nothing a task does can stall a lease.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { aborted, pause } from '../core/service.js';
import type { DocketGauges } from '../observe/metrics.js';
import type { TaskCounters } from '../observe/task-counters.js';
import { ensureGroups } from '../redis/delivery-store.js';
import { type DocketSettings, unusable } from '../redis/docket-settings.js';
import { leave } from '../redis/fleet-store.js';
import type { PauseTerms } from '../redis/pause-store.js';
import { countRemaining } from '../redis/schedule-store.js';
import { measure, survey, surveyWaiting } from '../redis/snapshot-store.js';
import { describePolicies } from '../tasks/describe.js';
import type { Manifest } from '../tasks/manifest.js';
import { CommandLink } from './command-link.js';
import { type Connections, closeConnections } from './connections.js';
import type { WorkerContext } from './context.js';
import { DeadlineEnforcer } from './dispatch/deadline-enforcer.js';
import { ThreadSupervisor } from './dispatch/thread-supervisor.js';
import { drain } from './drain.js';
import { Heartbeat } from './fleet/heartbeat.js';
import { Leases } from './fleet/leases.js';
import { Reclaimer } from './fleet/reclaimer.js';
import { Scheduler } from './fleet/scheduler.js';
import { Seeder } from './fleet/seeder.js';
import { ServerClock } from './fleet/server-clock.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { isLevelEnabled, type WorkerLogger, type WorkerSettings } from './options.js';
import { Pipeline } from './pipeline.js';
import { Readiness, type WorkerState } from './readiness.js';
import { Services } from './services.js';
import { startThread } from './thread-starter.js';
import { WaitLog } from './wait-log.js';
import { HistoryWriter } from './watch/history-writer.js';
import { SummaryLogger } from './watch/summary-logger.js';

/** The first and the longest pause before a check whether anything remains in the docket. */
const FIRST_CHECK_MS = 10;
const LONGEST_CHECK_MS = 500;

export interface CoordinatorOptions {
  readonly docket: DocketSettings;
  readonly settings: WorkerSettings;
  readonly connections: Connections;
  readonly logger: WorkerLogger;
  readonly attemptBudget: AttemptBudget;
  /** `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
  /** Called when threads can no longer be started. */
  onBroken(error: Error): void;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #context: WorkerContext;
  readonly #pipeline: Pipeline;
  readonly #supervisor: ThreadSupervisor;
  readonly #scheduler: Scheduler;
  readonly #services: Services;
  readonly #readiness: Readiness;
  readonly #waitLog: WaitLog;
  #state: WorkerState = 'starting';

  constructor(options: CoordinatorOptions) {
    const { docket, settings, attemptBudget, logger, counters, onBroken } = options;
    this.#options = options;
    this.#context = contextOf(options);
    this.#pipeline = new Pipeline(this.#context, {
      settings,
      attemptBudget,
      retireThread: (thread) => this.#supervisor.retire(thread, settings.abortGraceMs),
      startSuspectThread: (lane) => this.#supervisor.startForSuspect(lane),
    });
    const { dispatcher } = this.#pipeline;
    this.#supervisor = new ThreadSupervisor({
      dispatcher,
      logger,
      start: (lane, signal) => startThread(lane, signal, { docket, settings, dispatcher, logger, counters }),
      onManifest: (manifest) => this.#learn(manifest),
      onBroken,
    });
    this.#scheduler = new Scheduler({ ...this.#context, resolutionMs: settings.schedulingResolutionMs });
    const heartbeat = new Heartbeat({
      ...this.#context,
      intervalMs: docket.heartbeatIntervalMs,
      missed: docket.missedHeartbeats,
      report: () => this.#readiness.report(),
      tasks: () => this.#pipeline.catalog.tasks,
      onSchedule: (nextInMs) => this.#scheduler.learn(nextInMs),
    });
    this.#readiness = new Readiness({
      settings,
      heartbeatIntervalMs: docket.heartbeatIntervalMs,
      pipeline: this.#pipeline,
      supervisor: this.#supervisor,
      heartbeat,
      state: () => this.#state,
    });
    this.#waitLog = new WaitLog(this.#pipeline.pauseGuard, logger);
    this.#services = new Services({
      guards: [this.#pipeline.strikeGuard, this.#pipeline.pauseGuard, this.#pipeline.cancelListener],
      keepers: this.#keepers(),
      suppliers: this.#suppliers(),
      heartbeat,
    });
  }

  #keepers() {
    const { docket, settings, logger, counters } = this.#options;
    const { dispatcher, progressWriter, attemptRecorder } = this.#pipeline;
    const { abortGraceMs, drainTimeoutMs } = settings;
    return [
      new Leases({
        ...this.#context,
        held: () => this.#pipeline.held(),
        onLost: (tokens) => dispatcher.loseLeases(tokens),
      }),
      new DeadlineEnforcer({ dispatcher, abortGraceMs, drainTimeoutMs, logger }),
      progressWriter,
      ...(counters && attemptRecorder && isLevelEnabled(logger, 'info')
        ? [new SummaryLogger(counters, attemptRecorder, logger)]
        : []),
      ...(counters && attemptRecorder && settings.writesHistory
        ? [
            new HistoryWriter({
              ...this.#context,
              intervalMs: docket.heartbeatIntervalMs,
              counters,
              attempts: attemptRecorder,
            }),
          ]
        : []),
    ];
  }

  #suppliers() {
    const { docket, settings } = this.#options;
    const { executionTtlMs } = docket;
    return [
      this.#pipeline.intake,
      new Reclaimer({
        ...this.#context,
        reconnectionMs: settings.longestPauseMs,
        held: () => this.#pipeline.held(),
      }),
      this.#scheduler,
      ...(settings.schedulesAutomaticTasks
        ? [new Seeder({ ...this.#context, executionTtlMs, tasks: () => this.#pipeline.catalog.tasks })]
        : []),
    ];
  }

  /**
   * Starts the threads and the guards, then everything else. Resolves early when `signal` aborts.
   * @throws the error of a task module that fails to load
   * @throws RedisUnavailableError when the server refuses to create the streams
   */
  async start(signal: AbortSignal): Promise<void> {
    const { redis, keys } = this.#context;
    const groups = ensureGroups(redis, keys).catch((error: unknown) => {
      throw unusable(this.#options.docket, error);
    });
    const starting = Promise.all([this.#supervisor.start(), groups, this.#services.startGuards()]);
    starting.catch(() => undefined); // a worker that is told to stop does not await it
    const started = await Promise.race([starting, aborted(signal)]);
    if (!started || signal.aborted) return;
    const [manifest] = started;
    this.#services.start();
    this.#state = 'ready';
    this.#logReady(manifest);
  }

  /** Learns what the threads can run. After a deploy in place, threads that are replaced can run other tasks. */
  #learn(manifest: Manifest): void {
    const tasks = manifest.tasks.map((task) => task.name);
    this.#pipeline.open(manifest);
    this.#options.counters?.addTasks(tasks);
    if (this.#state === 'ready')
      this.#options.logger.info({ tasks }, 'the threads have loaded other tasks than before');
  }

  /** Stops taking work, finishes or requeues what it has, ends the threads, and closes the connections. See `drain.ts`. */
  async drain(): Promise<void> {
    const { settings, logger } = this.#options;
    const { name, drainTimeoutMs, abortGraceMs } = settings;
    const { dispatcher, settler, rerouter, failureNotifier } = this.#pipeline;
    const wasReady = this.#state === 'ready';
    this.#state = 'draining';
    this.#pipeline.close();
    if (wasReady) {
      const fields = { held: dispatcher.size, drainTimeoutMs };
      logger.info(fields, `worker ${name} is draining: it takes no new work and lets running work finish`);
    }
    await drain({
      services: this.#services,
      dispatcher,
      supervisor: this.#supervisor,
      rerouter,
      settler,
      failureNotifier,
      link: this.#context.link,
      drainTimeoutMs,
      abortGraceMs,
      logger,
      requeueUnstarted: (deliveries) => this.#pipeline.requeueUnstarted(deliveries),
      leave: () => this.#leave(),
    });
    await closeConnections(this.#options.connections); // what has no answer yet fails now
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
    return this.#pipeline.attemptRecorder?.onThreads() ?? new Map();
  }

  /** The number of threads that can run tasks. */
  get threads(): number {
    return this.#pipeline.dispatcher.lanes.filter((lane) => lane.thread !== null).length;
  }

  /** The number of strikes in effect. */
  get strikes(): number {
    return this.#pipeline.strikeGuard.size;
  }

  /** The pauses in effect. */
  get pauses(): readonly PauseTerms[] {
    return this.#pipeline.pauseGuard.list;
  }

  /** Measures the whole docket. */
  async gauges(): Promise<DocketGauges> {
    const { redis, keys } = this.#context;
    const [{ queued, scheduled, failures }, { total: waiting, paused }, { workers, oldestQueuedMs }] =
      await Promise.all([survey(redis, keys, 0), surveyWaiting(redis, keys, 0), measure(redis, keys)]);
    return { queued, scheduled, waiting, paused, failures, workers, oldestQueuedMs };
  }

  /** Also `false` when Redis does not answer. */
  async #isDocketEmpty(): Promise<boolean> {
    const { redis, keys } = this.#context;
    const { dispatcher, settler, attemptBudget } = this.#pipeline;
    if (dispatcher.size > 0 || !settler.isIdle) return false;
    const remaining = await countRemaining(redis, keys, attemptBudget.spentKeys).catch(() => null);
    if (remaining === null) return false;
    this.#waitLog.note(remaining);
    return remaining.queued + remaining.scheduled + remaining.paused === 0;
  }

  async #leave(): Promise<void> {
    const { redis, keys, consumer, logger } = this.#context;
    await leave(redis, keys, consumer).catch((error) =>
      logger.warn({ error: String(error) }, 'leaving failed: the worker is listed until its heartbeat expires'),
    );
  }

  #logReady({ tasks, fallback }: Manifest): void {
    const { settings, logger } = this.#options;
    const { name, threads, concurrency } = settings;
    const fields = { threads, concurrency, tasks: tasks.map((task) => task.name) };
    logger.info(fields, `worker ${name} is ready`);
    for (const task of tasks) {
      logger.info({ task: task.name }, `task ${task.name}: ${describePolicies(task.policies)}`);
    }
    if (fallback) logger.info({}, `fallback for all other tasks: ${describePolicies(fallback)}`);
  }
}

function contextOf({ docket, settings, connections, logger, counters }: CoordinatorOptions): WorkerContext {
  return {
    redis: connections.commands,
    link: new CommandLink(connections.commands, settings.leaseMs),
    blocking: connections.blocking,
    subscriber: connections.subscriber,
    keys: docket.keys,
    consumer: `${settings.name}:${randomBytes(4).toString('hex')}`,
    workerName: settings.name,
    leaseMs: settings.leaseMs,
    clock: new ServerClock(settings.leaseMs / 3), // what was renewed on time outlasts less
    logger,
    counters,
  };
}
