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
import { ChunkWriter, forEachOutcome, type Outcome, type OutcomeBatch } from '../core/protocol.js';
import { monotonicMs, SlotTable } from '../core/slots.js';
import type { Token } from '../redis/delivery-store.js';
import type { Delivery } from './delivery.js';
import { Estimates } from './estimates.js';
import { CHUNK_MS, Lane, type Shipment } from './lane.js';
import { Queue } from './queue.js';
import type { Thread } from './thread.js';

/** Executions shipped at once at most, over all threads. */
const ROWS = 4_096;
/** Executions in a chunk at most, however short. */
const CHUNK_ITEMS = 512;
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
  /** The thread died while it ran the execution. */
  onLostThread(delivery: Delivery): void;
  /** Claimed, but no thread was free for it in time. */
  onHandBack(deliveries: readonly Delivery[]): void;
  /** There may be room for more. */
  onRoom(): void;
}

export class Dispatcher {
  readonly slots = new SlotTable(ROWS);
  readonly #lanes: readonly Lane[];
  readonly #events: DispatcherEvents;
  readonly #estimates = new Estimates();
  readonly #queue = new Queue<Delivery>();
  readonly #shipments: (Shipment | undefined)[] = new Array(ROWS);
  readonly #freeRows = Array.from({ length: ROWS }, (_, row) => row);
  #shipped = 0;
  #lookTimer: NodeJS.Timeout | undefined;
  #onEmpty = () => {};

  /** `concurrency` is shared out evenly over the lanes, one per thread. */
  constructor(threads: number, concurrency: number, events: DispatcherEvents) {
    const lanes = Math.max(1, threads);
    this.#lanes = Array.from({ length: lanes }, (_, i) => new Lane(i, shareOf(concurrency, lanes, i)));
    this.#events = events;
  }

  get lanes(): readonly Lane[] {
    return this.#lanes;
  }

  /** Deliveries here: queued, shipped or running. */
  get size(): number {
    return this.#queue.length + this.#shipped;
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
      if (!lane.thread) continue;
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
    for (const lane of this.#lanes) for (const shipment of lane.shipments) yield shipment.delivery;
  }

  add(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#queue.push(delivery);
    this.#dispatch();
  }

  /** Gives a lane its thread; what waits starts to flow. */
  attach(lane: Lane, thread: Thread): void {
    lane.thread = thread;
    this.#dispatch();
    this.#events.onRoom();
  }

  /** The lane's thread is gone: what it had not started is run elsewhere, what it ran is lost. */
  detach(lane: Lane): void {
    lane.thread = null;
    for (const shipment of [...lane.shipments].reverse()) {
      if (this.#takeBack(shipment)) this.#queue.unshift(shipment.delivery);
      else this.#events.onLostThread(this.#release(shipment));
      this.#freeRow(shipment.row);
      shipment.wasTakenBack = false; // its row is free now, not when its chunk is over
    }
    this.#dispatch();
  }

  /** Takes outcomes as they come in. */
  receive(batch: OutcomeBatch): void {
    const nowMs = monotonicMs();
    forEachOutcome(batch, (row, outcome) => {
      const shipment = this.#shipments[row];
      if (!shipment) return; // its thread was given up meanwhile
      if (outcome.kind === 'completed')
        this.#estimates.add(shipment.delivery.envelope.task, this.slots.durationMs(row));
      this.#release(shipment, nowMs);
      this.#freeRow(row);
      this.#events.onOutcome(shipment.delivery, outcome);
    });
    this.#dispatch();
    this.#events.onRoom();
  }

  /** Takes everything that has not started, from the queue and from the threads. */
  takeUnstarted(): Delivery[] {
    const taken = [...this.#queue.clear()];
    for (const lane of this.#lanes) taken.push(...this.#revoke(lane));
    return taken;
  }

  /** Asks everything that runs to stop. */
  cancelAll(): void {
    for (const lane of this.#lanes) this.#cancel(lane, () => true);
  }

  /** Leases were lost: those executions run elsewhere now, so they must not start here, and must stop if they have. */
  lose(tokens: ReadonlySet<Token>): void {
    const isLost = ({ delivery }: Shipment) => tokens.has(delivery.token);
    this.#queue.removeIf((delivery) => tokens.has(delivery.token));
    for (const lane of this.#lanes) {
      this.#revoke(lane, isLost);
      this.#cancel(lane, isLost);
    }
  }

  /** Resolves when nothing is here any more, or after `timeoutMs`. */
  async empty(timeoutMs: number): Promise<void> {
    if (this.size === 0 || timeoutMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #dispatch(): void {
    if (this.size === 0) this.#onEmpty();
    const nowMs = monotonicMs();
    while (this.#queue.length > 0 && this.#freeRows.length > 0) {
      const lane = this.#bestLane(nowMs);
      if (!lane) break;
      this.#ship(lane, nowMs);
    }
    this.#watch();
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
    while (this.#queue.length > 0 && chunk.length < CHUNK_ITEMS && this.#freeRows.length > 0) {
      const expectedMs = this.#estimates.of(this.#queue.peek()!.envelope.task);
      const travelsAlone = expectedMs === undefined || expectedMs >= CHUNK_MS;
      if (chunk.length > 0 && (travelsAlone || chunkMs + expectedMs > budgetMs)) break;
      const shipment = this.#open(lane, this.#queue.shift()!, expectedMs ?? 0);
      lane.add(shipment, nowMs);
      chunk.push(shipment);
      chunkMs += shipment.expectedMs;
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
      wasTakenBack: false,
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
    lane.thread!.run(writer.finish()).then(
      (batch) => {
        this.receive(batch);
        this.#freeTakenBack(chunk);
      },
      () => this.#freeTakenBack(chunk), // the thread died: detach() deals with the rest of what it had
    );
  }

  /** Takes back what a lane has not started. */
  #revoke(lane: Lane, isMeant: (shipment: Shipment) => boolean = () => true): Delivery[] {
    const taken: Delivery[] = [];
    for (const shipment of lane.shipments) {
      if (isMeant(shipment) && this.#takeBack(shipment)) taken.push(shipment.delivery);
    }
    return taken;
  }

  /** True when the execution never ran and never will there. Its row stays until the thread has passed over it. */
  #takeBack(shipment: Shipment): boolean {
    if (!this.slots.revoke(shipment.row, shipment.epoch)) return false;
    this.#release(shipment);
    shipment.wasTakenBack = true;
    return true;
  }

  #cancel(lane: Lane, isMeant: (shipment: Shipment) => boolean): void {
    for (const shipment of lane.shipments) if (isMeant(shipment)) this.slots.cancel(shipment.row, shipment.epoch);
    lane.thread?.attend();
  }

  #release(shipment: Shipment, endedMs?: number): Delivery {
    shipment.lane.remove(shipment, endedMs);
    this.#shipments[shipment.row] = undefined;
    this.#shipped -= 1;
    return shipment.delivery;
  }

  #freeTakenBack(chunk: readonly Shipment[]): void {
    for (const { row, wasTakenBack } of chunk) if (wasTakenBack) this.#freeRow(row);
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
      if (this.#lanes.some((other) => other !== lane && other.free > 0)) {
        const taken = this.#revoke(lane);
        if (taken.length > 0) lane.block();
        for (const delivery of taken.reverse()) this.#queue.unshift(delivery);
      } else if (lane.silentMs(nowMs) > HAND_BACK_AFTER_MS) {
        const taken = this.#revoke(lane);
        if (taken.length > 0) this.#events.onHandBack(taken);
      }
    }
    if (this.#queue.length > 0 && this.#isEverybodyStuck(nowMs)) this.#events.onHandBack([...this.#queue.clear()]);
    this.#dispatch();
  }

  #isEverybodyStuck(nowMs: number): boolean {
    return this.#lanes.every((lane) => lane.free === 0 && lane.silentMs(nowMs) > HAND_BACK_AFTER_MS);
  }
}

function shareOf(total: number, parts: number, index: number): number {
  return Math.max(1, Math.floor(total / parts) + (index < total % parts ? 1 : 0));
}
