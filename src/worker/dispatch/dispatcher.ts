/**
 * Decides which thread runs what, and when. Owns the queue of claimed deliveries, the slot table's rows and the lanes.
 *
 *   add ──> queue ──fill──> chunk ──ship──> lane (thread) ──outcomes──> onOutcome
 *             ^                               │
 *             └───────── revoked ─────────────┘   what a stuck thread has not started goes to an idle one
 *
 * Work is shipped by expected time, not by count: short executions in chunks worth 5 ms, long and unknown ones alone. So
 * nothing waits behind a slow neighbour while another thread is idle, and the cost of a message is shared by many.
 */
import {
  ChunkWriter,
  forEachOutcome,
  type Outcome,
  type OutcomeBatch,
  type ProgressMessage,
} from '../../channel/protocol.js';
import { epochOfShipment, rowOfShipment, SlotState, SlotTable, StopReason } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import { LONGEST_TIMER_MS } from '../../core/service.js';
import type { Token } from '../../redis/delivery-store.js';
import { type Delivery, isSuspect } from '../delivery.js';
import type { Thread } from '../threads/thread.js';
import { DeliveryQueue } from './delivery-queue.js';
import { DurationEstimates } from './duration-estimates.js';
import { CHUNK_MS, Lane, type Shipment } from './lane.js';

/** Executions shipped at once at most, over all threads. */
const ROWS = 4_096;
/** Executions in a chunk at most, however short. */
const CHUNK_ITEMS = 512;
/** Bytes in a chunk at most; a single larger message travels alone. */
const CHUNK_BYTES = 1024 * 1024;
/** Smallest share of a chunk's time worth a message of its own. */
const SMALLEST_CHUNK_MS = 0.5;
/** Work read ahead of the threads: as much as they do in this time, so that they never wait for a read. */
const READ_AHEAD_MS = 50;
/** ... but at most so many executions. */
const READ_AHEAD_ITEMS = 4_096;
/** How often stuck lanes are looked for while anything waits. */
const LOOK_MS = 5;
/** What found no thread for so long goes back, for another worker to run. */
const HAND_BACK_AFTER_MS = 250;

export interface DispatcherEvents {
  /** An execution ended, was refused by its thread, or did not start in time here. */
  onOutcome(delivery: Delivery, outcome: Outcome): void;
  /** The thread died while it ran the execution; alone, so that it is to blame, or beside others. */
  onThreadLost(delivery: Delivery, wasAlone: boolean): void;
  /**
   * The thread was ended because of this execution: it ran out of time, or did not stop when it was asked to. Or it was
   * asked to stop, and its thread died before it had started.
   */
  onThreadEndedFor(delivery: Delivery, reason: 'timeout' | StopReason): void;
  /** A suspect must wait its turn: there is another one here. */
  onSuspectMustWait(delivery: Delivery): void;
  /** Claimed, but no thread was free for it in time. */
  onRequeue(deliveries: readonly Delivery[]): void;
  /** There may be room for more. */
  onCapacity(): void;
  /** A thread has run all it may, and nothing is on it: it must be replaced. */
  onThreadSpent?(thread: Thread): void;
  /** The execution said something of its progress. */
  onProgressMessage?(shipment: Shipment, message: string | null): void;
  /** The shipment leaves its row, which is free thereafter; its outcome follows, if it has begun. */
  onRowReleased?(shipment: Shipment): void;
}

export class Dispatcher {
  readonly slots = new SlotTable(ROWS);
  readonly #lanes: readonly Lane[];
  readonly #events: DispatcherEvents;
  readonly #estimates = new DurationEstimates();
  readonly #queue = new DeliveryQueue();
  readonly #shipments: (Shipment | undefined)[] = new Array(ROWS);
  readonly #freeRows = Array.from({ length: ROWS }, (_, row) => row);
  #shipped = 0;
  /** The one suspect that may be here: waiting for a lane to itself, or on it. */
  #suspect: { readonly delivery: Delivery; isShipped: boolean } | null = null;
  #lookTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #onEmpty = () => {};

  /** `concurrency` is shared out evenly over the lanes, one per thread; each runs `tasksPerThread` executions. */
  constructor(threads: number, concurrency: number, events: DispatcherEvents, tasksPerThread?: number) {
    const lanes = Math.max(1, threads);
    this.#lanes = Array.from({ length: lanes }, (_, i) => new Lane(i, shareOf(concurrency, lanes, i), tasksPerThread));
    this.#events = events;
  }

  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** Deliveries here: queued, shipped or running. */
  get size(): number {
    return this.#queue.length + this.#shipped + (this.#suspect && !this.#suspect.isShipped ? 1 : 0);
  }

  /**
   * How many more deliveries may be read; 0 until it is worth a trip. Nothing is read ahead of a stuck lane: it would only
   * be handed back.
   */
  get room(): number {
    const nowMs = monotonicMs();
    const expectedMs = this.#estimates.overall;
    let slots = 0;
    let ahead = 0;
    for (const lane of this.#lanes) {
      if (!lane.takesWork) continue;
      slots += lane.concurrency;
      if (expectedMs !== undefined && !lane.isStuck(nowMs)) ahead += (READ_AHEAD_MS / expectedMs) * lane.concurrency;
    }
    const target = slots + Math.floor(Math.min(ahead, READ_AHEAD_ITEMS));
    const room = target - this.size;
    return room >= target / 4 || this.size < slots ? Math.max(0, room) : 0;
  }

  /** Every delivery here, for the renewal of leases. */
  *deliveries(): Iterable<Delivery> {
    yield* this.#queue;
    if (this.#suspect && !this.#suspect.isShipped) yield this.#suspect.delivery;
    for (const lane of this.#lanes) for (const shipment of lane.shipments) yield shipment.delivery;
  }

  add(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      if (!isSuspect(delivery)) this.#queue.push(delivery);
      else if (this.#suspect) this.#events.onSuspectMustWait(delivery);
      else this.#suspect = { delivery, isShipped: false };
    }
    this.#dispatch();
  }

  /** Gives a lane its thread; what waits starts to flow. */
  attach(lane: Lane, thread: Thread): void {
    lane.attach(thread);
    this.#dispatch();
    this.#events.onCapacity();
  }

  /**
   * The lane's thread is gone: what it had not started is run elsewhere, what it ran is lost. Answers whether it was running
   * anything.
   */
  detach(lane: Lane): boolean {
    lane.thread = null;
    this.#harvest(lane);
    const before = [...lane.shipments].reverse();
    const started = before.filter((shipment) => !this.slots.revoke(shipment.row, shipment.epoch));
    // Of a thread that was ended on purpose, who is to blame is known.
    const wasAlone =
      lane.ending === null && started.length === 1 && this.slots.state(started[0]!.row) === SlotState.started;
    for (const shipment of before) {
      const { delivery, condemned, stop } = shipment;
      this.#release(shipment);
      this.#freeRow(shipment.row);
      if (!started.includes(shipment)) {
        if (stop) this.#events.onThreadEndedFor(delivery, stop.reason);
        else this.#requeue(delivery);
      } else if (condemned === null) this.#events.onThreadLost(delivery, wasAlone);
      else this.#events.onThreadEndedFor(delivery, condemned === 'timeout' ? condemned : stop!.reason);
    }
    lane.isReserved = false;
    lane.ending = null;
    this.#dispatch();
    return started.length > 0;
  }

  /** Takes outcomes as they come in. */
  receive(batch: OutcomeBatch): void {
    const nowMs = monotonicMs();
    for (const message of batch.messages ?? []) this.hear(message);
    forEachOutcome(batch, (shipmentId, outcome) => {
      const row = rowOfShipment(shipmentId);
      const shipment = this.#shipments[row];
      if (shipment?.epoch !== epochOfShipment(shipmentId)) return; // harvested, or its thread was given up, meanwhile
      if (outcome.kind === 'completed') this.#learn(shipment);
      this.#release(shipment, nowMs);
      this.#freeRow(row);
      this.#events.onOutcome(shipment.delivery, outcome);
    });
    this.#dispatch();
    this.#events.onCapacity();
  }

  /** Takes what an execution says of its progress; nothing when it has left its row. */
  hear({ shipmentId, message }: ProgressMessage): void {
    const shipment = this.#shipments[rowOfShipment(shipmentId)];
    if (shipment?.epoch === epochOfShipment(shipmentId)) this.#events.onProgressMessage?.(shipment, message);
  }

  /** Takes everything that has not started, from the queue and from the threads; from now on nothing more is started. */
  close(): Delivery[] {
    this.#isClosed = true;
    return this.revokeUnstarted();
  }

  /** Takes what has not started, from the queue and from the threads. */
  revokeUnstarted(isMeant: (delivery: Delivery) => boolean = () => true): Delivery[] {
    const taken = [...this.#queue].filter(isMeant);
    this.#queue.removeIf(isMeant);
    if (this.#suspect && !this.#suspect.isShipped && isMeant(this.#suspect.delivery)) {
      taken.push(this.#suspect.delivery);
      this.#forgetSuspect();
    }
    for (const lane of this.#lanes) taken.push(...this.#revoke(lane, ({ delivery }) => isMeant(delivery)));
    return taken;
  }

  /** Asks everything that runs to stop, because the worker does. */
  interruptAll(): void {
    for (const lane of this.#lanes) this.#stop(lane, StopReason.interrupted, () => true);
  }

  /** Leases were lost: those executions run elsewhere now, so they must not start here, and must stop if they have. */
  lose(tokens: ReadonlySet<Token>): void {
    this.#remove(StopReason.interrupted, (delivery) => tokens.has(delivery.token));
  }

  /** Stops executions that were cancelled; answers with those that had not started. */
  cancel(isMeant: (delivery: Delivery) => boolean): Delivery[] {
    return this.#remove(StopReason.cancelled, isMeant);
  }

  /** Takes back executions that have not started; those that have go on. */
  withdrawUnstarted(isMeant: (delivery: Delivery) => boolean): Delivery[] {
    const taken = this.revokeUnstarted(isMeant);
    this.#dispatch();
    this.#events.onCapacity();
    return taken;
  }

  /** Takes back what a lane has not started, for other lanes to run: its thread is about to be ended. */
  redispatch(lane: Lane): void {
    for (const delivery of this.#revoke(lane).reverse()) this.#requeue(delivery);
    this.#dispatch();
  }

  /** Its thread is not ended after all. */
  reopen(lane: Lane): void {
    lane.ending = null;
    this.#dispatch();
    this.#events.onCapacity();
  }

  /** Its thread has run all it may, and goes on all the same. */
  renew(lane: Lane): void {
    lane.renew();
    this.#dispatch();
    this.#events.onCapacity();
  }

  /** Resolves when nothing is here any more, or after `timeoutMs`. */
  async empty(timeoutMs: number): Promise<void> {
    if (this.size === 0 || timeoutMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(timeoutMs, LONGEST_TIMER_MS));
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #dispatch(): void {
    if (this.size === 0) this.#onEmpty();
    const nowMs = monotonicMs();
    this.#retireSpent();
    this.#shipSuspect(nowMs);
    while (this.#queue.length > 0 && this.#freeRows.length > 0) {
      const lane = this.#bestLane(nowMs);
      if (!lane) break;
      this.#ship(lane, nowMs);
    }
    this.#watch();
  }

  /** Nothing more is shipped to a thread that has run all it may; detach() follows when it is gone. */
  #retireSpent(): void {
    if (this.#isClosed) return;
    for (const lane of this.#lanes) {
      if (!lane.isSpent) continue;
      const thread = lane.thread!;
      lane.thread = null;
      this.#events.onThreadSpent?.(thread);
    }
  }

  /** A suspect gets a lane to itself: the emptiest is kept for it until what runs there has ended. */
  #shipSuspect(nowMs: number): void {
    if (!this.#suspect || this.#suspect.isShipped || this.#freeRows.length === 0) return;
    const fit = this.#lanes.filter((lane) => lane.takesSuspects);
    const lane = fit.find((one) => one.isReserved) ?? fit.sort((a, b) => a.shipments.size - b.shipments.size)[0];
    if (!lane) return;
    lane.isReserved = true;
    if (lane.shipments.size > 0) return;
    this.#suspect.isShipped = true;
    const { delivery } = this.#suspect;
    const shipment = this.#open(lane, delivery, this.#estimates.of(delivery.envelope.task) ?? 0);
    lane.add(shipment, nowMs);
    this.#shipped += 1;
    this.#send(lane, [shipment]);
  }

  /** The lane that can start something at once, else the one that will be free soonest; none when all have enough. */
  #bestLane(nowMs: number): Lane | null {
    const head = this.#estimates.of(this.#queue.peek()!.envelope.task);
    const isShort = head !== undefined && head < CHUNK_MS;
    let best: Lane | null = null;
    for (const lane of this.#lanes) {
      if (lane.free === 0 && !(isShort && lane.isOpen(nowMs))) continue;
      if (!best || lane.free > best.free || (lane.free === best.free && lane.expectedMs < best.expectedMs)) best = lane;
    }
    return best;
  }

  /** Ships one chunk from the head of the queue: one long or unknown execution, or short ones worth a share of 5 ms. */
  #ship(lane: Lane, nowMs: number): void {
    const budgetMs = this.#chunkBudget();
    const chunk: Shipment[] = [];
    let chunkMs = 0;
    let chunkBytes = 0;
    while (this.#queue.length > 0 && chunk.length < CHUNK_ITEMS && this.#freeRows.length > 0 && lane.takesWork) {
      const expectedMs = this.#estimates.of(this.#queue.peek()!.envelope.task);
      const travelsAlone = expectedMs === undefined || expectedMs >= CHUNK_MS;
      if (chunk.length > 0 && (travelsAlone || chunkMs + expectedMs > budgetMs || chunkBytes > CHUNK_BYTES)) break;
      const shipment = this.#open(lane, this.#queue.shift()!, expectedMs ?? 0);
      lane.add(shipment, nowMs);
      chunk.push(shipment);
      chunkMs += shipment.expectedMs;
      chunkBytes += shipment.message.length;
      if (travelsAlone) break;
    }
    this.#shipped += chunk.length;
    this.#send(lane, chunk);
  }

  /** Few short executions are shared out, so that none waits while another thread is idle; many fill their chunks. */
  #chunkBudget(): number {
    const queuedMs = this.#queue.length * (this.#estimates.overall ?? 0);
    return Math.min(CHUNK_MS, Math.max(SMALLEST_CHUNK_MS, queuedMs / this.#lanes.length));
  }

  #open(lane: Lane, delivery: Delivery, expectedMs: number): Shipment {
    const row = this.#freeRows.pop()!;
    const shipment: Shipment = {
      delivery,
      lane,
      expectedMs,
      keepsRow: false,
      stop: null,
      condemned: null,
      row,
      epoch: this.slots.ship(row),
      record: delivery.record,
      dueMs: delivery.dueMs,
      isRedelivered: delivery.deliveries > 0,
      message: delivery.envelope.bytes,
    };
    this.#shipments[row] = shipment;
    return shipment;
  }

  #send(lane: Lane, chunk: readonly Shipment[]): void {
    const writer = new ChunkWriter();
    for (const shipment of chunk) writer.add(shipment);
    const thread = lane.thread!;
    thread.run(writer.finish()).then(
      (batch) => {
        this.receive(batch);
        this.#freeKeptRows(chunk);
      },
      () => {
        // The thread is dying; detach() follows when it is gone, and deals with what it still has. Until then nothing is
        // shipped to it or taken back from it.
        if (lane.thread === thread) lane.thread = null;
        this.#freeKeptRows(chunk);
      },
    );
  }

  #learn(shipment: Shipment): void {
    this.#estimates.add(shipment.delivery.envelope.task, this.slots.durationMs(shipment.row));
  }

  /** Puts back at the head what was taken back from a lane. */
  #requeue(delivery: Delivery): void {
    if (this.#isClosed) return this.#events.onRequeue([delivery]);
    if (isSuspect(delivery)) this.#suspect = { delivery, isShipped: false };
    else this.#queue.unshift(delivery);
  }

  /**
   * Takes from the slot table what has ended without a result but cannot be reported, because what came after it holds
   * the thread's event loop or has ended the thread.
   */
  #harvest(lane: Lane): void {
    for (const shipment of lane.shipments) {
      if (this.slots.state(shipment.row) !== SlotState.returned) continue;
      this.#learn(shipment);
      this.#release(shipment);
      if (lane.thread) shipment.keepsRow = true;
      else this.#freeRow(shipment.row);
      this.#events.onOutcome(shipment.delivery, { kind: 'completed', result: null });
    }
  }

  /** Takes back what a lane has not started. */
  #revoke(lane: Lane, isMeant: (shipment: Shipment) => boolean = () => true): Delivery[] {
    const taken: Delivery[] = [];
    if (!lane.thread) return taken; // dying: detach() is about to tell what had started
    for (const shipment of lane.shipments) {
      if (isMeant(shipment) && this.#takeBack(shipment)) taken.push(shipment.delivery);
    }
    return taken;
  }

  /** True when the execution never ran and never will there. Its row stays until the thread has passed over it. */
  #takeBack(shipment: Shipment): boolean {
    if (!this.slots.revoke(shipment.row, shipment.epoch)) return false;
    this.#release(shipment);
    shipment.lane.refund();
    shipment.keepsRow = true;
    return true;
  }

  #remove(reason: StopReason, isMeant: (delivery: Delivery) => boolean): Delivery[] {
    const taken = this.revokeUnstarted(isMeant);
    for (const lane of this.#lanes) this.#stop(lane, reason, ({ delivery }) => isMeant(delivery));
    this.#dispatch();
    this.#events.onCapacity();
    return taken;
  }

  #stop(lane: Lane, reason: StopReason, isMeant: (shipment: Shipment) => boolean): void {
    let isAnyMeant = false;
    for (const shipment of lane.shipments) {
      if (!isMeant(shipment)) continue;
      isAnyMeant = true;
      shipment.stop ??= { reason, askedMs: monotonicMs() };
      this.slots.cancel(shipment.row, shipment.epoch, shipment.stop.reason);
    }
    if (isAnyMeant) lane.thread?.attend();
  }

  #release(shipment: Shipment, endedMs?: number): void {
    this.#events.onRowReleased?.(shipment);
    shipment.lane.remove(shipment, endedMs);
    this.#shipments[shipment.row] = undefined;
    this.#shipped -= 1;
    if (this.#suspect?.delivery === shipment.delivery) this.#forgetSuspect();
  }

  /** More than one lane may have been kept for it: when one is about to be ended another one is. */
  #forgetSuspect(): void {
    this.#suspect = null;
    for (const lane of this.#lanes) lane.isReserved = false;
  }

  #freeKeptRows(chunk: readonly Shipment[]): void {
    for (const { row, keepsRow } of chunk) if (keepsRow) this.#freeRow(row);
  }

  #freeRow(row: number): void {
    this.slots.free(row);
    this.#freeRows.push(row);
  }

  /** While something waits: looks for stuck lanes, whose unstarted work goes to an idle thread or, in the end, back. */
  #watch(): void {
    const isAnythingWaiting = this.#queue.length > 0 || this.#lanes.some((lane) => lane.mayHoldUnstarted);
    if (isAnythingWaiting) {
      this.#lookTimer ??= setInterval(() => this.#rebalance(), LOOK_MS);
    } else if (this.#lookTimer) {
      clearInterval(this.#lookTimer);
      this.#lookTimer = undefined;
    }
  }

  #rebalance(): void {
    const nowMs = monotonicMs();
    for (const lane of this.#lanes) {
      if (!lane.mayHoldUnstarted || !lane.isStuck(nowMs)) continue;
      this.#harvest(lane);
      if (this.#lanes.some((other) => other !== lane && other.free > 0)) {
        const taken = this.#revoke(lane);
        if (taken.length > 0) lane.block();
        for (const delivery of taken.reverse()) this.#requeue(delivery);
      } else if (lane.silentMs(nowMs) > HAND_BACK_AFTER_MS) {
        const taken = this.#revoke(lane);
        if (taken.length > 0) this.#events.onRequeue(taken);
      }
    }
    if (this.#queue.length > 0 && this.#isEverybodyStuck(nowMs)) this.#events.onRequeue([...this.#queue.clear()]);
    this.#dispatch();
  }

  #isEverybodyStuck(nowMs: number): boolean {
    return this.#lanes.every((lane) => lane.free === 0 && lane.silentMs(nowMs) > HAND_BACK_AFTER_MS);
  }
}

function shareOf(total: number, parts: number, index: number): number {
  return Math.max(1, Math.floor(total / parts) + (index < total % parts ? 1 : 0));
}
