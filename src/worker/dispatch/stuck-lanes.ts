/**
 * Takes back deliveries that wait in vain: on a lane whose thread is held by one attempt, or in the queue of a worker whose
 * threads are all slow. They go to an idle thread or, after a while, back to Redis for another worker.
 */
import type { Delivery } from '../delivery.js';
import type { DeliveryQueue } from './delivery-queue.js';
import type { Lane } from './lane.js';
import type { Shipments } from './shipments.js';

/** Deliveries that found no thread for this long are requeued, for another worker to run. */
const REQUEUE_AFTER_MS = 250;

export interface StuckLanesOptions {
  readonly lanes: readonly Lane[];
  readonly queue: DeliveryQueue;
  readonly shipments: Shipments;
  /** Settles the attempts that have ended on the lane and that its thread cannot report. */
  harvest(lane: Lane): void;
  /** Puts a delivery at the head of the queue. */
  putBack(delivery: Delivery): void;
  requeue(deliveries: readonly Delivery[]): void;
}

export class StuckLanes {
  readonly #options: StuckLanesOptions;

  constructor(options: StuckLanesOptions) {
    this.#options = options;
  }

  /** Looks at all lanes and at the queue once. */
  relieve(nowMs: number): void {
    const { lanes, queue, shipments, requeue } = this.#options;
    for (const lane of lanes) {
      if (lane.thread && lane.canHoldUnstarted && lane.isStuck(nowMs)) this.#relieveLane(lane, nowMs);
    }
    const { hasFreeRow } = shipments;
    const isSlow = (lane: Lane) => (lane.free === 0 || !hasFreeRow) && isSilent(lane, nowMs);
    if (queue.length > 0 && lanes.every(isSlow)) requeue(queue.clear());
  }

  /** Takes back the unstarted shipments of a stuck lane: for a free lane or, after a while, for another worker. */
  #relieveLane(lane: Lane, nowMs: number): void {
    const { lanes, shipments, harvest, putBack, requeue } = this.#options;
    harvest(lane);
    if (lanes.some((other) => other !== lane && other.free > 0)) {
      const taken = shipments.revokeUnstarted(lane);
      if (taken.length > 0) lane.block();
      for (const delivery of taken.reverse()) putBack(delivery);
    } else if (isSilent(lane, nowMs)) {
      const taken = shipments.revokeUnstarted(lane);
      if (taken.length > 0) requeue(taken);
    }
  }
}

function isSilent(lane: Lane, nowMs: number): boolean {
  return lane.sinceProgressMs(nowMs) > REQUEUE_AFTER_MS;
}
