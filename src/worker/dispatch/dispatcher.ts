/**
 * Moves deliveries to the threads and outcomes back. Owns where a delivery is in this worker: in the queue, or on a lane.
 *
 *   add ──> queue ──fill──> chunk ──ship──> lane (thread) ──outcomes──> onOutcome
 *             ^                               │
 *             └───────── revoked ─────────────┘   shipments that a stuck thread has not begun go to an idle one
 *
 * ChunkPlanner decides which deliveries travel together and where to. Shipments owns the rows, SoleSuspect the suspect,
 * which has a lane of its own. StuckLanes takes back what waits in vain.
 */
import {
  ChunkWriter,
  forEachOutcome,
  type Outcome,
  type OutcomeBatch,
  type ProgressMessage,
} from '../../channel/protocol.js';
import { hasBegun, SlotState, type SlotTable, StopReason } from '../../channel/slots.js';
import { assertNever } from '../../core/assert.js';
import { monotonicMs } from '../../core/clock.js';
import { within } from '../../core/service.js';
import { type Delivery, isSuspect } from '../delivery.js';
import type { Thread, ThreadDeath } from '../threads/thread.js';
import { AloneMark } from './alone-mark.js';
import { ChunkPlanner } from './chunk-planner.js';
import { compareTurns, DeliveryQueue } from './delivery-queue.js';
import { DurationEstimates } from './duration-estimates.js';
import { Lane } from './lane.js';
import { roomFor } from './read-ahead.js';
import type { CondemnReason, Shipment } from './shipment.js';
import { Shipments } from './shipments.js';
import { SoleSuspect } from './sole-suspect.js';
import { LOOK_AGAIN_MS, StuckLanes } from './stuck-lanes.js';

/** A look that comes later than this was held up by the process itself. It is far less than what makes a lane silent. */
const LATE_LOOK_MS = 50;

export interface DispatcherEvents {
  /** An execution ended, was refused by its thread, or did not start in time here. */
  onOutcome(delivery: Delivery, outcome: Outcome): void;
  /**
   * The thread died before it reported how the execution ended. `wasAlone`: nothing else has ever begun on that thread, so
   * the execution is to blame. `death`: what ended the thread, if that is known.
   */
  onThreadLost(delivery: Delivery, wasAlone: boolean, death: ThreadDeath | null): void;
  /**
   * The thread was ended because of this execution: it ran out of time, or did not stop when it was asked to. Or the
   * execution was asked to stop, and its thread died before the execution had started.
   */
  onThreadEndedFor(delivery: Delivery, reason: CondemnReason): void;
  /** A suspect is about to be shipped. It may end this process. */
  onSuspectShipped(delivery: Delivery): void;
  /** A suspect cannot run here soon: this worker has another one, no place for it, or no thread. */
  onSuspectMustWait(delivery: Delivery): void;
  /**
   * Deliveries that a lost thread had not started are queued again, and are dispatched next. They could not be taken back
   * until now, so some that must not start any more may still be among them.
   */
  onLostThreadRelieved(): void;
  /** A suspect must run alone in its process, and cannot do so here soon. */
  onSuspectNotAlone(delivery: Delivery): void;
  /** Marks a suspect as alone in its process. Resolves to false when it is no longer ours. */
  markAlone(delivery: Delivery): Promise<boolean>;
  /** Removes the mark. */
  unmarkAlone(delivery: Delivery): Promise<unknown>;
  /** No thread was free in time for these deliveries, which are claimed, or the dispatcher is closed. */
  onRequeue(deliveries: readonly Delivery[]): void;
  /** There may be room for more deliveries. */
  onCapacity(): void;
  /** A thread has no shipments and gets no more, so it must be ended. */
  onThreadSpent(thread: Thread): void;
  /** The thread of this lane is about to be ended: code that is no attempt has held its event loop for so long. */
  onThreadOccupied(lane: Lane, occupiedMs: number): void;
  /** A suspect waits for a thread on this lane, which has one only while it is needed. */
  onThreadNeeded(lane: Lane): void;
  /** The execution set the message of its progress; `null` clears it. */
  onProgressMessage(shipment: Shipment, message: string | null): void;
  /** The shipment is about to leave its row, which can still be read. If it has begun, its outcome follows. */
  onLeavingRow(shipment: Shipment): void;
}

export class Dispatcher {
  readonly slots: SlotTable;
  readonly #lanes: readonly Lane[];
  readonly #suspectLane: Lane | null;
  readonly #allLanes: readonly Lane[];
  readonly #events: DispatcherEvents;
  readonly #estimates = new DurationEstimates();
  readonly #queue = new DeliveryQueue();
  readonly #shipments: Shipments;
  readonly #planner: ChunkPlanner;
  readonly #mark: AloneMark;
  readonly #suspect: SoleSuspect;
  readonly #stuckLanes: StuckLanes;
  #nextArrival = 1;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, on the monotonic clock. */
  #lookAtMs = 0;
  #isLookPutOff = false;
  #isClosed = false;
  #onEmpty = () => {};

  /** `concurrency` is divided evenly among the lanes, one per thread. A thread runs `tasksPerThread` executions. */
  constructor(threads: number, concurrency: number, events: DispatcherEvents, tasksPerThread?: number) {
    const count = Math.max(1, threads);
    const lanes = Array.from({ length: count }, (_, i) => new Lane(i, shareOf(concurrency, count, i), tasksPerThread));
    this.#lanes = lanes;
    this.#suspectLane = threads > 0 ? new Lane(count, 1, 1) : null;
    this.#allLanes = this.#suspectLane ? [...lanes, this.#suspectLane] : lanes;
    this.#events = events;
    this.#mark = new AloneMark({
      write: (delivery) => events.markAlone(delivery),
      remove: (delivery) => events.unmarkAlone(delivery),
      onChange: () => this.#resume(),
    });
    this.#suspect = new SoleSuspect(lanes, this.#suspectLane, this.#mark);
    this.#shipments = new Shipments(concurrency, (shipment) => {
      events.onLeavingRow(shipment);
      this.#suspect.leave(shipment.delivery);
    });
    this.slots = this.#shipments.slots;
    const [queue, shipments, estimates] = [this.#queue, this.#shipments, this.#estimates];
    this.#planner = new ChunkPlanner({ queue, lanes, shipments, estimates });
    this.#stuckLanes = new StuckLanes({
      lanes,
      queue,
      shipments,
      harvest: (lane) => this.#harvest(lane, 'keep'),
      putBack: (delivery) => this.#putBack(delivery),
      requeue: (deliveries) => events.onRequeue(deliveries),
      onOccupied: (lane, occupiedMs) => events.onThreadOccupied(lane, occupiedMs),
    });
  }

  /** The lanes of the worker's threads. */
  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** These lanes and the one of the suspect. */
  get allLanes(): readonly Lane[] {
    return this.#allLanes;
  }

  /** The number of deliveries: queued, shipped or running. */
  get size(): number {
    return this.#queue.length + this.#shipments.size + (this.#suspect.waiting ? 1 : 0);
  }

  /** Resolves when anything is on a thread, or on its way there, or when the signal aborts. */
  anyShipped(signal: AbortSignal): Promise<void> {
    return this.#shipments.any(signal);
  }

  /** Resolves when an execution that is on a thread may be overdue, when the signal aborts, or after `ms`. */
  anyMayBeOverdue(signal: AbortSignal, ms: number): Promise<void> {
    return this.#shipments.anyMayBeOverdue(signal, ms);
  }

  /** The number of deliveries that may still be read; 0 until a read is worth a trip to Redis. */
  get room(): number {
    const nowMs = monotonicMs();
    if (this.#suspect.holdsOthers(nowMs) || !this.#shipments.hasFreeRow) return 0;
    const size = this.#suspect.isPlaced ? this.size - 1 : this.size; // its place is not among those of the lanes
    return roomFor(this.#lanes, this.#estimates.overall, size, nowMs);
  }

  /** All deliveries of the dispatcher, for the renewal of leases. */
  *deliveries(): Iterable<Delivery> {
    yield* this.#queue;
    if (this.#suspect.waiting) yield this.#suspect.waiting;
    for (const lane of this.#allLanes) for (const shipment of lane.shipments) yield shipment.delivery;
  }

  add(deliveries: readonly Delivery[]): void {
    if (this.#isClosed) return this.#events.onRequeue(deliveries);
    const nowMs = monotonicMs();
    for (const delivery of deliveries) {
      delivery.arrival = this.#nextArrival++;
      if (!isSuspect(delivery)) this.#queue.push(delivery);
      else if (!this.#suspect.offer(delivery, nowMs)) this.#events.onSuspectMustWait(delivery);
    }
    this.#dispatch();
  }

  /** Gives a lane its thread, and dispatches waiting deliveries. */
  attach(lane: Lane, thread: Thread): void {
    lane.attach(thread);
    if (lane === this.#suspectLane) this.#suspect.threadStartEnded();
    this.#resume();
  }

  /** Gives the suspect back, because its thread failed to start. */
  suspectThreadFailed(): void {
    this.#suspect.threadStartEnded();
    const { waiting } = this.#suspect;
    if (waiting) this.#giveSuspectBack(waiting);
    this.#resume();
  }

  /**
   * Handles the end of the lane's thread: shipments that had not begun run elsewhere, those that had are lost. Returns
   * whether any had begun.
   */
  detach(lane: Lane, death: ThreadDeath | null = null): boolean {
    const wasEnding = lane.ending !== null;
    const { shipped } = lane;
    lane.detach();
    this.#harvest(lane, 'free');
    const left = [...lane.shipments].reverse();
    const started = new Set(left.filter((shipment) => !this.#shipments.revoke(shipment)));
    const unstarted = left.length - started.size;
    // When a thread was ended on purpose, it is known which attempt is to blame. An execution that ran there before may have left
    // something behind that ended the thread. An attempt that has ended but whose result never arrived counts like one that runs:
    // it would go on like this for ever.
    const wasAlone = !wasEnding && shipped - unstarted === 1 && started.size === 1;
    for (const shipment of left) {
      const { delivery, condemned, stop } = shipment;
      this.#shipments.free(shipment);
      const reason = started.has(shipment) ? condemned : stop?.reason;
      if (reason) this.#events.onThreadEndedFor(delivery, reason);
      else if (started.has(shipment)) this.#events.onThreadLost(delivery, wasAlone, death);
      else this.#putBack(delivery);
    }
    if (left.length > started.size) this.#events.onLostThreadRelieved();
    if (lane === this.#suspectLane && this.#suspect.isReady) this.#giveSuspectBack(this.#suspect.waiting!);
    this.#dispatch();
    return started.size > 0;
  }

  /** Handles outcomes as they arrive from the thread of the lane. Those of shipments that have not begun there are ignored. */
  receive(lane: Lane, batch: OutcomeBatch): void {
    const nowMs = monotonicMs();
    for (const message of batch.messages ?? []) this.receiveProgress(lane, message);
    forEachOutcome(batch, (shipmentId, outcome) => {
      const shipment = this.#shipments.find(lane, shipmentId);
      if (!shipment) return; // it was harvested, its thread was given up, or it is on another thread
      if (!hasBegun(this.slots.state(shipment.row))) return;
      if (outcome.kind === 'completed') this.#recordDuration(shipment);
      this.#shipments.free(shipment, nowMs);
      this.#events.onOutcome(shipment.delivery, outcome);
    });
    this.#resume();
  }

  /** Passes on the progress message of an execution on the lane, unless the execution has left its row. */
  receiveProgress(lane: Lane, { shipmentId, message }: ProgressMessage): void {
    const shipment = this.#shipments.find(lane, shipmentId);
    if (shipment) this.#events.onProgressMessage(shipment, message);
  }

  /**
   * Takes back all deliveries that have not started, from the queue and the threads. From now on nothing starts, and what
   * is added is requeued.
   */
  close(): Delivery[] {
    this.#isClosed = true;
    this.#mark.close();
    const taken = this.#takeBack();
    this.#watch(monotonicMs());
    return taken;
  }

  /**
   * Takes back the matching deliveries that have not started, from the queue and the threads, in the order in which they would
   * have started. Those that have started go on.
   */
  takeBackUnstarted(matches?: (delivery: Delivery) => boolean): Delivery[] {
    const taken = this.#takeBack(matches);
    this.#resume();
    return taken;
  }

  /** Asks all running attempts to stop, because the worker stops. */
  interruptAll(): void {
    for (const lane of this.#allLanes) this.#shipments.askToStop(lane, StopReason.interrupted);
  }

  /** Handles lost leases: these executions run elsewhere now, so none may start here, and running ones must stop. */
  loseLeases(matches: (delivery: Delivery) => boolean): void {
    this.#takeBackOrStop(StopReason.interrupted, matches);
  }

  /** Stops the matching executions, which were cancelled. Returns those that had not started. */
  cancel(matches: (delivery: Delivery) => boolean): Delivery[] {
    return this.#takeBackOrStop(StopReason.cancelled, matches);
  }

  /** Takes back the unstarted shipments of a lane for other lanes, because its thread is about to be ended. */
  redispatch(lane: Lane): void {
    for (const delivery of this.#shipments.revokeUnstarted(lane).reverse()) this.#putBack(delivery);
    this.#dispatch();
  }

  /** Lets the lane take work again: its thread is not ended after all. */
  reopen(lane: Lane): void {
    lane.reopen();
    this.#resume();
  }

  /** Lets the lane's spent thread run as many executions again. */
  renew(lane: Lane): void {
    lane.renew();
    this.#resume();
  }

  /** Resolves when no delivery is left, or after `timeoutMs`. */
  async waitUntilEmpty(timeoutMs: number): Promise<void> {
    if (this.size === 0 || timeoutMs <= 0) return;
    const emptied = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    await within(emptied, timeoutMs);
  }

  /** Dispatches what waits, and says that there may be room for more deliveries. */
  #resume(): void {
    this.#dispatch();
    this.#events.onCapacity();
  }

  #dispatch(): void {
    if (this.size === 0) this.#onEmpty();
    const nowMs = monotonicMs();
    this.#retireSpent();
    this.#advanceSuspect(nowMs);
    if (this.#suspect.letsOthersStart) this.#shipQueued(nowMs);
    else if (this.#queue.length > 0) this.#makeWay(nowMs);
    this.#watch(nowMs);
  }

  #shipQueued(nowMs: number): void {
    for (let lane = this.#planner.nextLane(nowMs); lane; lane = this.#planner.nextLane(nowMs)) {
      this.#send(lane, this.#planner.fill(lane, nowMs));
    }
  }

  /** Lets the queue start soon, or gives it to other workers while the suspect must stay alone. */
  #makeWay(nowMs: number): void {
    this.#suspect.makeWay(nowMs);
    if (this.#mark.isWritten) this.#events.onRequeue(this.#queue.clear());
  }

  /** Takes threads off their lanes: spent ones, and that of a suspect that has left. detach() follows when they are gone. */
  #retireSpent(): void {
    if (this.#isClosed) return;
    for (const lane of this.#allLanes) {
      const isUnneeded = lane === this.#suspectLane && lane.isIdle && !this.#suspect.waiting;
      if (lane.canRetire || isUnneeded) this.#events.onThreadSpent(lane.retire());
    }
  }

  #advanceSuspect(nowMs: number): void {
    if (this.#isClosed) return;
    const step = this.#suspect.advance(nowMs);
    switch (step.kind) {
      case 'nothing':
        return;
      case 'start-thread':
        return this.#events.onThreadNeeded(step.lane);
      case 'ship':
        return this.#shipSuspect(step.delivery, step.lane, nowMs);
      case 'give-back':
        return this.#giveSuspectBack(step.delivery);
      case 'reroute':
        this.#suspect.leave(step.delivery);
        this.#events.onSuspectNotAlone(step.delivery);
        return this.#events.onCapacity();
      default:
        assertNever(step);
    }
  }

  #shipSuspect(delivery: Delivery, lane: Lane, nowMs: number): void {
    if (!this.#shipments.hasFreeRow) return;
    this.#events.onSuspectShipped(delivery);
    const expectedMs = this.#estimates.of(delivery.envelope.task) ?? 0;
    const shipment = this.#shipments.ship(delivery, lane, expectedMs, nowMs);
    this.#suspect.shipped(nowMs);
    this.#send(lane, [shipment]);
  }

  #giveSuspectBack(delivery: Delivery): void {
    this.#suspect.leave(delivery);
    this.#events.onSuspectMustWait(delivery);
    this.#events.onCapacity();
  }

  #send(lane: Lane, chunk: readonly Shipment[]): void {
    const writer = new ChunkWriter();
    for (const shipment of chunk) writer.add(shipment);
    const thread = lane.thread!;
    thread.run(writer.finish(), lane.patienceMs).then(
      (batch) => {
        this.#shipments.chunkOver(chunk); // before more is shipped, which may need these rows
        this.receive(lane, batch);
      },
      () => {
        lane.threadDying(thread); // detach() follows when it is gone, and handles its shipments
        this.#shipments.chunkOver(chunk);
      },
    );
  }

  #recordDuration(shipment: Shipment): void {
    this.#estimates.add(shipment.delivery.envelope.task, this.slots.durationMs(shipment.row));
  }

  /** Puts a delivery that was taken back from a lane at the head of the queue; a suspect goes back to Redis. */
  #putBack(delivery: Delivery): void {
    if (this.#isClosed) this.#events.onRequeue([delivery]);
    else if (isSuspect(delivery)) this.#events.onSuspectMustWait(delivery);
    else this.#queue.unshift(delivery);
  }

  /**
   * Takes from the slot table the attempts that ended without a result but cannot be reported, since a later one holds
   * the thread's event loop or has ended the thread.
   */
  #harvest(lane: Lane, row: 'free' | 'keep'): void {
    for (const shipment of lane.shipments) {
      if (this.slots.state(shipment.row) !== SlotState.completedSilently) continue;
      this.#recordDuration(shipment);
      if (row === 'free') this.#shipments.free(shipment);
      else this.#shipments.keep(shipment);
      this.#events.onOutcome(shipment.delivery, { kind: 'completed', result: null });
    }
  }

  /** Returns what it takes back in the order of the queue, although some of it was on threads and has moved between them. */
  #takeBack(matches: (delivery: Delivery) => boolean = () => true): Delivery[] {
    const taken = [...this.#queue].filter(matches);
    this.#queue.removeIf(matches);
    const { waiting } = this.#suspect;
    if (waiting && matches(waiting)) {
      taken.push(waiting);
      this.#suspect.leave(waiting);
    }
    for (const lane of this.#allLanes) taken.push(...this.#shipments.revokeUnstarted(lane, matches));
    return taken.sort(compareTurns);
  }

  #takeBackOrStop(reason: StopReason, matches: (delivery: Delivery) => boolean): Delivery[] {
    const taken = this.#takeBack(matches);
    for (const lane of this.#allLanes) this.#shipments.askToStop(lane, reason, matches);
    this.#resume();
    return taken;
  }

  /** Sets the timer for the next look that may gain something, if there is one: an idle worker has no timer. */
  #watch(nowMs: number): void {
    const inMs = this.#isClosed ? null : this.#suspect.isPresent ? LOOK_AGAIN_MS : this.#stuckLanes.nextLookMs(nowMs);
    const isSoonEnough = this.#timer !== undefined && inMs !== null && this.#lookAtMs <= nowMs + inMs;
    if (isSoonEnough) return; // a timer that fires too early is set again then
    clearTimeout(this.#timer);
    this.#timer = inMs === null ? undefined : setTimeout(() => this.#look(), inMs);
    this.#lookAtMs = nowMs + (inMs ?? 0);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#isTooLate()) return;
    // The suspect may have held others until now, rows may have been missing, and a thread may turn again.
    const wasOccupied = this.#lanes.some((lane) => lane.wasOccupied);
    const mayHaveMoreRoom = this.#suspect.isPresent || !this.#shipments.hasFreeRow || wasOccupied;
    this.#stuckLanes.relieve(monotonicMs());
    this.#dispatch();
    if (mayHaveMoreRoom) this.#events.onCapacity();
  }

  /**
   * Whether a look comes so late that this process, and maybe the machine, stood still: a thread that seems to make no progress may
   * not have been asked to. The next look is soon, and is not put off again.
   */
  #isTooLate(): boolean {
    const nowMs = monotonicMs();
    if (this.#isLookPutOff || nowMs - this.#lookAtMs < LATE_LOOK_MS) {
      this.#isLookPutOff = false;
      return false;
    }
    this.#isLookPutOff = true;
    this.#lookAtMs = nowMs + LOOK_AGAIN_MS;
    this.#timer = setTimeout(() => this.#look(), LOOK_AGAIN_MS);
    return true;
  }
}

function shareOf(total: number, parts: number, index: number): number {
  return Math.max(1, Math.floor(total / parts) + (index < total % parts ? 1 : 0));
}
