/**
 * The suspect of this worker. Owns four rules:
 *
 * - A worker has one at most.
 * - It has a thread of its own, started for it and ended after it. Nothing else has run there, so a death of this thread is
 *   charged to it. With `threads: 0` it runs on the only thread there is.
 * - When it starts while nothing else runs in the process, AloneMark says so in Redis, and nothing else starts before the
 *   mark is removed again. So a death of the process is charged to it too.
 * - Nothing waits long for it. It counts within the worker's concurrency, in a place that a lane with a free one lends. When
 *   it cannot have a place or a thread soon, it goes back to Redis. When others want to start, the mark is removed.
 *
 *          offer            a lane lends           thread, mark
 *   none ────────> waiting ──────────────> placed ──────────────> on its lane, alone ──makeWay──> beside others
 *     ^               │ too late, leave       │ too late, leave              │ leave                   │
 *     └───────────────┴───────────────────────┴──────────────────────────────┴─────────────────────────┘
 *
 * A suspect that loses its process again and again insists on being alone: it does not start beside others, and they do not
 * start beside it for a while, twice as long each time. Otherwise an execution that kills its process late could not be
 * distinguished from the others of a busy worker.
 */
import { SUSPECT_AFTER } from '../../redis/schema.js';
import type { Delivery } from '../delivery.js';
import type { AloneMark } from './alone-mark.js';
import type { Lane } from './lane.js';

/** How long a suspect waits for a place. */
const PLACE_WITHIN_MS = 250;
/** How long it waits for its thread, which has to load the tasks. */
const THREAD_WITHIN_MS = 10_000;
/** How long one that insists on being alone waits, with its thread, until nothing else runs. */
const ALONE_WITHIN_MS = 250;
/** Deliveries without an outcome from which a suspect insists on being alone. */
const INSISTS_AFTER = SUSPECT_AFTER + 3;
/** How long others do not start beside a suspect: the first time that it insists, and at most. */
const FIRST_HOLD_MS = 1_000;
const LONGEST_HOLD_MS = 300_000;
/** After this many reroutes of one such delivery it stops insisting: no worker can have it alone. */
const REROUTES = 10;

/** The next step for the suspect. */
export type SuspectStep =
  | { readonly kind: 'nothing' }
  /** Its lane needs a thread. */
  | { readonly kind: 'start-thread'; readonly lane: Lane }
  | { readonly kind: 'ship'; readonly delivery: Delivery; readonly lane: Lane }
  /** It cannot run here soon. */
  | { readonly kind: 'give-back'; readonly delivery: Delivery }
  /** It cannot run alone here soon. */
  | { readonly kind: 'reroute'; readonly delivery: Delivery };

const NOTHING: SuspectStep = { kind: 'nothing' };

export class SoleSuspect {
  readonly #lanes: readonly Lane[];
  readonly #ownLane: Lane | null;
  readonly #mark: AloneMark;
  #delivery: Delivery | null = null;
  #offeredMs = 0;
  /** When its thread was there and it had a place; `null` before. */
  #readyMs: number | null = null;
  #isMarking = false;
  #isShipped = false;
  #isThreadStarting = false;
  /** The time until which others do not start beside it. */
  #holdUntilMs = 0;
  /** The lane that lends it a place. */
  #lender: Lane | null = null;

  /** @param ownLane - the lane of its own; `null` when the only thread there is cannot be ended */
  constructor(lanes: readonly Lane[], ownLane: Lane | null, mark: AloneMark) {
    this.#lanes = lanes;
    this.#ownLane = ownLane;
    this.#mark = mark;
  }

  /** The suspect that is not on a lane yet; `null` when there is none. */
  get waiting(): Delivery | null {
    return this.#isShipped ? null : this.#delivery;
  }

  /** Whether there is one. */
  get isPresent(): boolean {
    return this.#delivery !== null;
  }

  /** Whether it has its thread, and waits for nothing but the mark. */
  get isReady(): boolean {
    return this.waiting !== null && this.#readyMs !== null;
  }

  /** Whether a lane lends it a place. */
  get isPlaced(): boolean {
    return this.#lender !== null;
  }

  /** Whether others may start: the suspect neither has the process to itself nor waits to have it. */
  get letsOthersStart(): boolean {
    return this.#mark.isClear && !(this.isReady && insists(this.#delivery!));
  }

  /** Whether the suspect has the process to itself for a while, or is about to, so that nothing more should be read. */
  holdsOthers(nowMs: number): boolean {
    if (this.#isShipped) return this.#mark.isWritten && nowMs < this.#holdUntilMs;
    return !this.letsOthersStart && this.#delivery !== null && insists(this.#delivery);
  }

  /** Accepts a suspect. Returns false when there is another one. */
  offer(delivery: Delivery, nowMs: number): boolean {
    if (this.#delivery) return false;
    this.#delivery = delivery;
    this.#offeredMs = nowMs;
    return true;
  }

  /** Gets the suspect that waits as far as it can: to a place, then to its mark. Returns what the dispatcher must do next. */
  advance(nowMs: number): SuspectStep {
    const delivery = this.waiting;
    if (!delivery) return NOTHING;
    const waitedMs = nowMs - this.#offeredMs;
    const lane = this.#takePlace(nowMs);
    if (!lane) return waitedMs > PLACE_WITHIN_MS ? { kind: 'give-back', delivery } : NOTHING;
    if (lane.isServing) return this.#advanceWithThread(delivery, lane, nowMs);
    if (waitedMs > THREAD_WITHIN_MS) return { kind: 'give-back', delivery };
    if (!lane.isUnstaffed || this.#isThreadStarting) return NOTHING;
    this.#isThreadStarting = true;
    return { kind: 'start-thread', lane };
  }

  #advanceWithThread(delivery: Delivery, lane: Lane, nowMs: number): SuspectStep {
    if (this.#isMarking) return this.#stepWithMark(delivery, lane);
    if (!this.#mark.isClear) return NOTHING; // that of the suspect before
    this.#readyMs ??= nowMs;
    if (this.#lanes.every(({ shipments }) => shipments.size === 0)) {
      this.#isMarking = true;
      this.#mark.write(delivery);
      return NOTHING;
    }
    if (!insists(delivery)) return { kind: 'ship', delivery, lane };
    return nowMs - this.#readyMs > ALONE_WITHIN_MS ? { kind: 'reroute', delivery } : NOTHING;
  }

  #stepWithMark(delivery: Delivery, lane: Lane): SuspectStep {
    if (this.#mark.isWritten) return { kind: 'ship', delivery, lane };
    return this.#mark.isClear ? { kind: 'give-back', delivery } : NOTHING; // it could not be marked
  }

  /** Notes that the suspect is on its lane. */
  shipped(nowMs: number): void {
    this.#isShipped = true;
    this.#holdUntilMs = nowMs + holdMsOf(this.#delivery!);
  }

  /** Removes the mark, so that others can start, unless the suspect holds them back for now. */
  makeWay(nowMs: number): void {
    if (this.#isShipped && !this.holdsOthers(nowMs)) this.#mark.remove();
  }

  /** Notes that its thread has started, or has failed to. */
  threadStartEnded(): void {
    this.#isThreadStarting = false;
  }

  /** Notes that a delivery leaves this worker or its lane. If it was the suspect, the next one may come. */
  leave(delivery: Delivery): void {
    if (delivery !== this.#delivery) return;
    this.#delivery = null;
    this.#readyMs = null;
    this.#isMarking = false;
    this.#isShipped = false;
    this.#mark.remove();
    this.#lender?.takeBackPlace();
    this.#lender = null;
  }

  /** Borrows a place, unless it has one. Returns the lane on which the suspect will run; `null` while no lane has a place. */
  #takePlace(nowMs: number): Lane | null {
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

function insists({ deliveries, reroutes }: Delivery): boolean {
  return reroutes < REROUTES * (deliveries - INSISTS_AFTER + 1);
}

/** Returns how long to reroute a suspect that cannot run alone here: longer each time, until it stops insisting. */
export function soloDelayMs({ reroutes }: Delivery): number {
  return FIRST_HOLD_MS * 2 ** (reroutes % REROUTES);
}

function holdMsOf(delivery: Delivery): number {
  if (!insists(delivery)) return 0;
  return Math.min(FIRST_HOLD_MS * 2 ** (delivery.deliveries - INSISTS_AFTER), LONGEST_HOLD_MS);
}
