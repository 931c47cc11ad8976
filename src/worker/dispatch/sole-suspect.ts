/**
 * The suspect of this worker. Owns three rules:
 *
 * - There is one at most.
 * - It has a thread of its own, started for it and ended after it. Nothing else has run there, and nothing else does.
 * - Nobody else waits for it: it counts within the worker's concurrency, in a place that a lane with a free one lends,
 *   but it takes no thread from others. When it cannot have a place or a thread soon, it goes back to Redis.
 *
 *          offer            a lane lends           its thread is there
 *   none ────────> waiting ──────────────> placed ─────────────────────> on its lane
 *     ^               │ too late, leave       │ too late, leave              │ leave
 *     └───────────────┴───────────────────────┴──────────────────────────────┘
 *
 * With `threads: 0` there is no thread of its own: it runs on the only one, in one of its places.
 */
import type { Delivery } from '../delivery.js';
import type { Lane } from './lane.js';

/** How long a suspect waits for a place. */
const PLACE_WITHIN_MS = 250;
/** How long it waits for its thread, which has to load the tasks. */
const THREAD_WITHIN_MS = 10_000;

/** What is to be done about the suspect. */
export type SuspectStep =
  | { readonly kind: 'nothing' }
  /** Its lane needs a thread. */
  | { readonly kind: 'start-thread'; readonly lane: Lane }
  | { readonly kind: 'ship'; readonly delivery: Delivery; readonly lane: Lane }
  /** It cannot run here soon. */
  | { readonly kind: 'give-back'; readonly delivery: Delivery };

const NOTHING: SuspectStep = { kind: 'nothing' };

export class SoleSuspect {
  readonly #lanes: readonly Lane[];
  readonly #ownLane: Lane | null;
  #delivery: Delivery | null = null;
  #offeredMs = 0;
  #isShipped = false;
  #isThreadStarting = false;
  /** The lane that lends it a place. */
  #lender: Lane | null = null;

  /** @param ownLane - the lane of its own; `null` when the only thread there is cannot be ended */
  constructor(lanes: readonly Lane[], ownLane: Lane | null) {
    this.#lanes = lanes;
    this.#ownLane = ownLane;
  }

  /** The suspect that is not on a lane yet; `null` when there is none. */
  get waiting(): Delivery | null {
    return this.#isShipped ? null : this.#delivery;
  }

  /** Whether a lane lends it a place. */
  get isPlaced(): boolean {
    return this.#lender !== null;
  }

  /** Accepts a suspect. Returns false when there is another one. */
  offer(delivery: Delivery, nowMs: number): boolean {
    if (this.#delivery) return false;
    this.#delivery = delivery;
    this.#offeredMs = nowMs;
    return true;
  }

  /** Returns the next step of the suspect that waits, after it has found it a place if there is one. */
  next(nowMs: number): SuspectStep {
    const delivery = this.waiting;
    if (!delivery) return NOTHING;
    const waitedMs = nowMs - this.#offeredMs;
    const lane = this.#findLane(nowMs);
    if (!lane) return waitedMs > PLACE_WITHIN_MS ? { kind: 'give-back', delivery } : NOTHING;
    if (lane.isServing) return { kind: 'ship', delivery, lane };
    if (waitedMs > THREAD_WITHIN_MS) return { kind: 'give-back', delivery };
    if (!lane.isUnstaffed || this.#isThreadStarting) return NOTHING;
    this.#isThreadStarting = true;
    return { kind: 'start-thread', lane };
  }

  /** Notes that the suspect is on its lane. */
  shipped(): void {
    this.#isShipped = true;
  }

  /** Notes that the start of its thread is over, successful or not. */
  threadStarted(): void {
    this.#isThreadStarting = false;
  }

  /** Notes that a delivery leaves this worker or its lane. If it was the suspect, the next one may come. */
  leave(delivery: Delivery): void {
    if (delivery !== this.#delivery) return;
    this.#delivery = null;
    this.#isShipped = false;
    this.#lender?.takeBackPlace();
    this.#lender = null;
  }

  /** Returns the lane of the suspect; `null` while there is no place for it. */
  #findLane(nowMs: number): Lane | null {
    if (this.#lender) return this.#ownLane;
    const freest = freestOf(this.#lanes);
    if (!freest || !this.#ownLane) return freest;
    freest.lendPlace(nowMs);
    this.#lender = freest;
    return this.#ownLane;
  }
}

/** Returns the lane with most free places; `null` when there is none. */
function freestOf(lanes: readonly Lane[]): Lane | null {
  let freest: Lane | null = null;
  for (const lane of lanes) if (lane.free > (freest?.free ?? 0)) freest = lane;
  return freest;
}
