/**
 * The route of an execution through this worker, step by step:
 *
 *                      ┌─ lean ────────────────────────┐
 *   read ──> classify ─┼─ recorded ─> claim (Claimer) ─┼─> may it run? ──> dispatch ──> outcome ──> settle
 *  (Intake)            ├─ limited ──> admit (Claimer) ─┘        │        (Dispatcher)             (Settler)
 *                      │                                        │                                    ^
 *                      └─ it must not run, or not here ─────────┴────────────────────────────────────┘
 *
 * In the code: `#accept` classifies the entries that were read, `#start` decides which deliveries may run, and
 * `#dispatcherEvents` handles the outcomes. Owns two rules:
 *
 * - Pure functions (`classify`, `startVerdictOf`) decide whether something runs. Only the pipeline acts on that.
 * - Between its read and the confirmation of its settlement, a delivery always belongs to one part, because each part
 *   passes it on within one turn of the event loop. `held` lists all deliveries and the entries that the intake still
 *   keeps, so each of them keeps its lease.
 *
 * Everything that was read passes `#accept`, which is the only place where claims begin. Once the pipeline is closed,
 * `#accept` requeues what it gets. So nothing is claimed after the drain has begun, however late a read ends.
 */
import type { Outcome } from '../channel/protocol.js';
import { StopReason } from '../channel/slots.js';
import { assertNever } from '../core/assert.js';
import { jittered } from '../core/service.js';
import { markAlone, quarantine, type Token } from '../redis/delivery-store.js';
import type { Entry } from '../redis/entry.js';
import type { Manifest } from '../tasks/manifest.js';
import type { WorkerContext } from './context.js';
import { type Delivery, deliveryOf, logDelivery } from './delivery.js';
import { Dispatcher, type DispatcherEvents } from './dispatch/dispatcher.js';
import type { Lane } from './dispatch/lane.js';
import { soloDelayMs } from './dispatch/sole-suspect.js';
import { FloodLog } from './flood-log.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { ByteBudget, bytesOf } from './intake/byte-budget.js';
import { CancelListener } from './intake/cancel-listener.js';
import { Catalog } from './intake/catalog.js';
import { Claimer } from './intake/claimer.js';
import { type Criteria, classify, type Limited } from './intake/classify.js';
import { Intake } from './intake/intake.js';
import { LateStarts } from './intake/late-starts.js';
import { Lookout } from './intake/lookout.js';
import { PauseGuard } from './intake/pause-guard.js';
import { ReadClaims } from './intake/read-claims.js';
import { Rerouter } from './intake/rerouter.js';
import { type StartCriteria, startVerdictOf } from './intake/start-verdict.js';
import { StrikeGuard } from './intake/strike-guard.js';
import type { WorkerSettings } from './options.js';
import { FailureNotifier } from './settle/failure-notifier.js';
import { ProgressWriter } from './settle/progress-writer.js';
import { type DroppingLimit, Settler } from './settle/settler.js';
import type { Thread, ThreadDeath } from './threads/thread.js';
import { AttemptRecorder } from './watch/attempt-recorder.js';

/** How long a suspect is requeued for when it cannot run in this worker soon, spread by a fifth either way. */
const SUSPECT_DELAY_MS = 1_000;
/** How long an execution is requeued for when `runAtMost` lets this worker run its key no more. */
const OVER_BUDGET_DELAY_MS = 1_000;

export interface PipelineOptions {
  readonly settings: WorkerSettings;
  readonly attemptBudget: AttemptBudget;
  /** Ends a thread that has run as many executions as it may. */
  retireThread(thread: Thread): void;
  /** Starts a thread on the lane of the suspect. */
  startSuspectThread(lane: Lane): void;
}

/** Entries of one read that go on to the claim or, if they are ours already, to the dispatcher. */
interface Accepted {
  readonly owned: Delivery[];
  readonly recorded: Delivery[];
  readonly limited: Limited[];
}

export class Pipeline {
  readonly intake: Intake;
  readonly strikeGuard: StrikeGuard;
  readonly pauseGuard: PauseGuard;
  readonly cancelListener: CancelListener;
  readonly attemptBudget: AttemptBudget;
  readonly rerouter: Rerouter;
  readonly claimer: Claimer;
  readonly dispatcher: Dispatcher;
  readonly attemptRecorder: AttemptRecorder | null;
  readonly progressWriter: ProgressWriter;
  readonly settler: Settler;
  readonly failureNotifier: FailureNotifier;
  readonly #lateStarts: LateStarts;
  readonly #readClaims: ReadClaims;
  readonly #context: WorkerContext;
  readonly #options: PipelineOptions;
  readonly #startCriteria: StartCriteria;
  readonly #byteBudget = new ByteBudget(() => this.#countBytes());
  #catalog = new Catalog({ tasks: [], fallback: null });
  #isClosed = false;
  #criteria: Criteria;

  constructor(context: WorkerContext, options: PipelineOptions) {
    const { threads, concurrency, maxTasksPerThread, maxDeliveries, keepsArguments, failureBounds, longestReadMs } =
      options.settings;
    this.#context = context;
    this.#options = options;
    this.attemptBudget = options.attemptBudget;
    this.dispatcher = new Dispatcher(threads, concurrency, this.#dispatcherEvents(), maxTasksPerThread);
    const { dispatcher } = this;
    const { allLanes: lanes, slots } = dispatcher;
    const { counters, clock } = context;
    this.attemptRecorder = counters && new AttemptRecorder(counters, slots, lanes, clock);
    const anyShipped = (signal: AbortSignal) => dispatcher.anyShipped(signal);
    this.progressWriter = new ProgressWriter({ ...context, lanes, slots, anyShipped });
    const floodLog = new FloodLog(context.logger);
    this.failureNotifier = new FailureNotifier({ lanes: dispatcher.lanes, logger: context.logger, floodLog });
    this.settler = new Settler({
      ...context,
      floodLog,
      failureNotifier: this.failureNotifier,
      maxDeliveries,
      keepsArguments,
      failureBounds,
      isCancelled: (delivery) => this.cancelListener.isCancelled(delivery),
      takeProgress: (delivery) => this.progressWriter.takeUnwritten(delivery),
      onUnrecordedEnd: (delivery) => this.cancelListener.forget(delivery),
      onWritten: () => this.intake.wake(),
    });
    this.rerouter = new Rerouter({
      ...context,
      floodLog,
      reroute: (delivery, how) => this.settler.reroute(delivery, how),
    });
    this.cancelListener = new CancelListener({
      ...context,
      held: () => this.held(),
      dispatcher,
      settle: (delivery) => this.settler.settle(delivery, { kind: 'cancelled' }),
    });
    this.strikeGuard = new StrikeGuard({
      ...context,
      dispatcher,
      onWithdrawn: (delivery, reason) => this.settler.drop(delivery, { kind: 'struck', reason }),
    });
    this.pauseGuard = new PauseGuard({
      ...context,
      dispatcher,
      onTakenBack: (deliveries) => this.#giveBackClaimed(deliveries),
      onDocketResumed: () => this.intake.resume(),
    });
    this.claimer = new Claimer({
      ...context,
      take: (deliveries) => this.#start(deliveries),
      drop: (delivery, limit) => this.#dropByLimit(delivery, limit),
      onNotClaimed: (delivery) => this.attemptBudget.refund(delivery),
      onRoom: () => this.intake.wake(),
    });
    const { attemptBudget, cancelListener, strikeGuard, pauseGuard } = this;
    this.#readClaims = new ReadClaims({ ...context, strikeGuard, pauseGuard, attemptBudget });
    this.intake = new Intake({
      ...context,
      readClaims: this.#readClaims,
      longestReadMs,
      pauseGuard,
      lookout: new Lookout({ ...context, strikeGuard, pauseGuard, cancelListener }),
      concurrency,
      dispatcher,
      claimer: this.claimer,
      byteBudget: this.#byteBudget,
      accept: (entries, claimed) => this.#accept(entries, claimed),
    });
    this.#lateStarts = new LateStarts({
      dispatcher,
      requeue: (deliveries) => this.requeueUnstarted(deliveries),
    });
    this.#startCriteria = { maxDeliveries, cancelListener, pauseGuard, strikeGuard };
    this.#criteria = { catalog: this.#catalog, pauseGuard, strikeGuard, attemptBudget };
  }

  /** Takes over the tasks that the threads can run: before anything is read, and whenever they change. */
  open(manifest: Manifest): void {
    this.#catalog = new Catalog(manifest);
    this.failureNotifier.isNeeded = manifest.hasOnFailed === true;
    this.#readClaims.forget();
    this.#criteria = { ...this.#criteria, catalog: this.#catalog };
  }

  /** Accepts nothing more, because the worker drains: from now on nothing is claimed. */
  close(): void {
    this.#isClosed = true;
    this.claimer.close();
  }

  /** The tasks that the threads can run. */
  get catalog(): Catalog {
    return this.#catalog;
  }

  /** Everything that this worker has in hand. */
  *held(): Iterable<Pick<Delivery, 'record' | 'token'>> {
    yield* this.intake.unaccepted;
    yield* this.#deliveries();
  }

  *#deliveries(): Iterable<Delivery> {
    yield* this.claimer.claiming;
    yield* this.rerouter.deliveries;
    yield* this.dispatcher.deliveries();
    yield* this.settler.deliveries();
  }

  /** Counts the bytes in hand: the messages that are not settled, and the outcomes that wait to be written. */
  #countBytes(): number {
    let bytes = bytesOf(this.intake.unaccepted) + this.settler.countBytes();
    for (const { envelope } of this.#deliveries()) bytes += envelope.bytes.length;
    return bytes;
  }

  /**
   * After the read: handles each entry by its class. An entry that throws is left to its lease: it costs the others
   * nothing.
   */
  #accept(entries: readonly Entry[], claimed: ReadonlySet<Token>): void {
    if (this.#isClosed) return this.#requeueUnclaimed(entries);
    const accepted: Accepted = { owned: [], recorded: [], limited: [] };
    for (const entry of entries) {
      try {
        this.#acceptOne(entry, accepted, claimed.has(entry.token));
      } catch (error) {
        this.#leaveToLease(entry, error);
      }
    }
    const { owned, recorded, limited } = accepted;
    if (owned.length > 0) this.#start(owned);
    this.claimer.claim(recorded);
    this.claimer.admit(limited);
  }

  /** Counts the attempt of an entry just before its claim. */
  #acceptOne(entry: Entry, { owned, recorded, limited }: Accepted, isClaimed: boolean): void {
    const classified = classify(entry, this.#criteria);
    switch (classified.kind) {
      case 'unreadable':
        return this.#quarantine(entry, classified.reason);
      case 'paused':
        return this.#giveBack(classified.delivery, false);
      case 'unroutable':
        this.rerouter.add(classified.delivery).catch((error) => this.#leaveToLease(entry, error));
        return;
      case 'struck':
      case 'uncountable':
        return this.settler.drop(classified.delivery, classified);
      case 'over-budget':
        return this.#requeueOverBudget(classified.delivery);
      case 'limited':
        this.attemptBudget.take(classified.delivery);
        limited.push(classified);
        return;
      case 'recorded':
        this.attemptBudget.take(classified.delivery);
        this.#readClaims.remember(classified.delivery.envelope.task);
        (isClaimed ? owned : recorded).push(classified.delivery);
        return;
      case 'lean':
        this.attemptBudget.take(classified.delivery);
        owned.push(classified.delivery);
        return;
      default:
        return assertNever(classified);
    }
  }

  /** After the claim, or for lean executions: dispatches those that may run, and settles the others. */
  #start(deliveries: readonly Delivery[]): void {
    const startable: Delivery[] = [];
    for (const delivery of deliveries) {
      try {
        this.#startOne(delivery, startable);
      } catch (error) {
        this.attemptBudget.refund(delivery);
        this.#leaveToLease(delivery, error);
      }
    }
    this.dispatcher.add(startable);
  }

  #startOne(delivery: Delivery, startable: Delivery[]): void {
    const { counters } = this.#context;
    if (delivery.deliveries > 0 && counters) counters.of(delivery.envelope.task).redelivered += 1;
    const verdict = startVerdictOf(delivery, this.#startCriteria);
    switch (verdict.kind) {
      case 'may-run':
        if (delivery.countedBy !== null) this.#lateStarts.watch(delivery);
        startable.push(delivery);
        return;
      case 'poisoned':
        return this.settler.poison(delivery);
      case 'cancelled':
        return this.settler.settle(delivery, { kind: 'cancelled' });
      case 'paused':
        return this.#giveBackClaimed([delivery]);
      case 'struck':
        return this.settler.drop(delivery, verdict);
      default:
        return assertNever(verdict);
    }
  }

  /** After the dispatch: settles or requeues the deliveries that come back from the dispatcher. */
  #dispatcherEvents(): DispatcherEvents {
    return {
      onOutcome: (delivery, outcome) => {
        this.#byteBudget.addOutcome(bytesOfOutcome(outcome));
        if (outcome.kind === 'unknown-task') this.#rerouteRefused(delivery);
        else this.settler.settle(delivery, outcome);
      },
      onThreadLost: (delivery, wasAlone, death) => this.#settleThreadLost(delivery, wasAlone, death),
      onThreadEndedFor: (delivery, reason) => this.#settleThreadEnded(delivery, reason),
      onSuspectShipped: (delivery) => {
        const { deliveries, charges } = delivery;
        const message = `was delivered ${deliveries} times without an outcome: it runs on a thread of its own`;
        logDelivery(this.#context.logger, 'warn', delivery, message, { deliveries, charges });
      },
      onSuspectMustWait: (delivery) => {
        this.attemptBudget.refund(delivery);
        this.settler.requeue(delivery, { delayMs: jittered(SUSPECT_DELAY_MS) });
      },
      onLostThreadRelieved: () => {
        this.cancelListener.takeBack();
        this.strikeGuard.takeBack();
        this.pauseGuard.takeBack();
      },
      onSuspectNotAlone: (delivery) => {
        this.attemptBudget.refund(delivery);
        logDelivery(this.#context.logger, 'info', delivery, 'has to run alone in its process, and waits for a worker');
        this.settler.reroute(delivery, {
          delayMs: jittered(soloDelayMs(delivery)),
          isAdmitted: true,
          isRecallable: false,
        });
      },
      markAlone: (delivery) => this.#markAlone(delivery, true),
      unmarkAlone: (delivery) => this.#markAlone(delivery, false),
      onThreadOccupied: ({ index }, occupiedMs) => {
        const text = `a worker thread is ended: for ${Math.round(occupiedMs / 1_000)} s, its event loop was held by code that is no execution, such as onFailed or a timer that one left behind`;
        this.#context.logger.error({ lane: index }, text);
      },
      onThreadNeeded: (lane) => this.#options.startSuspectThread(lane),
      onRequeue: (deliveries) => this.requeueUnstarted(deliveries),
      onCapacity: () => this.intake.wake(),
      onThreadSpent: (thread) => this.#options.retireThread(thread),
      onProgressMessage: (shipment, message) => this.progressWriter.setMessage(shipment, message),
      onLeavingRow: (shipment) => {
        this.progressWriter.readFinal(shipment);
        this.attemptRecorder?.record(shipment);
      },
    };
  }

  #markAlone({ token }: Delivery, isAlone: boolean): Promise<boolean> {
    const { redis, keys, consumer } = this.#context;
    return markAlone(redis, keys, { consumer, token, isAlone });
  }

  /** Requeues deliveries that have not started. Their attempts do not count. */
  requeueUnstarted(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.attemptBudget.refund(delivery);
      this.settler.requeue(delivery);
    }
  }

  /** Gives back deliveries that are paused, were claimed, and have not started. Their attempts do not count. */
  #giveBackClaimed(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.attemptBudget.refund(delivery);
      this.#giveBack(delivery, true);
    }
  }

  /**
   * Gives back a delivery that is paused. It waits in the line of its task, without permits. While the whole docket is paused,
   * it waits at the head of the streams, since nobody reads them.
   */
  #giveBack(delivery: Delivery, isAdmitted: boolean): void {
    if (this.pauseGuard.isDocketPaused) this.settler.requeue(delivery, { isAdmitted });
    else this.settler.pause(delivery, { isAdmitted });
  }

  /** Requeues entries that were read too late, as they were read. */
  #requeueUnclaimed(entries: readonly Entry[]): void {
    for (const entry of entries) {
      try {
        this.settler.requeue(deliveryOf(entry, this.#catalog.policiesOf), { isAdmitted: false });
      } catch (error) {
        this.#leaveToLease(entry, error);
      }
    }
  }

  /** Its thread was started after a deploy in place and lacks the task. Requeued at once, it would only come back. */
  #rerouteRefused(delivery: Delivery): void {
    this.attemptBudget.refund(delivery);
    void this.rerouter.add(delivery, true);
  }

  #requeueOverBudget(delivery: Delivery): void {
    const { logger } = this.#context;
    logDelivery(logger, 'debug', delivery, 'is left to other workers: this worker has run its key as often as it may');
    this.settler.requeue(delivery, { delayMs: OVER_BUDGET_DELAY_MS, isAdmitted: false });
  }

  /** A thread that ends during the drain was ended by the worker. */
  #settleThreadLost(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null): void {
    if (!this.#isClosed) return this.settler.redeliver(delivery, wasAlone, death);
    const { logger } = this.#context;
    logDelivery(logger, 'warn', delivery, 'did not end in time: its thread was ended, and it is requeued uncharged');
    this.settler.requeue(delivery, { hasStarted: true });
  }

  /** Settles an execution because of which its thread was ended. */
  #settleThreadEnded(delivery: Delivery, reason: 'timeout' | StopReason): void {
    switch (reason) {
      case 'timeout':
        return this.settler.settleTimeout(delivery);
      case StopReason.cancelled:
        return this.settler.settle(delivery, { kind: 'cancelled' });
      case StopReason.interrupted:
        return this.settler.settle(delivery, { kind: 'interrupted' });
      default:
        return assertNever(reason);
    }
  }

  #dropByLimit(delivery: Delivery, limit: DroppingLimit): void {
    try {
      this.settler.drop(delivery, { kind: 'limit', limit });
    } catch (error) {
      this.#leaveToLease(delivery, error);
    }
  }

  /** Gives up an entry whose handling threw: nothing renews its lease, so it is redelivered. */
  #leaveToLease({ token }: Pick<Entry, 'token'>, error: unknown): void {
    const fields = { token, error: String(error) };
    this.#context.logger.error(fields, 'an execution could not be handled: it is redelivered when its lease ends');
  }

  #quarantine(entry: Entry, reason: string): void {
    const { redis, keys, logger } = this.#context;
    const { token, record, message } = entry;
    logger.error({ token, reason }, 'a message that cannot be read is kept as a failure');
    quarantine(redis, keys, { token, record, reason, message: message ?? Buffer.alloc(0) }).catch((error) =>
      logger.error(
        { error: String(error) },
        'a message that cannot be read could not be kept: it is redelivered when its lease ends',
      ),
    );
  }
}

/** Returns the bytes that an outcome adds to the message of its delivery. */
function bytesOfOutcome(outcome: Outcome): number {
  if (outcome.kind === 'completed') return (outcome.result?.length ?? 0) + (outcome.next?.args?.length ?? 0);
  if (outcome.kind === 'failed') return outcome.error.length + (outcome.next?.args?.length ?? 0);
  return 0; // it has no result
}
