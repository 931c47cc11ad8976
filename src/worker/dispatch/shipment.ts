/**
 * One delivery on its way to, or on, a thread. Plain data: `Shipments` owns the rule for its place, and asks it to stop;
 * DeadlineEnforcer condemns it, asked to stop or not, when its thread is about to be ended because of it.
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

/** Where a shipment is: on a lane and a row, on a row only, or on neither. Written by `Shipments` alone. */
export type Place = 'shipped' | 'row kept' | 'over';

export class Shipment implements ChunkItem {
  readonly record: string | null;
  readonly token: string | null;
  readonly partition: string;
  readonly dueMs: number;
  readonly isRedelivered: boolean;
  readonly message: Uint8Array;
  place: Place = 'shipped';
  /** The request to stop; `null` until there is one. */
  stop: StopRequest | null = null;
  /** Why its thread is being ended because of it; `null` while it is not. */
  condemned: CondemnReason | null = null;
  /** Whether its thread may have to be ended because of it: its task has a timeout, or it was asked to stop. */
  mayBeOverdue: boolean;

  constructor(
    readonly delivery: Delivery,
    /** Expected duration; 0 for an unknown task, which travels alone. */
    readonly expectedMs: number,
    readonly row: number,
    readonly epoch: number,
  ) {
    this.record = delivery.record;
    this.token = delivery.record === null ? null : delivery.token;
    this.partition = delivery.pipeline.tag;
    this.dueMs = delivery.dueMs;
    this.isRedelivered = delivery.deliveries > 0;
    this.message = delivery.envelope.bytes;
    this.mayBeOverdue = delivery.policies?.timeoutMs !== undefined;
  }
}
