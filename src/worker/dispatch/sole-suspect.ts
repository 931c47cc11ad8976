/**
 * The suspect of this worker. Owns two rules: there is one at most, and it runs alone on its thread, so that a death can
 * be charged to it.
 *
 *          offer             shipped
 *   none ────────> waiting ──────────> on its lane
 *     ^               │ leave              │ leave
 *     └───────────────┴────────────────────┘
 *
 * While it waits, one lane is reserved for it, and stays reserved until it leaves.
 */
import type { Delivery } from '../delivery.js';
import type { Lane } from './lane.js';

export class SoleSuspect {
  readonly #lanes: readonly Lane[];
  #delivery: Delivery | null = null;
  #isShipped = false;

  constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
  }

  /** The suspect that waits for a lane of its own; `null` when there is none, or when it is on its lane. */
  get waiting(): Delivery | null {
    return this.#isShipped ? null : this.#delivery;
  }

  /** Accepts a suspect. Returns false when there is another one. */
  offer(delivery: Delivery): boolean {
    if (this.#delivery) return false;
    this.#delivery = delivery;
    return true;
  }

  /**
   * Reserves the lane with the fewest shipments for the suspect that waits, or another one when that can no longer take
   * it, because its thread is about to be ended or is gone. Returns the lane once nothing else is on it.
   */
  reserveLane(): Lane | null {
    const lane = this.#reserved() ?? this.#reserveEmptiest();
    return lane?.shipments.size === 0 ? lane : null;
  }

  /** Notes that the suspect was shipped to the lane that was reserved for it. */
  shipped(): void {
    this.#isShipped = true;
  }

  /** Notes that a delivery leaves this worker or its lane. If it was the suspect, the next one may come. */
  leave(delivery: Delivery): void {
    if (delivery !== this.#delivery) return;
    this.#delivery = null;
    this.#isShipped = false;
    this.#unreserve();
  }

  #reserved(): Lane | null {
    return this.#lanes.find((lane) => lane.isReserved && lane.isServing) ?? null;
  }

  #reserveEmptiest(): Lane | null {
    let emptiest: Lane | null = null;
    for (const lane of this.#lanes) {
      if (lane.isServing && (!emptiest || lane.shipments.size < emptiest.shipments.size)) emptiest = lane;
    }
    if (!emptiest) return null;
    this.#unreserve();
    emptiest.reserve();
    return emptiest;
  }

  #unreserve(): void {
    for (const lane of this.#lanes) lane.unreserve();
  }
}
