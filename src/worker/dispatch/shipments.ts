/**
 * Everything that is shipped. Owns the rows of the slot table on the coordinator's side, and the rule that a shipment is on
 * a lane and on a row, or on neither.
 *
 *   row:         ship               free
 *        free ──────────> occupied ─────────────────────────> free
 *                             │  keep                           ^
 *                             └────────> kept ── chunkOver ─────┘
 *
 * A shipment that leaves before its thread has passed over its row keeps the row until its chunk is over: only then can no
 * late write of that thread meet the row's next shipment.
 */
import { epochOfShipment, rowOfShipment, SlotTable, type StopReason } from '../../channel/slots.js';
import { monotonicMs } from '../../core/clock.js';
import type { Delivery } from '../delivery.js';
import type { Lane } from './lane.js';
import { Shipment } from './shipment.js';

/** Executions shipped at once at most, over all threads. */
const ROWS = 4_096;

export class Shipments {
  readonly slots = new SlotTable(ROWS);
  readonly #byRow: (Shipment | undefined)[] = new Array(ROWS);
  readonly #laneByRow: (Lane | undefined)[] = new Array(ROWS);
  readonly #freeRows = Array.from({ length: ROWS }, (_, row) => row);
  readonly #onLeaving: (shipment: Shipment) => void;
  #size = 0;

  /** `onLeaving` is called while the shipment is still on its row. */
  constructor(onLeaving: (shipment: Shipment) => void) {
    this.#onLeaving = onLeaving;
  }

  get size(): number {
    return this.#size;
  }

  get hasFreeRow(): boolean {
    return this.#freeRows.length > 0;
  }

  /** Puts a delivery on the lane and on a free row; there must be one. */
  ship(delivery: Delivery, lane: Lane, expectedMs: number, nowMs: number): Shipment {
    const row = this.#freeRows.pop()!;
    const shipment = new Shipment({ delivery, expectedMs, row, epoch: this.slots.ship(row) });
    this.#byRow[row] = shipment;
    this.#laneByRow[row] = lane;
    this.#size += 1;
    lane.add(shipment, nowMs);
    return shipment;
  }

  /** Returns the shipment with this number; `undefined` when it has left, even if its row has another one. */
  find(shipmentId: number): Shipment | undefined {
    const shipment = this.#byRow[rowOfShipment(shipmentId)];
    return shipment?.epoch === epochOfShipment(shipmentId) ? shipment : undefined;
  }

  /** Takes the right to run back from the thread. Returns false when the thread has begun it. */
  revoke({ row, epoch }: Shipment): boolean {
    return this.slots.revoke(row, epoch);
  }

  /** Takes back what a lane has not started. The rows are kept, since the thread has yet to pass over them. */
  revokeUnstarted(lane: Lane, matches: (delivery: Delivery) => boolean = () => true): Delivery[] {
    const taken: Delivery[] = [];
    if (!lane.thread) return taken; // leaving: when it is gone it is found out what had started
    for (const shipment of lane.shipments) {
      if (!matches(shipment.delivery) || !this.revoke(shipment)) continue;
      this.keep(shipment);
      lane.refund();
      taken.push(shipment.delivery);
    }
    return taken;
  }

  /** Asks what is on a lane to stop. */
  askToStop(lane: Lane, reason: StopReason, matches: (delivery: Delivery) => boolean = () => true): void {
    const nowMs = monotonicMs();
    let isAnyAsked = false;
    for (const shipment of lane.shipments) {
      if (!matches(shipment.delivery)) continue;
      isAnyAsked = true;
      this.slots.cancel(shipment.row, shipment.epoch, shipment.askToStop(reason, nowMs));
    }
    if (isAnyAsked) lane.thread?.attend();
  }

  /** The shipment leaves, and its row is free for the next one. `endedMs` says that its run ended then. */
  free(shipment: Shipment, endedMs?: number): void {
    this.#onLeaving(shipment);
    shipment.leave();
    this.#remove(shipment, endedMs);
    this.#freeRow(shipment.row);
  }

  /** The shipment leaves, and its row is free once its chunk is over. */
  keep(shipment: Shipment): void {
    this.#onLeaving(shipment);
    shipment.leaveKeepingRow();
    this.#remove(shipment);
  }

  /** The thread has passed over everything in the chunk, or is gone: the rows that were kept are free. */
  chunkOver(chunk: readonly Shipment[]): void {
    for (const shipment of chunk) {
      if (!shipment.keepsRow) continue;
      shipment.freeRow();
      this.#freeRow(shipment.row);
    }
  }

  #remove(shipment: Shipment, endedMs?: number): void {
    this.#laneByRow[shipment.row]!.remove(shipment, endedMs);
    this.#laneByRow[shipment.row] = undefined;
    this.#byRow[shipment.row] = undefined;
    this.#size -= 1;
  }

  #freeRow(row: number): void {
    this.slots.free(row);
    this.#freeRows.push(row);
  }
}
