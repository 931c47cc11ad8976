/**
 * The route of an execution through this worker. The stages stand below in the order in which it meets them:
 *
 *                      ┌─ lean ────────────────────────┐
 *   read ──> classify ─┼─ recorded ─> claim (Claimer) ─┼─> may it run? ──> dispatch ──> outcome ──> settle
 *  (Intake)            ├─ limited ──> admit (Claimer) ─┘        │        (Dispatcher)             (Settler)
 *                      │                                        │                                    ^
 *                      └─ it must not run, or not here ─────────┴────────────────────────────────────┘
 *
 * In the code: `#accept` classifies what was read, `#start` decides what may run, and `#dispatcherEvents` takes what comes
 * back. Owns two rules:
 *
 * - Pure functions (`classify`, `startVerdictOf`) decide whether something runs. Only the pipeline acts on their answers.
 * - From its read until its settlement is confirmed, a delivery is always in the hands of some part, because each part
 *   hands it to the next within one turn of the event loop. `held` lists them all, so none is left without a lease.
 */
import { StopReason } from '../channel/slots.js';
import { assertNever } from '../core/assert.js';
import { quarantine } from '../redis/delivery-store.js';
import type { Entry } from '../redis/entry.js';
import type { WorkerContext } from './context.js';
import { type Delivery, logDelivery } from './delivery.js';
import { Dispatcher, type DispatcherEvents } from './dispatch/dispatcher.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { CancelListener } from './intake/cancel-listener.js';
import { Catalog } from './intake/catalog.js';
import { Claimer } from './intake/claimer.js';
import { type Criteria, classify, type Limited } from './intake/classify.js';
import { Intake } from './intake/intake.js';
import { Rerouter } from './intake/rerouter.js';
import { type StartCriteria, startVerdictOf } from './intake/start-verdict.js';
import { StrikeGuard } from './intake/strike-guard.js';
import type { WorkerSettings } from './options.js';
import { ProgressWriter } from './settle/progress-writer.js';
import { Settler } from './settle/settler.js';
import type { Thread, ThreadDeath } from './threads/thread.js';
import { AttemptRecorder } from './watch/attempt-recorder.js';

/** How long a suspect waits while another one runs here. */
const SUSPECT_DELAY_MS = 1_000;
/** How long an execution that this worker may run no more waits until it is read again, perhaps by another worker. */
const OVER_BUDGET_DELAY_MS = 1_000;

export interface PipelineOptions {
  readonly settings: WorkerSettings;
  readonly attemptBudget: AttemptBudget;
  /** Whether the worker is draining: a thread that is lost then was ended by the worker. */
  isDraining(): boolean;
  /** Ends a thread that has run as many executions as it may. */
  retireThread(thread: Thread): void;
}

export class Pipeline implements Criteria, StartCriteria {
  readonly intake: Intake;
  readonly strikeGuard: StrikeGuard;
  readonly cancelListener: CancelListener;
  readonly attemptBudget: AttemptBudget;
  readonly maxDeliveries: number;
  readonly rerouter: Rerouter;
  readonly claimer: Claimer;
  readonly dispatcher: Dispatcher;
  readonly attemptRecorder: AttemptRecorder | null;
  readonly progressWriter: ProgressWriter;
  readonly settler: Settler;
  /** What the threads can run; set before anything is read. */
  catalog = new Catalog({ tasks: [], fallback: null });
  readonly #context: WorkerContext;
  readonly #options: PipelineOptions;

  constructor(context: WorkerContext, options: PipelineOptions) {
    const { threads, concurrency, maxTasksPerThread, maxDeliveries, longestReadMs } = options.settings;
    this.#context = context;
    this.#options = options;
    this.maxDeliveries = maxDeliveries;
    this.attemptBudget = options.attemptBudget;
    this.dispatcher = new Dispatcher(threads, concurrency, this.#dispatcherEvents(), maxTasksPerThread);
    const { dispatcher } = this;
    const { lanes, slots } = dispatcher;
    const { counters, clock } = context;
    this.attemptRecorder = counters && new AttemptRecorder(counters, slots, lanes, clock);
    this.progressWriter = new ProgressWriter({ ...context, lanes, slots });
    this.settler = new Settler({
      ...context,
      maxDeliveries,
      isCancelled: (delivery) => this.cancelListener.isCancelled(delivery),
      takeProgress: (delivery) => this.progressWriter.takeUnwritten(delivery),
      onUnrecordedEnd: (delivery) => this.cancelListener.forget(delivery),
    });
    this.rerouter = new Rerouter({
      ...context,
      reroute: (delivery, delayMs, isAdmitted) => this.settler.reroute(delivery, delayMs, isAdmitted),
    });
    this.cancelListener = new CancelListener({
      ...context,
      held: () => this.held(),
      cancel: (matches) => dispatcher.cancel(matches),
      withdrawUnstarted: (matches) => dispatcher.withdrawUnstarted(matches),
      settle: (delivery) => this.settler.settle(delivery, { kind: 'cancelled' }),
    });
    this.strikeGuard = new StrikeGuard({
      ...context,
      dispatched: () => dispatcher.deliveries(),
      withdrawUnstarted: (matches) => dispatcher.withdrawUnstarted(matches),
      onWithdrawn: (delivery, why) => this.settler.drop(delivery, { kind: 'struck', why }),
    });
    this.claimer = new Claimer({
      ...context,
      take: (deliveries) => this.#start(deliveries),
      drop: (delivery, limit) => this.settler.drop(delivery, { kind: 'limit', limit }),
      onNotClaimed: (delivery) => this.attemptBudget.refund(delivery),
      onRoom: () => this.intake.wake(),
    });
    this.intake = new Intake({
      ...context,
      longestReadMs,
      dispatcher,
      claimer: this.claimer,
      accept: (entries) => this.#accept(entries),
    });
  }

  /** Every delivery in the hands of this worker. */
  *held(): Iterable<Delivery> {
    yield* this.claimer.claiming;
    yield* this.rerouter.deliveries;
    yield* this.dispatcher.deliveries();
    yield* this.settler.deliveries();
  }

  /** Read: does with each entry what its class asks for. An attempt is counted here, when only its claim is left. */
  #accept(entries: readonly Entry[]): void {
    const lean: Delivery[] = [];
    const recorded: Delivery[] = [];
    const limited: Limited[] = [];
    for (const entry of entries) {
      const classified = classify(entry, this);
      switch (classified.kind) {
        case 'unreadable':
          this.#quarantine(entry, classified.reason);
          break;
        case 'unroutable':
          void this.rerouter.add(classified.delivery);
          break;
        case 'struck':
        case 'uncountable':
          this.settler.drop(classified.delivery, classified);
          break;
        case 'over-budget':
          this.#requeueOverBudget(classified.delivery);
          break;
        case 'limited':
          this.attemptBudget.take(classified.delivery);
          limited.push(classified);
          break;
        case 'recorded':
          this.attemptBudget.take(classified.delivery);
          recorded.push(classified.delivery);
          break;
        case 'lean':
          this.attemptBudget.take(classified.delivery);
          lean.push(classified.delivery);
          break;
        default:
          assertNever(classified);
      }
    }
    if (lean.length > 0) this.#start(lean);
    this.claimer.claim(recorded);
    this.claimer.admit(limited);
  }

  /** Claimed, or lean: dispatches what may run, and settles the rest. */
  #start(deliveries: readonly Delivery[]): void {
    const { counters } = this.#context;
    const startable: Delivery[] = [];
    for (const delivery of deliveries) {
      if (delivery.deliveries > 0 && counters) counters.of(delivery.envelope.task).redelivered += 1;
      const verdict = startVerdictOf(delivery, this);
      switch (verdict.kind) {
        case 'may-run':
          startable.push(delivery);
          break;
        case 'poisoned':
          this.settler.poison(delivery);
          break;
        case 'cancelled':
          this.settler.settle(delivery, { kind: 'cancelled' });
          break;
        case 'struck':
          this.settler.drop(delivery, verdict);
          break;
        default:
          assertNever(verdict);
      }
    }
    this.dispatcher.add(startable);
  }

  /** Dispatched: settles what comes back from the dispatcher, or requeues it. */
  #dispatcherEvents(): DispatcherEvents {
    return {
      onOutcome: (delivery, outcome) => {
        if (outcome.kind === 'unknown-task') this.#rerouteRefused(delivery);
        else this.settler.settle(delivery, outcome);
      },
      onThreadLost: (delivery, wasAlone, death) => this.#settleThreadLost(delivery, wasAlone, death),
      onThreadEndedFor: (delivery, reason) => this.#settleThreadEnded(delivery, reason),
      onSuspectMustWait: (delivery) => {
        this.attemptBudget.refund(delivery);
        this.settler.requeue(delivery, { delayMs: SUSPECT_DELAY_MS });
      },
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

  /** Gives deliveries that have not started back to Redis. Their attempts do not count. */
  requeueUnstarted(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.attemptBudget.refund(delivery);
      this.settler.requeue(delivery);
    }
  }

  /** Its thread was started after a deploy in place and has no such task any more. At once it would only come back. */
  #rerouteRefused(delivery: Delivery): void {
    this.attemptBudget.refund(delivery);
    void this.rerouter.add(delivery, true);
  }

  #requeueOverBudget(delivery: Delivery): void {
    const { logger } = this.#context;
    logDelivery(logger, 'debug', delivery, 'is left to other workers: it was run here as often as was asked for');
    this.settler.requeue(delivery, { delayMs: OVER_BUDGET_DELAY_MS, isAdmitted: false });
  }

  #settleThreadLost(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null): void {
    if (!this.#options.isDraining()) return this.settler.redeliver(delivery, wasAlone, death);
    const { logger } = this.#context;
    logDelivery(logger, 'warn', delivery, 'did not end in time: its thread was ended, and it goes back uncharged');
    this.settler.requeue(delivery);
  }

  /** Its thread was ended because of it. */
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

  #quarantine(entry: Entry, reason: string): void {
    const { redis, keys, logger } = this.#context;
    const { token, record, message } = entry;
    logger.error({ token, reason }, 'a message that cannot be read was put into quarantine');
    quarantine(redis, keys, { token, record, reason, message: message ?? Buffer.alloc(0) }).catch((error) =>
      logger.error({ error: String(error) }, 'the quarantine failed: the message comes back when its lease ends'),
    );
  }
}
