/**
 * All shipments. Owns the rows of the slot table on the coordinator's side, and the rule that a shipment is on
 * a lane and on a row, or on neither.
 *
 *               free
 *   shipped ───────────────────────────> over       its row is free for the next shipment
 *      │                                  ^
 *      └── keep ──> row kept ── chunkOver ┘        the thread may still reach its row
 *
 * A shipment that leaves before its thread has reached its row keeps the row until its chunk is over: only then can no
 * late write of that thread meet the row's next shipment. A chunk can go on for hours, so when many rows are kept, those
 * that their threads have skipped are freed before that.
 *
 * Only a shipment that is shipped can be asked to stop; the first reason counts. A step that is not drawn here throws: a
 * row that is freed twice would go to two executions.
 */
import { epochOfShipment, rowOfShipment, SlotState, SlotTable, type StopReason } from '../../channel/slots.js';
import { onAbort } from '../../core/abort.js';
import { monotonicMs } from '../../core/clock.js';
import type { Delivery } from '../delivery.js';
import type { Lane } from './lane.js';
import { type Place, Shipment } from './shipment.js';

/** Rows for shipments that wait on a thread or were taken back from it, beside the rows for what runs at once. */
const ROWS_AHEAD = 4_096;
/**
 * Each time that so many rows more were kept, those that were skipped are looked for: a quarter of the rows ahead. A look at
 * each of them would take the event loop 80 ms when 4,096 shipments are taken back at once (measured).
 */
const LOOK_EVERY_KEPT = 1_024;

export class Shipments {
  readonly slots: SlotTable;
  readonly #byRow: (Shipment | undefined)[];
  readonly #laneByRow: (Lane | undefined)[];
  readonly #freeRows: number[];
  /** Those that keep their rows. */
  readonly #kept = new Set<Shipment>();
  /** The number of rows that were kept since those that were skipped were looked for. */
  #keptSinceLook = 0;
  readonly #onLeaving: (shipment: Shipment) => void;
  /** Called when there is a shipment. */
  readonly #onShipped = new Set<() => void>();
  #size = 0;
  /** Called when a shipment may be overdue. */
  readonly #onMayBeOverdue = new Set<() => void>();
  /** The number of those that may be overdue. */
  #mayBeOverdue = 0;

  /**
   * @param concurrency - number of shipments that run at once
   * @param onLeaving - called while the shipment is still on its row
   */
  constructor(concurrency: number, onLeaving: (shipment: Shipment) => void) {
    const rows = concurrency + ROWS_AHEAD;
    this.slots = new SlotTable(rows);
    this.#byRow = new Array(rows);
    this.#laneByRow = new Array(rows);
    this.#freeRows = Array.from({ length: rows }, (_, row) => row);
    this.#onLeaving = onLeaving;
  }

  get size(): number {
    return this.#size;
  }

  /** Resolves when there is a shipment, or when the signal aborts. */
  async any(signal: AbortSignal): Promise<void> {
    if (this.#size === 0) await called(this.#onShipped, signal);
  }

  /** Resolves when a shipment may be overdue, when the signal aborts, or after `ms`. */
  async anyMayBeOverdue(signal: AbortSignal, ms: number): Promise<void> {
    if (this.#mayBeOverdue === 0) await called(this.#onMayBeOverdue, signal, ms);
  }

  get hasFreeRow(): boolean {
    return this.#freeRows.length > 0;
  }

  /** Puts a delivery on the lane and on a free row, which must exist. */
  ship(delivery: Delivery, lane: Lane, expectedMs: number, nowMs: number): Shipment {
    const row = this.#freeRows.pop()!;
    const shipment = new Shipment(delivery, expectedMs, row, this.slots.ship(row));
    this.#byRow[row] = shipment;
    this.#laneByRow[row] = lane;
    this.#size += 1;
    lane.add(shipment, nowMs);
    if (this.#onShipped.size > 0) for (const end of [...this.#onShipped]) end();
    if (shipment.mayBeOverdue) this.#noteMayBeOverdue();
    return shipment;
  }

  /**
   * Returns the shipment on the lane with this number; `undefined` when it has left, even if its row has another one, or
   * when it is on another lane: a thread has no say about those.
   */
  find(lane: Lane, shipmentId: number): Shipment | undefined {
    const row = rowOfShipment(shipmentId);
    if (this.#laneByRow[row] !== lane) return undefined;
    const shipment = this.#byRow[row];
    return shipment?.epoch === epochOfShipment(shipmentId) ? shipment : undefined;
  }

  /** Whether its thread has not begun a shipment. */
  isUnstarted({ row }: Shipment): boolean {
    return this.slots.state(row) === SlotState.shipped;
  }

  /** Takes back the right to run a shipment. Returns false when the thread has begun it. */
  revoke({ row, epoch }: Shipment): boolean {
    return this.slots.revoke(row, epoch);
  }

  /** Takes back the unstarted shipments of a lane. Their rows are kept, because the thread has yet to reach them. */
  revokeUnstarted(lane: Lane, matches: (delivery: Delivery) => boolean = () => true): Delivery[] {
    const taken: Delivery[] = [];
    if (!lane.thread) return taken; // leaving: detach() finds out which ones had started
    for (const shipment of lane.shipments) {
      if (!matches(shipment.delivery) || !this.revoke(shipment)) continue;
      this.keep(shipment);
      lane.refund();
      taken.push(shipment.delivery);
    }
    return taken;
  }

  /** Asks the matching shipments of a lane to stop. */
  askToStop(lane: Lane, reason: StopReason, matches: (delivery: Delivery) => boolean = () => true): void {
    const nowMs = monotonicMs();
    let isAnyAsked = false;
    for (const shipment of lane.shipments) {
      if (!matches(shipment.delivery)) continue;
      isAnyAsked = true;
      requirePlace(shipment, 'shipped');
      shipment.stop ??= { reason, askedMs: nowMs };
      this.slots.requestStop(shipment.row, shipment.epoch, shipment.stop.reason);
      if (shipment.mayBeOverdue) continue;
      shipment.mayBeOverdue = true;
      this.#noteMayBeOverdue();
    }
    if (isAnyAsked) lane.thread?.attend();
  }

  /** Removes a shipment and frees its row. `endedMs` is when its attempt ended, if it did. */
  free(shipment: Shipment, endedMs?: number): void {
    this.#leave(shipment, 'over', endedMs);
    this.#freeRow(shipment.row);
  }

  /** Removes a shipment. Its row is freed once its chunk is over, or its thread has skipped the row. */
  keep(shipment: Shipment): void {
    this.#leave(shipment, 'row kept');
    this.#kept.add(shipment);
    this.#keptSinceLook += 1;
    if (this.#keptSinceLook >= LOOK_EVERY_KEPT) this.freeSkipped();
  }

  /** Frees the rows that were kept and that their threads have skipped. */
  freeSkipped(): void {
    this.#keptSinceLook = 0;
    for (const kept of this.#kept) if (this.slots.state(kept.row) === SlotState.skipped) this.#freeKept(kept);
  }

  /** Frees the rows that were kept, because the thread is done with the chunk, or gone. */
  chunkOver(chunk: readonly Shipment[]): void {
    for (const shipment of chunk) if (shipment.place === 'row kept') this.#freeKept(shipment);
  }

  #freeKept(shipment: Shipment): void {
    this.#kept.delete(shipment);
    shipment.place = 'over';
    this.#freeRow(shipment.row);
  }

  #leave(shipment: Shipment, place: Place, endedMs?: number): void {
    this.#onLeaving(shipment);
    requirePlace(shipment, 'shipped');
    shipment.place = place;
    this.#laneByRow[shipment.row]!.remove(shipment, endedMs);
    this.#laneByRow[shipment.row] = undefined;
    this.#byRow[shipment.row] = undefined;
    this.#size -= 1;
    if (shipment.mayBeOverdue) this.#mayBeOverdue -= 1;
  }

  #noteMayBeOverdue(): void {
    this.#mayBeOverdue += 1;
    if (this.#onMayBeOverdue.size > 0) for (const end of [...this.#onMayBeOverdue]) end();
  }

  #freeRow(row: number): void {
    this.slots.free(row);
    this.#freeRows.push(row);
  }
}

/** Resolves when the function that it puts into the set is called, when the signal aborts, or after `ms` if that is given. */
async function called(callbacks: Set<() => void>, signal: AbortSignal, ms?: number): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      callbacks.delete(end);
      forget();
      resolve();
    };
    const timer = ms === undefined ? undefined : setTimeout(end, ms);
    const forget = onAbort(signal, end);
    callbacks.add(end);
  });
}

function requirePlace({ place, row }: Shipment, required: Place): void {
  if (place !== required) throw new Error(`the shipment on row ${row} is not ${required} but ${place}`);
}
