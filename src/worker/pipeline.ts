/**
 * The route of an execution of one partition through this worker, step by step:
 *
 *                      ┌─ lean ────────────────────────┐
 *   read ──> classify ─┼─ recorded ─> claim (Claimer) ─┼─> may it run? ──> dispatch ──> outcome ──> settle
 *  (Intake)            ├─ limited ──> admit (Claimer) ─┘        │        (Dispatcher)             (Settler)
 *                      │                                        │                                    ^
 *                      └─ it must not run, or not here ─────────┴────────────────────────────────────┘
 *
 * In the code: `#accept` classifies the entries that were read, `#start` decides which deliveries may run, and the methods of
 * DeliveryPipeline handle what comes back from the dispatcher, which all partitions share. Owns two rules:
 *
 * - Pure functions (`classify`, `startVerdictOf`) decide whether something runs. Only the pipeline acts on that.
 * - Between its read and the confirmation of its settlement, a delivery always belongs to one part, because each part
 *   passes it on within one turn of the event loop. `inHand` lists all deliveries and the entries that the intake still
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
import { type ProgressReport, reportProgress } from '../redis/progress-store.js';
import type { WorkerContext } from './context.js';
import { type Delivery, type DeliveryPipeline, deliveryOf, logDelivery } from './delivery.js';
import { OwnDeliveries } from './dispatch/own-deliveries.js';
import { soloDelayMs } from './dispatch/sole-suspect.js';
import { bytesOf } from './intake/byte-budget.js';
import { CancelListener } from './intake/cancel-listener.js';
import type { Catalog } from './intake/catalog.js';
import { Claimer } from './intake/claimer.js';
import { type Criteria, classify, type Limited } from './intake/classify.js';
import { Intake } from './intake/intake.js';
import { LateStarts } from './intake/late-starts.js';
import { Lookout } from './intake/lookout.js';
import { Mover } from './intake/mover.js';
import { PauseGuard } from './intake/pause-guard.js';
import { ReadClaims } from './intake/read-claims.js';
import { Rerouter } from './intake/rerouter.js';
import { type StartCriteria, startVerdictOf } from './intake/start-verdict.js';
import { StrikeGuard } from './intake/strike-guard.js';
import type { WorkerSettings } from './options.js';
import { type Places, placeOf } from './places.js';
import { type DroppingLimit, Settler } from './settle/settler.js';
import type { SharedParts } from './shared-parts.js';
import type { ThreadDeath } from './threads/thread.js';

/** How long a suspect is requeued for when it cannot run in this worker soon, spread by a fifth either way. */
const SUSPECT_DELAY_MS = 1_000;
/** How long an execution is requeued for when `runAtMost` lets this worker run its key no more. */
const OVER_BUDGET_DELAY_MS = 1_000;

/** Entries of one read that go on to the claim or, if they are ours already, to the dispatcher. */
interface Accepted {
  readonly owned: Delivery[];
  readonly recorded: Delivery[];
  readonly limited: Limited[];
}

export class Pipeline implements DeliveryPipeline {
  readonly intake: Intake;
  readonly strikeGuard: StrikeGuard;
  readonly pauseGuard: PauseGuard;
  readonly cancelListener: CancelListener;
  readonly rerouter: Rerouter;
  readonly mover: Mover;
  readonly claimer: Claimer;
  readonly settler: Settler;
  readonly dispatched: OwnDeliveries;
  readonly #lateStarts: LateStarts;
  readonly #lookout: Lookout;
  readonly #readClaims: ReadClaims;
  readonly #context: WorkerContext;
  readonly #shared: SharedParts;
  readonly #startCriteria: StartCriteria;
  #isClosed = false;
  #criteria: Criteria;

  constructor(context: WorkerContext, shared: SharedParts, settings: WorkerSettings, places: Places) {
    const { maxDeliveries, keepsArguments, failureBounds, longestReadMs } = settings;
    const { attemptBudget, byteBudget, failureNotifier, floodLog, progressWriter } = shared;
    this.#context = context;
    this.#shared = shared;
    const dispatcher = new OwnDeliveries(shared.dispatcher, this);
    this.dispatched = dispatcher;
    this.settler = new Settler({
      ...context,
      floodLog,
      failureNotifier,
      maxDeliveries,
      keepsArguments,
      failureBounds,
      isCancelled: (delivery) => this.cancelListener.isCancelled(delivery),
      takeProgress: (delivery) => progressWriter.takeUnwritten(delivery),
      onUnrecordedEnd: (delivery) => this.cancelListener.forget(delivery),
      onWritten: () => shared.wakeIntakes(),
    });
    this.rerouter = new Rerouter({
      ...context,
      floodLog,
      reroute: (delivery, how) => this.settler.reroute(delivery, how),
    });
    this.mover = new Mover({
      ...context,
      floodLog,
      places,
      requeue: (delivery, delayMs) => this.settler.requeue(delivery, { delayMs, isAdmitted: false }),
      onTaken: (delivery) => this.#endDuplicate(delivery),
      isCancelled: (delivery) => this.cancelListener.isCancelled(delivery),
      onCancelled: (delivery) => this.settler.settle(delivery, { kind: 'cancelled' }),
    });
    this.cancelListener = new CancelListener({
      ...context,
      inHand: () => this.inHand(),
      dispatcher,
      settle: (delivery) => this.settler.settle(delivery, { kind: 'cancelled' }),
    });
    this.strikeGuard = new StrikeGuard({
      ...context,
      dispatcher,
      onTakenBack: (delivery, reason) => this.settler.drop(delivery, { kind: 'struck', reason }),
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
      onNotClaimed: (delivery) => attemptBudget.refund(delivery),
      onRoom: () => shared.wakeIntakes(),
    });
    const { cancelListener, strikeGuard, pauseGuard } = this;
    this.#readClaims = new ReadClaims({ ...context, strikeGuard, pauseGuard, attemptBudget });
    this.#lookout = new Lookout({ ...context, strikeGuard, pauseGuard, cancelListener });
    this.intake = new Intake({
      ...context,
      readClaims: this.#readClaims,
      longestReadMs,
      pauseGuard,
      lookout: this.#lookout,
      dispatcher: shared.dispatcher,
      roomShares: shared.roomShares,
      claimer: this.claimer,
      byteBudget,
      accept: (entries, claimed) => this.#accept(entries, claimed),
    });
    this.#lateStarts = new LateStarts({
      dispatcher,
      requeue: (deliveries) => this.requeueUnstarted(deliveries),
    });
    this.#startCriteria = { maxDeliveries, cancelListener, pauseGuard, strikeGuard };
    const misplacedFor = (delivery: Delivery) => this.#misplacedFor(delivery, places.tags);
    const guards = { pauseGuard, strikeGuard };
    this.#criteria = { ...guards, catalog: shared.catalog, attemptBudget, pipeline: this, misplacedFor };
    shared.join(this);
  }

  /** Takes over the tasks that the threads can run: before anything is read, and whenever they change. */
  open(catalog: Catalog): void {
    this.#readClaims.forget();
    this.#criteria = { ...this.#criteria, catalog };
  }

  /** Accepts nothing more, because the worker drains: from now on nothing is claimed. */
  close(): void {
    this.#isClosed = true;
    this.claimer.close();
  }

  /** Leaves the parts that partitions share. Nothing may be in hand any more. */
  leave(): void {
    this.#shared.leave(this);
    this.#lookout.close();
    this.#context.link.close();
  }

  /** Everything of this partition that the worker has in hand. */
  *inHand(): Iterable<Pick<Delivery, 'record' | 'token'>> {
    yield* this.intake.unaccepted;
    yield* this.dispatched.deliveries();
    yield* this.#undispatched();
  }

  *#undispatched(): Iterable<Delivery> {
    yield* this.claimer.claiming;
    yield* this.rerouter.deliveries;
    yield* this.mover.deliveries;
    yield* this.settler.deliveries();
  }

  /** Counts the bytes in hand beside those of the dispatcher: messages, and outcomes that wait to be written. */
  countBytes(): number {
    let bytes = bytesOf(this.intake.unaccepted) + this.settler.countBytes();
    for (const { envelope } of this.#undispatched()) bytes += envelope.bytes.length;
    return bytes;
  }

  get tag(): string {
    return this.#context.tag;
  }

  get serverAheadMs(): number {
    return this.#context.clock.aheadMs;
  }

  /**
   * After the read: handles each entry by its class. An entry that throws is left to its lease: it costs the others
   * nothing.
   */
  #accept(entries: readonly Entry[], claimed: ReadonlySet<Token>): void {
    if (this.#isClosed) return this.#requeueUnclaimed(entries);
    this.pauseGuard.actOnChanges();
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
      case 'misplaced':
        return this.#move(classified.delivery, classified.tag);
      case 'over-budget':
        return this.#requeueOverBudget(classified.delivery);
      case 'limited':
        this.#shared.attemptBudget.take(classified.delivery);
        limited.push(classified);
        return;
      case 'recorded':
        this.#shared.attemptBudget.take(classified.delivery);
        this.#readClaims.remember(classified.delivery.envelope.task);
        (isClaimed ? owned : recorded).push(classified.delivery);
        return;
      case 'lean':
        this.#shared.attemptBudget.take(classified.delivery);
        owned.push(classified.delivery);
        return;
      default:
        return assertNever(classified);
    }
  }

  /** After the claim, or for lean executions: dispatches those that may run, and settles the others. */
  #start(deliveries: readonly Delivery[]): void {
    this.pauseGuard.actOnChanges();
    const startable: Delivery[] = [];
    for (const delivery of deliveries) {
      try {
        this.#startOne(delivery, startable);
      } catch (error) {
        this.#shared.attemptBudget.refund(delivery);
        this.#leaveToLease(delivery, error);
      }
    }
    this.#shared.dispatcher.add(startable);
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

  /** Takes back from the dispatcher what must not start, as far as the guards know. */
  takeBack(): void {
    this.cancelListener.takeBack();
    this.strikeGuard.takeBack();
    this.pauseGuard.takeBack();
  }

  settleOutcome(delivery: Delivery, outcome: Outcome): void {
    if (outcome.kind === 'unknown-task') this.#rerouteRefused(delivery);
    else this.settler.settle(delivery, outcome);
  }

  requeueSuspect(delivery: Delivery): void {
    this.#shared.attemptBudget.refund(delivery);
    this.settler.requeue(delivery, { delayMs: jittered(SUSPECT_DELAY_MS) });
  }

  rerouteSuspect(delivery: Delivery): void {
    this.#shared.attemptBudget.refund(delivery);
    logDelivery(this.#context.logger, 'info', delivery, 'has to run alone in its process, and waits for a worker');
    this.settler.reroute(delivery, {
      delayMs: jittered(soloDelayMs(delivery)),
      isAdmitted: true,
      isRecallable: false,
    });
  }

  async markAlone({ token }: Delivery, isAlone: boolean): Promise<boolean> {
    const { redis, keys, consumer } = this.#context;
    return await markAlone(redis, keys, { consumer, token, isAlone });
  }

  async writeProgress(reports: readonly ProgressReport[]): Promise<void> {
    const { redis, keys } = this.#context;
    await reportProgress(redis, keys, reports);
  }

  /** Requeues deliveries that have not started. Their attempts do not count. */
  requeueUnstarted(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.#shared.attemptBudget.refund(delivery);
      this.settler.requeue(delivery);
    }
  }

  /** Gives back deliveries that are paused, were claimed, and have not started. Their attempts do not count. */
  #giveBackClaimed(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.#shared.attemptBudget.refund(delivery);
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
        this.settler.requeue(deliveryOf(entry, this.#criteria.catalog.policiesOf, this), { isAdmitted: false });
      } catch (error) {
        this.#leaveToLease(entry, error);
      }
    }
  }

  /** Its thread was started after a deploy in place and lacks the task. Requeued at once, it would only come back. */
  #rerouteRefused(delivery: Delivery): void {
    this.#shared.attemptBudget.refund(delivery);
    void this.rerouter.add(delivery, true);
  }

  /** Returns the tag of the partition where a delivery belongs, if that is another one. */
  #misplacedFor(delivery: Delivery, tags: readonly string[]): string | null {
    if (tags.length === 1 && tags[0] === this.tag) return null;
    const tag = placeOf(delivery, this.#shared.catalog.limitsNameOf(delivery.envelope.task), tags);
    return tag === this.tag ? null : tag;
  }

  #move(delivery: Delivery, tag: string): void {
    if (delivery.record !== null && this.cancelListener.isBarred(delivery))
      this.settler.settle(delivery, { kind: 'cancelled' });
    else this.mover.move(delivery, tag);
  }

  /** Ends an execution whose key was taken where it belongs before it came there: the first one wins. */
  #endDuplicate(delivery: Delivery): void {
    const message = 'is cancelled: another execution has its key in the partition where it belongs';
    logDelivery(this.#context.logger, 'warn', delivery, message);
    this.settler.settle(delivery, { kind: 'cancelled' });
  }

  #requeueOverBudget(delivery: Delivery): void {
    const { logger } = this.#context;
    logDelivery(logger, 'debug', delivery, 'is left to other workers: this worker has run its key as often as it may');
    this.settler.requeue(delivery, { delayMs: OVER_BUDGET_DELAY_MS, isAdmitted: false });
  }

  /** A thread that ends during the drain was ended by the worker. */
  settleThreadLost(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null): void {
    if (!this.#isClosed) return this.settler.redeliver(delivery, wasAlone, death);
    const { logger } = this.#context;
    logDelivery(logger, 'warn', delivery, 'did not end in time: its thread was ended, and it is requeued uncharged');
    this.settler.requeue(delivery, { hasStarted: true });
  }

  /** Settles an execution because of which its thread was ended. */
  settleThreadEnded(delivery: Delivery, reason: 'timeout' | StopReason): void {
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
    const { token, record } = entry;
    logger.error({ token, reason }, 'a message that cannot be read is kept as a failure');
    quarantine(redis, keys, { token, record, reason }).catch((error) =>
      logger.error(
        { error: String(error) },
        'a message that cannot be read could not be kept: it is redelivered when its lease ends',
      ),
    );
  }
}
