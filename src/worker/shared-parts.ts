/**
 * Holds the parts that the partitions of a worker share: the dispatcher with its threads, the budgets, the tasks that
 * the threads can run, and the parts that count and log.
 *
 * Owns the rule that a delivery which comes back from the dispatcher goes to the pipeline that it came from. It holds by
 * construction: the delivery names its pipeline.
 */
import type { Outcome } from '../channel/protocol.js';
import type { TaskCounters } from '../observe/task-counters.js';
import type { Manifest } from '../tasks/manifest.js';
import { type Delivery, logDelivery } from './delivery.js';
import { Dispatcher, type DispatcherEvents } from './dispatch/dispatcher.js';
import type { Lane } from './dispatch/lane.js';
import { FloodLog } from './flood-log.js';
import type { AttemptBudget } from './intake/attempt-budget.js';
import { ByteBudget } from './intake/byte-budget.js';
import { Catalog } from './intake/catalog.js';
import { RoomShares } from './intake/room-shares.js';
import type { WorkerLogger, WorkerSettings } from './options.js';
import { FailureNotifier } from './settle/failure-notifier.js';
import { ProgressWriter } from './settle/progress-writer.js';
import type { Thread } from './threads/thread.js';
import { AttemptRecorder } from './watch/attempt-recorder.js';

export interface SharedPartsOptions {
  readonly settings: WorkerSettings;
  readonly attemptBudget: AttemptBudget;
  readonly logger: WorkerLogger;
  /** `null` when nothing reads the counts. */
  readonly counters: TaskCounters | null;
  /** Ends a thread that has run as many executions as it may. */
  retireThread(thread: Thread): void;
  /** Starts a thread on the lane of the suspect. */
  startSuspectThread(lane: Lane): void;
}

/** A pipeline, as the shared parts see it. */
interface Member {
  readonly intake: { wake(): void };
  /** Takes over the tasks that the threads can run. */
  open(catalog: Catalog): void;
  /** Accepts nothing more. */
  close(): void;
  /** Takes back from the dispatcher what must not start. */
  takeBack(): void;
  /** Counts the bytes in hand beside those of the dispatcher. */
  countBytes(): number;
}

export class SharedParts {
  readonly attemptBudget: AttemptBudget;
  readonly byteBudget = new ByteBudget(() => this.#countBytes());
  readonly dispatcher: Dispatcher;
  readonly roomShares: RoomShares;
  readonly floodLog: FloodLog;
  readonly failureNotifier: FailureNotifier;
  readonly progressWriter: ProgressWriter;
  readonly attemptRecorder: AttemptRecorder | null;
  readonly #options: SharedPartsOptions;
  readonly #members = new Set<Member>();
  #catalog = new Catalog({ tasks: [], fallback: null });

  constructor(options: SharedPartsOptions) {
    const { settings, attemptBudget, logger, counters } = options;
    const { threads, concurrency, maxTasksPerThread } = settings;
    this.#options = options;
    this.attemptBudget = attemptBudget;
    this.dispatcher = new Dispatcher(threads, concurrency, this.#dispatcherEvents(), maxTasksPerThread);
    const { dispatcher } = this;
    this.roomShares = new RoomShares(dispatcher, concurrency);
    const { allLanes: lanes, slots } = dispatcher;
    this.floodLog = new FloodLog(logger);
    this.failureNotifier = new FailureNotifier({ lanes: dispatcher.lanes, logger, floodLog: this.floodLog });
    this.attemptRecorder = counters && new AttemptRecorder(counters, slots, lanes);
    const anyShipped = (signal: AbortSignal) => dispatcher.anyShipped(signal);
    this.progressWriter = new ProgressWriter({ logger, lanes, slots, anyShipped });
  }

  /** The tasks that the threads can run. */
  get catalog(): Catalog {
    return this.#catalog;
  }

  /** Adds a pipeline, which learns of changes from now on. */
  join(member: Member): void {
    this.#members.add(member);
  }

  /** Removes a pipeline, which must have no deliveries. */
  leave(member: Member): void {
    this.#members.delete(member);
  }

  /** Takes over the tasks that the threads can run: before anything is read, and whenever they change. */
  open(manifest: Manifest): void {
    this.#catalog = new Catalog(manifest);
    this.failureNotifier.isNeeded = manifest.hasOnFailed === true;
    for (const member of this.#members) member.open(this.#catalog);
  }

  /** Closes all pipelines, because the worker drains: they accept nothing more. */
  close(): void {
    for (const member of this.#members) member.close();
  }

  /** Wakes all intakes, since there may be room. */
  wakeIntakes(): void {
    for (const { intake } of this.#members) intake.wake();
  }

  /** Counts the bytes in hand: the messages that are not settled, and the outcomes that wait to be written. */
  #countBytes(): number {
    let bytes = 0;
    for (const { envelope } of this.dispatcher.deliveries()) bytes += envelope.bytes.length;
    for (const member of this.#members) bytes += member.countBytes();
    return bytes;
  }

  /** Returns the handlers of the dispatcher's events. They pass deliveries back to their pipelines. */
  #dispatcherEvents(): DispatcherEvents {
    return {
      onOutcome: (delivery, outcome) => {
        this.byteBudget.addOutcome(bytesOfOutcome(outcome));
        delivery.pipeline.settleOutcome(delivery, outcome);
      },
      onThreadLost: (delivery, wasAlone, death) => delivery.pipeline.settleThreadLost(delivery, wasAlone, death),
      onThreadEndedFor: (delivery, reason) => delivery.pipeline.settleThreadEnded(delivery, reason),
      onSuspectShipped: (delivery) => {
        const { deliveries, charges } = delivery;
        const message = `was delivered ${deliveries} times without an outcome: it runs on a thread of its own`;
        logDelivery(this.#options.logger, 'warn', delivery, message, { deliveries, charges });
      },
      onSuspectMustWait: (delivery) => delivery.pipeline.requeueSuspect(delivery),
      onLostThreadRelieved: () => {
        for (const member of this.#members) member.takeBack();
      },
      onSuspectNotAlone: (delivery) => delivery.pipeline.rerouteSuspect(delivery),
      markAlone: (delivery) => delivery.pipeline.markAlone(delivery, true),
      unmarkAlone: (delivery) => delivery.pipeline.markAlone(delivery, false),
      onThreadOccupied: ({ index }, occupiedMs) => {
        const text = `a worker thread is ended: for ${Math.round(occupiedMs / 1_000)} s, its event loop was held by code that is no execution, such as onFailed or a timer that one left behind`;
        this.#options.logger.error({ lane: index }, text);
      },
      onThreadNeeded: (lane) => this.#options.startSuspectThread(lane),
      onRequeue: (deliveries) => requeueUnstarted(deliveries),
      onCapacity: () => this.wakeIntakes(),
      onThreadSpent: (thread) => this.#options.retireThread(thread),
      onProgressMessage: (shipment, message) => this.progressWriter.setMessage(shipment, message),
      onLeavingRow: (shipment) => {
        this.progressWriter.readFinal(shipment);
        this.attemptRecorder?.record(shipment);
      },
    };
  }
}

/** Requeues deliveries that have not started, each to the partition that it came from. */
export function requeueUnstarted(deliveries: readonly Delivery[]): void {
  for (const delivery of deliveries) delivery.pipeline.requeueUnstarted([delivery]);
}

/** Returns the bytes that an outcome adds to the message of its delivery. */
function bytesOfOutcome(outcome: Outcome): number {
  if (outcome.kind === 'completed') return (outcome.result?.length ?? 0) + (outcome.next?.args?.length ?? 0);
  if (outcome.kind === 'failed') return outcome.error.length + (outcome.next?.args?.length ?? 0);
  return 0; // it has no result
}
