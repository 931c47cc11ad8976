/**
 * One delivery on its way to, or on, a thread. Owns its state in this worker.
 *
 *               leave
 *   shipped ───────────────────────────────────> over          its row is free for the next shipment
 *      │                                          ^
 *      └── leaveKeepingRow ──> row kept ── freeRow ┘           the thread may still reach its row
 *
 * While it is shipped it can get two marks, in this order, or the second one alone: `askToStop` (the first reason
 * counts), and `condemn`, when its thread is about to be ended because of it. A step that is not drawn here throws: a row
 * that is freed twice would go to two executions.
 */
import type { ChunkItem } from '../../channel/protocol.js';
import type { StopReason } from '../../channel/slots.js';
import type { Delivery } from '../delivery.js';

/** Why a thread is ended because of an execution: it ran out of time, or did not stop when it was asked to. */
export type CondemnReason = 'timeout' | StopReason;

export interface StopRequest {
  readonly reason: StopReason;
  /** When it was asked, on the monotonic clock. */
  readonly askedMs: number;
}

type Place = 'shipped' | 'row kept' | 'over';

export interface ShipmentParts {
  readonly delivery: Delivery;
  /** Expected duration; 0 for an unknown task, which travels alone. */
  readonly expectedMs: number;
  readonly row: number;
  readonly epoch: number;
}

export class Shipment implements ChunkItem {
  readonly delivery: Delivery;
  readonly expectedMs: number;
  readonly row: number;
  readonly epoch: number;
  readonly record: string | null;
  readonly dueMs: number;
  readonly isRedelivered: boolean;
  readonly message: Uint8Array;
  #place: Place = 'shipped';
  #stop: StopRequest | null = null;
  #condemned: CondemnReason | null = null;

  constructor({ delivery, expectedMs, row, epoch }: ShipmentParts) {
    this.delivery = delivery;
    this.expectedMs = expectedMs;
    this.row = row;
    this.epoch = epoch;
    this.record = delivery.record;
    this.dueMs = delivery.dueMs;
    this.isRedelivered = delivery.deliveries > 0;
    this.message = delivery.envelope.bytes;
  }

  /** The request to stop; `null` until there is one. */
  get stop(): StopRequest | null {
    return this.#stop;
  }

  /** Why its thread is being ended because of it; `null` while it is not. */
  get condemned(): CondemnReason | null {
    return this.#condemned;
  }

  /** Whether it has left its lane, but still keeps its row. */
  get keepsRow(): boolean {
    return this.#place === 'row kept';
  }

  /** Notes that it is asked to stop, and returns the reason that counts: that of the first request. */
  askToStop(reason: StopReason, nowMs: number): StopReason {
    this.#require('shipped');
    this.#stop ??= { reason, askedMs: nowMs };
    return this.#stop.reason;
  }

  /** Notes that its thread is about to be ended because of it. */
  condemn(reason: CondemnReason): void {
    this.#require('shipped');
    this.#condemned = reason;
  }

  /** Notes that it leaves its lane and its row. */
  leave(): void {
    this.#require('shipped');
    this.#place = 'over';
  }

  /** Notes that it leaves its lane. It keeps its row until its chunk is over, because the thread may still reach it. */
  leaveKeepingRow(): void {
    this.#require('shipped');
    this.#place = 'row kept';
  }

  /** Notes that its chunk is over, so that the row it kept is free. */
  freeRow(): void {
    this.#require('row kept');
    this.#place = 'over';
  }

  #require(place: Place): void {
    if (this.#place !== place) throw new Error(`the shipment on row ${this.row} is not ${place} but ${this.#place}`);
  }
}
