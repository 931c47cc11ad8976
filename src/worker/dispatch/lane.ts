/** One thread as the dispatcher sees it: what was shipped to it, and how long that should take. */
import type { ChunkItem } from '../../channel/protocol.js';
import type { StopReason } from '../../channel/slots.js';
import type { Delivery } from '../delivery.js';
import type { Thread } from '../threads/thread.js';

/** One delivery on its way to, or on, a thread. */
export interface Shipment extends ChunkItem {
  readonly delivery: Delivery;
  readonly lane: Lane;
  /** Expected duration; 0 for an unknown task, which travels alone. */
  readonly expectedMs: number;
  /** Set when it left the lane before its chunk was over: its row is free only then, when the thread has passed over it. */
  keepsRow: boolean;
  /** Set when it was asked to stop. */
  stop: { readonly reason: StopReason; readonly askedMs: number } | null;
  /** Set when its thread is ended because of it. */
  condemned: 'timeout' | 'stopped' | null;
}

/**
 * A lane takes nothing more once what it has is worth this much, and a chunk is worth no more than this. At 5 ms the cost
 * of chunks is gone (97 % of a thread's time is the tasks' own, measured) and nobody waits long behind it.
 */
export const CHUNK_MS = 5;

/** A lane that shows no progress for so long has a run that takes longer than expected. */
const STUCK_AFTER_MS = 2 * CHUNK_MS;

export class Lane {
  readonly shipments = new Set<Shipment>();
  thread: Thread | null = null;
  /** Executions that may still be shipped to its thread before that is replaced. */
  #left = 0;
  #lastShippedMs = 0;
  #expectedMs = 0;
  #progressedMs = 0;
  /** Set while a run may hold the thread's event loop; the request asked the thread to listen. */
  #blocked: { readonly request: number } | null = null;
  /** Kept for one execution that must run alone: nothing else is shipped. */
  isReserved = false;
  /** Set while its thread has a run that will not end: nothing else is shipped. `request` asked the thread to listen. */
  ending: { readonly sinceMs: number; readonly request: number } | null = null;

  constructor(
    readonly index: number,
    /** Executions the thread runs at once. */
    readonly concurrency: number,
    /** Executions a thread runs before it is replaced. */
    readonly tasksPerThread: number = Number.POSITIVE_INFINITY,
  ) {}

  /** Puts a fresh thread on the lane. */
  attach(thread: Thread): void {
    this.thread = thread;
    this.renew();
  }

  /** Its thread may run as many executions once more. */
  renew(): void {
    this.#left = this.tasksPerThread;
  }

  /** Whether anything may be shipped to it, now or when something ends. */
  get takesWork(): boolean {
    return this.#isServing && !this.isReserved;
  }

  /** Whether it may be kept for one execution that must run alone. */
  get takesSuspects(): boolean {
    return this.#isServing;
  }

  get #isServing(): boolean {
    return this.thread !== null && this.ending === null && this.#left > 0;
  }

  /** Whether its thread has run all it may, and nothing is left of that. */
  get isSpent(): boolean {
    return this.thread !== null && this.#left <= 0 && this.shipments.size === 0;
  }

  /** How long more could run here, had its thread not run all it may. */
  idlesMs(nowMs: number): number {
    const idles = this.thread !== null && this.#left <= 0 && this.shipments.size < this.concurrency;
    return idles ? nowMs - this.#lastShippedMs : 0;
  }

  /** Runs that would start at once. */
  get free(): number {
    return this.takesWork && !this.#isBlocked() ? Math.max(0, this.concurrency - this.shipments.size) : 0;
  }

  /** Expected time until the lane has worked off what it has. */
  get expectedMs(): number {
    return this.#expectedMs / this.concurrency;
  }

  /** Whether more may be shipped ahead of the runs it has. */
  isOpen(nowMs: number): boolean {
    return this.takesWork && this.expectedMs < CHUNK_MS && !this.isStuck(nowMs);
  }

  /** Whether a run takes longer than what is shipped behind it should have to wait. */
  isStuck(nowMs: number): boolean {
    return this.shipments.size > 0 && nowMs - this.#progressedMs > STUCK_AFTER_MS;
  }

  /** How long nothing has ended here. */
  silentMs(nowMs: number): number {
    return this.shipments.size > 0 ? nowMs - this.#progressedMs : 0;
  }

  add(shipment: Shipment, nowMs: number): void {
    if (this.shipments.size === 0) this.#progressedMs = nowMs;
    this.shipments.add(shipment);
    this.#left -= 1;
    this.#lastShippedMs = nowMs;
    this.#expectedMs += shipment.expectedMs;
  }

  /** `endedMs` says that a run ended then: what is taken back is no progress, and the lane is as stuck as before. */
  remove(shipment: Shipment, endedMs?: number): void {
    this.shipments.delete(shipment);
    this.#expectedMs = this.shipments.size === 0 ? 0 : this.#expectedMs - shipment.expectedMs;
    if (endedMs !== undefined) this.#progressedMs = endedMs;
    if (endedMs !== undefined || this.shipments.size === 0) this.#blocked = null;
  }

  /** What was shipped and removed never ran: the thread may run another one instead. */
  refund(): void {
    this.#left += 1;
  }

  /**
   * A run holds the thread's event loop: what was shipped has not started although there was room for it. Nothing more is
   * shipped until something ends, or the thread listens again.
   */
  block(): void {
    if (this.thread && this.shipments.size > 0) this.#blocked = { request: this.thread.attend() };
  }

  #isBlocked(): boolean {
    if (this.#blocked && this.thread?.hasHeard(this.#blocked.request)) this.#blocked = null;
    return this.#blocked !== null;
  }

  /** Whether something may have been shipped that has not started: only then is it worth to look. */
  get mayHoldUnstarted(): boolean {
    return this.shipments.size > 1;
  }
}
