/**
 * Connects the parts of a running worker, and takes them down in the order in which nothing is lost.
 *
 *   Intake ──deliveries──> Dispatcher ──chunks──> threads ──outcomes──> Dispatcher ──> Settler
 *
 * Leases, Enforcer, ProgressWriter, Canceller, StrikeWatch, Reclaimer, Scheduler, Seeder and Heartbeat run beside it. No
 * user code runs here (unless `threads: 0` asks for it), so nothing a task does can stall a lease.
 */
import { randomBytes } from 'node:crypto';
import type { ThreadConfig } from '../channel/protocol.js';
import { StopReason } from '../channel/slots.js';
import { monotonicMs } from '../core/clock.js';
import { aborted, pause, type Service } from '../core/service.js';
import type { TaskCounters } from '../observe/task-counters.js';
import { ensureGroups } from '../redis/delivery-store.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { leave, type WorkerReport } from '../redis/fleet-store.js';
import { countRemaining } from '../redis/schedule-store.js';
import { survey } from '../redis/snapshot-store.js';
import { describePolicies } from '../tasks/describe.js';
import type { Connections } from './connections.js';
import { type Delivery, keyOf } from './delivery.js';
import { DeadlineEnforcer } from './dispatch/deadline-enforcer.js';
import { Dispatcher, type DispatcherEvents } from './dispatch/dispatcher.js';
import type { Lane } from './dispatch/lane.js';
import { ThreadSupervisor } from './dispatch/thread-supervisor.js';
import { Heartbeat } from './fleet/heartbeat.js';
import { Leases } from './fleet/leases.js';
import { Reclaimer } from './fleet/reclaimer.js';
import { Scheduler } from './fleet/scheduler.js';
import { Seeder } from './fleet/seeder.js';
import { ServerClock } from './fleet/server-clock.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { CancelListener } from './intake/cancel-listener.js';
import { Catalog } from './intake/catalog.js';
import { Intake } from './intake/intake.js';
import { Rerouter } from './intake/rerouter.js';
import { StrikeGuard } from './intake/strike-guard.js';
import { isRead, type WorkerLogger, type WorkerSettings } from './options.js';
import { ProgressWriter } from './settle/progress-writer.js';
import { Settler } from './settle/settler.js';
import { startLocalThread } from './threads/local-thread.js';
import { startPiscinaThread } from './threads/piscina-thread.js';
import type { Thread, ThreadEvents } from './threads/thread.js';
import { AttemptRecorder } from './watch/attempt-recorder.js';
import { SummaryLogger } from './watch/summary-logger.js';

/** How often it is asked whether anything is left, at first and at most. */
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 500;
/** What the end of a drain has for its last commands, however late it is. */
const LAST_WORDS_MS = 500;
/** How much longer than it may block a read may take before the worker is no longer listed. */
const READ_MARGIN_MS = 1_000;

export class Coordinator {
  readonly #docket: DocketSettings;
  readonly #settings: WorkerSettings;
  readonly #connections: Connections;
  readonly #logger: WorkerLogger;
  /** Names of workers may repeat, consumers must not. */
  readonly #consumer: string;
  readonly #settler: Settler;
  readonly #dispatcher: Dispatcher;
  readonly #intake: Intake;
  readonly #canceller: CancelListener;
  readonly #strikes: StrikeGuard;
  readonly #reroutes: Rerouter;
  readonly #progress: ProgressWriter;
  readonly #crew: ThreadSupervisor;
  /** Bring in work; stop first. */
  readonly #suppliers: readonly Service[];
  /** Keep what is here; stop last. */
  readonly #keepers: readonly Service[];
  readonly #allowance: AttemptBudget;
  readonly #tally: TaskCounters | null;
  readonly #meter: AttemptRecorder | null;
  readonly #heartbeat: Heartbeat;
  #isReady = false;
  #catalog = new Catalog({ tasks: [], fallback: null });
  #isDraining = false;

  /** `onBroken` is called when threads cannot be started any more; `tally` counts, unless nobody asks. */
  constructor(
    docket: DocketSettings,
    settings: WorkerSettings,
    connections: Connections,
    logger: WorkerLogger,
    onBroken: (error: Error) => void,
    allowance: AttemptBudget,
    tally: TaskCounters | null,
  ) {
    this.#docket = docket;
    this.#settings = settings;
    this.#connections = connections;
    this.#logger = logger;
    this.#allowance = allowance;
    this.#tally = tally;
    this.#consumer = `${settings.name}:${randomBytes(4).toString('hex')}`;

    const { keys, heartbeatIntervalMs, missedHeartbeats, executionTtlMs } = docket;
    const { leaseMs, maxDeliveries, longestReadMs, schedulingResolutionMs, threads, concurrency } = settings;
    const { abortGraceMs, drainTimeoutMs } = settings;
    const { commands, blocking, subscriber } = connections;
    const consumer = this.#consumer;
    const clock = new ServerClock();
    const common = { redis: commands, keys, consumer, leaseMs, clock, logger, held: () => this.#held() };

    this.#canceller = new CancelListener({
      ...common,
      subscriber,
      cancel: (isMeant) => this.#dispatcher.cancel(isMeant),
      withdrawUnstarted: (isMeant) => this.#dispatcher.withdrawUnstarted(isMeant),
      settle: (delivery) => this.#settler.settle(delivery, { kind: 'cancelled' }),
    });
    this.#settler = new Settler({
      ...common,
      maxDeliveries,
      tally,
      isCancelled: (delivery) => this.#canceller.isCancelled(delivery),
      takeProgress: (delivery) => this.#progress.take(delivery),
      onEnded: (delivery) => this.#canceller.executionEnded(delivery),
    });
    this.#strikes = new StrikeGuard({
      ...common,
      subscriber,
      dispatched: () => this.#dispatcher.deliveries(),
      withdrawUnstarted: (isMeant) => this.#dispatcher.withdrawUnstarted(isMeant),
      dropStruck: (delivery, why) => this.#settler.dropStruck(delivery, why),
    });
    this.#reroutes = new Rerouter({
      ...common,
      reroute: (delivery, delayMs) => this.#settler.reroute(delivery, delayMs),
    });
    const events: DispatcherEvents = {
      onOutcome: (delivery, outcome) => this.#settler.settle(delivery, outcome),
      onThreadLost: (delivery, wasAlone) => this.#lostThread(delivery, wasAlone),
      onThreadEndedFor: (delivery, reason) => this.#ended(delivery, reason),
      onSuspectMustWait: (delivery) => {
        allowance.refund(keyOf(delivery));
        this.#settler.requeueSuspect(delivery);
      },
      onRequeue: (deliveries) => {
        for (const delivery of deliveries) allowance.refund(keyOf(delivery));
        this.#settler.requeue(deliveries);
      },
      onCapacity: () => this.#intake.wake(),
      onThreadSpent: (thread) => this.#crew.retire(thread, abortGraceMs),
      onProgressMessage: (shipment, message) => this.#progress.hear(shipment, message),
      onLeavingRow: (shipment) => {
        this.#progress.read(shipment);
        this.#meter?.left(shipment);
      },
    };
    this.#dispatcher = new Dispatcher(threads, concurrency, events, settings.maxTasksPerThread);
    const { lanes, slots } = this.#dispatcher;
    this.#meter = tally && new AttemptRecorder(tally, slots, lanes, clock);
    this.#progress = new ProgressWriter({ redis: commands, keys, lanes, slots, logger });
    this.#intake = new Intake({
      ...common,
      blocking,
      commands,
      workerName: settings.name,
      longestReadMs,
      catalog: () => this.#catalog,
      room: () => this.#dispatcher.room,
      held: () => this.#dispatcher.size,
      take: (deliveries) => this.#take(deliveries),
      withholds: (delivery) => this.#strikes.withholds(delivery),
      refuse: (delivery) => void this.#reroutes.add(delivery),
      allowance,
      leave: (delivery) => this.#settler.requeueSpentKey(delivery),
      drop: (delivery, why) => this.#settler.drop(delivery, why),
    });
    this.#crew = new ThreadSupervisor({
      dispatcher: this.#dispatcher,
      logger,
      start: (lane, signal) => this.#startThread(lane, signal),
      onBroken,
    });
    this.#suppliers = [
      this.#intake,
      new Reclaimer(common),
      new Scheduler({ ...common, subscriber, resolutionMs: schedulingResolutionMs }),
      ...(settings.schedulesAutomaticTasks
        ? [new Seeder({ ...common, executionTtlMs, tasks: () => this.#catalog.tasks })]
        : []),
    ];
    this.#heartbeat = new Heartbeat({
      ...common,
      intervalMs: heartbeatIntervalMs,
      missed: missedHeartbeats,
      report: () => this.#report(),
    });
    this.#keepers = [
      new Leases({ ...common, onLost: (tokens) => this.#dispatcher.loseLeases(tokens) }),
      new DeadlineEnforcer({
        lanes,
        slots,
        abortGraceMs,
        drainTimeoutMs,
        logger,
        redispatch: (lane) => this.#dispatcher.redispatch(lane),
        reopen: (lane) => this.#dispatcher.reopen(lane),
        renew: (lane) => this.#dispatcher.renew(lane),
      }),
      this.#progress,
      this.#canceller,
      this.#strikes,
      ...(tally && this.#meter && isRead(logger, 'info') ? [new SummaryLogger(tally, this.#meter, logger)] : []),
      this.#heartbeat,
    ];
  }

  /**
   * Starts the threads and learns what is struck, then starts everything else.
   * @throws the error of a task module that fails to load
   */
  async start(signal: AbortSignal): Promise<void> {
    const { name, threads, concurrency } = this.#settings;
    this.#strikes.start();
    const starting = Promise.all([
      this.#crew.start(),
      ensureGroups(this.#connections.commands, this.#docket.keys),
      this.#strikes.loaded,
    ]);
    starting.catch(() => undefined); // when told to stop nobody waits for it any more
    const started = await Promise.race([starting, aborted(signal)]);
    if (!started) return;
    const [manifest] = started;
    this.#catalog = new Catalog(manifest);
    this.#tally?.addTasks(manifest.tasks.map((task) => task.name));
    // The canceller before the intake: what was cancelled before must not start. The heartbeat last: it says whether this
    // worker reads.
    const [heartbeat, ...keepers] = [...this.#keepers].reverse();
    for (const service of keepers) service.start();
    await Promise.race([this.#canceller.ready, aborted(signal)]);
    if (signal.aborted) return;
    for (const service of this.#suppliers) service.start();
    heartbeat!.start();
    const tasks = this.#catalog.tasks.map((task) => task.name);
    this.#logger.info({ docket: this.#docket.name, threads, concurrency, tasks }, `worker ${name} is ready`);
    for (const task of this.#catalog.tasks) {
      this.#logger.info({ task: task.name }, `task ${task.name}: ${describePolicies(task.policies)}`);
    }
    if (manifest.fallback) {
      this.#logger.info({}, `fallback, for tasks of other names: ${describePolicies(manifest.fallback)}`);
    }
    this.#isReady = true;
  }

  /** Why no work is taken at the moment, for who asks whether it is; `null` when it is. */
  notReadyBecause(): string | null {
    if (this.#isDraining) return 'the worker is stopping';
    if (!this.#isReady) return 'the worker is starting';
    const { heartbeatIntervalMs } = this.#docket;
    if (this.#crew.threadlessMs > 2 * heartbeatIntervalMs) return 'no thread can run tasks';
    // Asked too, because a worker whose threads have enough does not read.
    const silentMs = monotonicMs() - this.#heartbeat.answeredMs;
    if (this.#heartbeat.answeredMs > 0 && silentMs > 2 * heartbeatIntervalMs) {
      return `Redis has answered no heartbeat for ${(silentMs / 1_000).toFixed(1)} s`;
    }
    if (this.#canClaim()) return null;
    const idleMs = monotonicMs() - this.#intake.lastPollMs;
    return `Redis has answered no read and no claim for ${(idleMs / 1_000).toFixed(1)} s`;
  }

  /** Attempts on the threads, by the label of their task. */
  onThreads(): Map<string, { begun: number; running: number }> {
    return this.#meter?.onThreads() ?? new Map();
  }

  /** Threads that can run tasks. */
  get threads(): number {
    return this.#dispatcher.lanes.filter((lane) => lane.thread !== null).length;
  }

  /** How many strikes are in effect. */
  get strikes(): number {
    return this.#strikes.size;
  }

  /** Counts what waits in the whole docket. */
  async depths(): Promise<{ readonly queued: number; readonly scheduled: number }> {
    return await survey(this.#connections.commands, this.#docket.keys, 0);
  }

  /**
   * Resolves when nothing is left in the whole docket, on any worker, but what this one may run no more; looks twice, since
   * an answer is a moment's.
   */
  async nothingLeft(signal: AbortSignal): Promise<void> {
    let quiet = 0;
    let lookAgainMs = FIRST_LOOK_MS;
    while (quiet < 2 && !signal.aborted) {
      await pause(lookAgainMs, signal);
      lookAgainMs = Math.min(2 * lookAgainMs, LAST_LOOK_MS);
      const isBusy = this.#dispatcher.size > 0 || !this.#settler.isIdle;
      const left = isBusy
        ? null
        : await countRemaining(this.#connections.commands, this.#docket.keys, this.#allowance.spent).catch(() => null);
      quiet = left && left.queued + left.scheduled === 0 ? quiet + 1 : 0;
    }
  }

  /**
   * Takes in nothing more, hands back what has not started, waits for what runs, tells what is left to stop, ends the
   * threads, and hands back what they still ran: uncharged, since it is not to blame. Leases and heartbeats go on to the
   * end; the drain as a whole takes `drainTimeout` at most.
   */
  async drain(): Promise<void> {
    const { drainTimeoutMs, abortGraceMs } = this.#settings;
    const deadlineMs = monotonicMs() + drainTimeoutMs;
    this.#isDraining = true;
    if (this.#isReady) {
      const fields = { held: this.#dispatcher.size, drainTimeoutMs };
      this.#logger.info(fields, `worker ${this.#settings.name} stops: it takes no more, and ends what runs`);
    }
    // Commands wait for a Redis that is away; the drain does not, and what it leaves behind is redelivered.
    await within(Promise.all(this.#suppliers.map((service) => service.stop())), deadlineMs - abortGraceMs);
    this.#settler.requeue(this.#dispatcher.close());
    await this.#dispatcher.waitUntilEmpty(deadlineMs - abortGraceMs - monotonicMs());
    if (this.#dispatcher.size > 0) {
      this.#logger.warn(
        { running: this.#dispatcher.size },
        'the drain timeout is near: what still runs is told to stop',
      );
      this.#dispatcher.interruptAll();
      await this.#dispatcher.waitUntilEmpty(deadlineMs - monotonicMs());
    }
    await this.#crew.stop(Math.max(0, Math.min(abortGraceMs, deadlineMs - monotonicMs())));
    this.#settler.requeue(this.#dispatcher.revokeUnstarted()); // shipped to a thread that was ended before it got there
    await within(this.#signOff(), Math.max(deadlineMs, monotonicMs() + LAST_WORDS_MS));
    if (this.#isReady) this.#logger.info({}, `worker ${this.#settings.name} has stopped`);
  }

  async #signOff(): Promise<void> {
    await this.#reroutes.idle();
    await this.#settler.idle();
    await Promise.all(this.#keepers.map((service) => service.stop()));
    await leave(this.#connections.commands, this.#docket.keys, this.#consumer).catch((error) =>
      this.#logger.warn(
        { error: String(error) },
        'could not sign off: the worker is listed until its heartbeat expires',
      ),
    );
  }

  *#held(): Iterable<Delivery> {
    yield* this.#intake.claiming;
    yield* this.#reroutes.deliveries;
    yield* this.#dispatcher.deliveries();
    yield* this.#settler.deliveries();
  }

  #take(deliveries: readonly Delivery[]): void {
    const mayRun = (delivery: Delivery): boolean => {
      if (delivery.deliveries > 0 && this.#tally) this.#tally.of(delivery.envelope.task).redelivered += 1;
      if (delivery.charges >= this.#settings.maxDeliveries) this.#settler.poison(delivery);
      else if (this.#canceller.mayNotStart(delivery)) this.#settler.settle(delivery, { kind: 'cancelled' });
      else return !this.#strikes.withholds(delivery); // struck since it was read
      return false;
    };
    this.#dispatcher.add(deliveries.filter(mayRun));
  }

  /** Its thread was ended because of it. */
  #ended(delivery: Delivery, reason: 'timeout' | StopReason): void {
    if (reason === 'timeout') this.#settler.timedOut(delivery);
    else if (reason === StopReason.cancelled) this.#settler.settle(delivery, { kind: 'cancelled' });
    else this.#settler.settle(delivery, { kind: 'interrupted' });
  }

  #lostThread(delivery: Delivery, wasAlone: boolean): void {
    if (!this.#isDraining) return this.#settler.threadLost(delivery, wasAlone);
    const { task, attempt } = delivery.envelope;
    const fields = { task, key: keyOf(delivery), attempt };
    this.#logger.warn(fields, `${task} did not end in time: its thread was ended, and it goes back uncharged`);
    this.#settler.requeue([delivery]);
  }

  /** Whether the intake reads, or has all it can run: else something holds it up, or it was stopped. */
  #canClaim(): boolean {
    const { heartbeatIntervalMs } = this.#docket;
    const patienceMs = Math.max(2 * heartbeatIntervalMs, this.#settings.longestReadMs + READ_MARGIN_MS);
    return this.#intake.isTaking(patienceMs);
  }

  #report(): WorkerReport {
    const { name, threads, concurrency, leaseMs } = this.#settings;
    const tasks = this.#catalog.tasks.map((task) => task.name);
    return { name, threads, concurrency, leaseMs, tasks, running: this.#dispatcher.size, canClaim: this.#canClaim() };
  }

  #startThread(lane: Lane, signal: AbortSignal): Promise<Thread> {
    const { tasks, fallback, threads, name } = this.#settings;
    const { name: docket, url, executionTtlMs, maxPayloadBytes, durability } = this.#docket;
    const config: ThreadConfig = {
      slots: this.#dispatcher.slots.buffer,
      attention: new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT),
      tasks: tasks.kind === 'modules' ? tasks.references : [],
      fallback: typeof fallback === 'string' ? fallback : null,
      logsAttempts: isRead(this.#logger, 'debug'),
      countsPlacements: this.#settings.metricsPort !== null,
      concurrency: lane.concurrency,
      workerName: name,
      docket: { name: docket, url, executionTtlMs, maxPayloadBytes, durability },
    };
    const events: ThreadEvents = {
      onOutcomes: (batch) => this.#dispatcher.receive(batch),
      onProgress: (message) => this.#dispatcher.receiveProgress(message),
      onPlacements: (placements) => {
        for (const [what, task, count] of placements) if (this.#tally) this.#tally.of(task)[what] += count;
      },
      onLog: ({ level, fields, message }) => this.#logger[level](fields, message),
    };
    return threads > 0
      ? startPiscinaThread(config, events, signal, this.#settings.maxThreadMemoryMb)
      : startLocalThread(config, tasks, fallback, events, signal);
  }
}

/** Waits for `work` until the deadline. */
async function within(work: Promise<unknown>, deadlineMs: number): Promise<void> {
  const settled = new AbortController();
  await Promise.race([work, pause(Math.max(0, deadlineMs - monotonicMs()), settled.signal)]);
  settled.abort();
}
