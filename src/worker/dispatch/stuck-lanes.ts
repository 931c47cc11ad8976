/**
 * Takes back deliveries that wait in vain: on a lane whose thread is held by one attempt, on one that is occupied, or
 * in the queue of a worker whose threads are all slow. They go to an idle thread or, after a while, back to Redis for
 * another worker.
 *
 * Owns the end of a thread that is occupied: a function `onFailed`, or what an attempt has left behind, holds its event loop. No
 * timeout ends that, and nothing would ever run there again.
 *
 * Owns when to look: no earlier than a look can gain something. With a task of 50 ms on each thread, and more in the queue,
 * no look can gain anything, and a look every 5 ms would cost each task 2 % of its time (measured).
 */
import type { Delivery } from '../delivery.js';
import type { DeliveryQueue } from './delivery-queue.js';
import type { Lane } from './lane.js';
import type { Shipments } from './shipments.js';

/** Deliveries that found no thread for this long are requeued, for another worker to run. */
const REQUEUE_AFTER_MS = 250;
/** A thread that is occupied for this long is ended: the time of `onFailed` for a task without a timeout. */
const OCCUPIED_AT_MOST_MS = 30_000;
/** The time until the next look where something may have changed since the last one. */
export const LOOK_AGAIN_MS = 5;
/** The longest time until the next look at a stuck lane to which nothing was shipped since the last one. */
const LONGEST_LOOK_AGAIN_MS = 50;

export interface StuckLanesOptions {
  readonly lanes: readonly Lane[];
  readonly queue: DeliveryQueue;
  readonly shipments: Shipments;
  /** Settles the attempts that have ended on the lane and that its thread cannot report. */
  harvest(lane: Lane): void;
  /** Puts a delivery at the head of the queue. */
  putBack(delivery: Delivery): void;
  requeue(deliveries: readonly Delivery[]): void;
  /** Called before a thread is ended because it was occupied for so long. */
  onOccupied(lane: Lane, occupiedMs: number): void;
}

export class StuckLanes {
  readonly #options: StuckLanesOptions;
  /** When each lane was last found stuck, on the monotonic clock. */
  readonly #foundMs = new Map<Lane, number>();
  /** When unstarted shipments were last taken back from each lane for others, if there were any. */
  readonly #relievedMs = new Map<Lane, number>();

  constructor(options: StuckLanesOptions) {
    this.#options = options;
  }

  /** Returns in how many milliseconds a look may gain something; `null` when only events can change anything. */
  nextLookMs(nowMs: number): number | null {
    const { lanes, queue, shipments } = this.#options;
    let nextMs = shipments.hasFreeRow ? Number.POSITIVE_INFINITY : LONGEST_LOOK_AGAIN_MS;
    for (const lane of lanes) {
      if (!lane.thread) continue;
      if (lane.canHoldUnstarted) nextMs = Math.min(nextMs, this.#nextLookAtLaneMs(lane, nowMs));
      else if (lane.wasOccupied) nextMs = Math.min(nextMs, LONGEST_LOOK_AGAIN_MS);
      else if (this.#hasLoneUnstarted(lane))
        nextMs = Math.min(nextMs, Math.max(LOOK_AGAIN_MS, this.#loneForMs(lane, nowMs)));
    }
    if (queue.length > 0) nextMs = Math.min(nextMs, this.#nextLookAtQueueMs(nowMs));
    return nextMs === Number.POSITIVE_INFINITY ? null : nextMs;
  }

  /**
   * A lane with several shipments is looked at once it is stuck, and then again: what was shipped to it since may not have
   * begun, and what has ended may not be reported. It is also looked at as soon as another lane is free for what it has.
   */
  #nextLookAtLaneMs(lane: Lane, nowMs: number): number {
    const sinceMs = lane.sinceProgressMs(nowMs);
    if (sinceMs <= lane.stuckAfterMs) return Math.max(LOOK_AGAIN_MS, lane.stuckAfterMs - sinceMs + 1);
    const knownMs = (this.#hasFreeBeside(lane) ? this.#relievedMs : this.#foundMs).get(lane) ?? 0;
    if (lane.lastShippedMs >= knownMs) return LOOK_AGAIN_MS;
    return Math.min(LONGEST_LOOK_AGAIN_MS, Math.max(LOOK_AGAIN_MS, sinceMs / 4));
  }

  /** The queue waits for a thread that attends again, which says so in shared memory only, or until all lanes are slow. */
  #nextLookAtQueueMs(nowMs: number): number {
    let nextMs = LOOK_AGAIN_MS;
    for (const lane of this.#options.lanes) {
      if (lane.isBlocked) return LOOK_AGAIN_MS;
      nextMs = Math.max(nextMs, REQUEUE_AFTER_MS - lane.sinceProgressMs(nowMs) + 1);
    }
    return nextMs;
  }

  /** Looks at all lanes, at the queue, and for rows where there are none, once. */
  relieve(nowMs: number): void {
    const { lanes, queue, shipments, requeue } = this.#options;
    for (const lane of lanes) {
      if (!lane.thread) continue;
      if (lane.canHoldUnstarted && lane.isStuck(nowMs)) this.#relieveLane(lane, nowMs);
      else if (this.#hasLoneUnstarted(lane) && this.#loneForMs(lane, nowMs) <= 0) this.#relieveLane(lane, nowMs);
      if (lane.wasOccupied) this.#endIfOccupied(lane, nowMs);
    }
    if (!shipments.hasFreeRow) shipments.freeSkipped();
    const { hasFreeRow } = shipments;
    const isSlow = (lane: Lane) => lane.isOccupied || ((lane.free === 0 || !hasFreeRow) && isSilent(lane, nowMs));
    if (queue.length > 0 && lanes.every(isSlow)) requeue(queue.clear());
  }

  /** Takes back the unstarted shipments of a stuck lane: for a free lane or, after a while, for another worker. */
  #relieveLane(lane: Lane, nowMs: number): void {
    const { shipments, harvest, putBack, requeue } = this.#options;
    this.#foundMs.set(lane, nowMs);
    harvest(lane);
    if (this.#hasFreeBeside(lane)) {
      this.#relievedMs.set(lane, nowMs);
      const taken = shipments.revokeUnstarted(lane);
      if (taken.length > 0) this.#block(lane, nowMs);
      for (const delivery of taken.reverse()) putBack(delivery);
    } else if (isSilent(lane, nowMs)) {
      const taken = shipments.revokeUnstarted(lane);
      if (taken.length > 0 && lane.shipments.size === 0) this.#block(lane, nowMs);
      if (taken.length > 0) requeue(taken);
    }
  }

  #block(lane: Lane, nowMs: number): void {
    if (lane.shipments.size > 0) lane.block();
    else lane.occupy(nowMs);
  }

  /** Whether a lane has a single shipment, and that has not begun. Usually it begins at once. */
  #hasLoneUnstarted({ shipments, thread }: Lane): boolean {
    if (shipments.size !== 1 || !thread?.isEnforceable) return false;
    const [first] = shipments;
    return this.#options.shipments.isUnstarted(first!);
  }

  /** Returns for how many milliseconds a single shipment may still wait for its start. */
  #loneForMs(lane: Lane, nowMs: number): number {
    return lane.lastShippedMs + REQUEUE_AFTER_MS - nowMs;
  }

  #endIfOccupied(lane: Lane, nowMs: number): void {
    const occupiedMs = lane.lookOccupied(nowMs);
    if (occupiedMs === null || occupiedMs < OCCUPIED_AT_MOST_MS || !lane.thread?.isEnforceable || lane.ending) return;
    this.#options.onOccupied(lane, occupiedMs);
    lane.beginEnding(nowMs);
    lane.terminate();
  }

  #hasFreeBeside(lane: Lane): boolean {
    return this.#options.lanes.some((other) => other !== lane && other.free > 0);
  }
}

function isSilent(lane: Lane, nowMs: number): boolean {
  return lane.sinceProgressMs(nowMs) > REQUEUE_AFTER_MS;
}
