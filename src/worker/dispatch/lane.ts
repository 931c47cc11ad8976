/**
 * One thread as the dispatcher sees it, with the shipments it has. Owns when something may be shipped to it. The lane stays
 * when its thread is replaced.
 *
 *               attach              beginEnding
 *   unstaffed ─────────> serving <───────────────> ending        a run will not end: nothing more is shipped
 *       ^                   │          reopen         │
 *       │                   │ threadDying             │ threadDying
 *       │                   │ retire                  │ retire, terminate
 *       │   detach          v                         │
 *       └──────────────── leaving <───────────────────┘          nothing is shipped, nothing is taken back
 *
 * `detach` also leads from serving and from ending, because a thread may exit before it fails a chunk. `terminate` needs
 * `ending` before it, so that what had not started is taken back first. `retire` needs a lane that is spent and empty.
 *
 * Three things do not depend on this:
 *
 *   reserved   reserve, until unreserve or detach    one suspect is to run alone: nothing else is shipped
 *   spent      add and refund count, renew resets    the thread has run all it may: nothing more is shipped
 *   blocked    block, until a run ends               a run holds the thread's event loop: nothing would start
 *              or the thread attends
 *
 * DeadlineEnforcer begins an ending and terminates, SoleSuspect reserves, Shipments adds and removes, and the Dispatcher
 * does everything else. A transition that is not drawn here throws.
 */
import type { Thread } from '../threads/thread.js';
import type { Shipment } from './shipment.js';

/**
 * A lane takes nothing more once what it has is worth this much, and a chunk is worth no more than this. At 5 ms the cost
 * of chunks is gone (97 % of a thread's time is the tasks' own, measured) and nothing waits long behind it.
 */
export const CHUNK_MS = 5;

/** A lane that shows no progress for this long has a run that takes longer than expected. */
const STUCK_AFTER_MS = 2 * CHUNK_MS;

/** Since when a run of the lane's thread is overdue, and the request by which the thread was asked to attend to it. */
export interface Ending {
  readonly sinceMs: number;
  readonly request: number;
}

type Phase =
  | { readonly kind: 'unstaffed' }
  | { readonly kind: 'serving'; readonly thread: Thread }
  | { readonly kind: 'ending'; readonly thread: Thread; readonly ending: Ending }
  | { readonly kind: 'leaving'; readonly ending: Ending | null };

const UNSTAFFED: Phase = { kind: 'unstaffed' };

export class Lane {
  readonly #shipments = new Set<Shipment>();
  #phase: Phase = UNSTAFFED;
  #isReserved = false;
  /** Executions that may still be shipped to its thread before that is replaced. */
  #remaining = 0;
  /** The request that asked the thread to attend, while a run may hold the event loop. */
  #blockedSince: number | null = null;
  #lastShippedMs = 0;
  #expectedMs = 0;
  #progressedMs = 0;

  constructor(
    readonly index: number,
    /** Executions the thread runs at once. */
    readonly concurrency: number,
    /** Executions a thread runs before it is replaced. */
    readonly tasksPerThread: number = Number.POSITIVE_INFINITY,
  ) {}

  get shipments(): ReadonlySet<Shipment> {
    return this.#shipments;
  }

  /** Its thread; `null` without one, and while that is leaving. */
  get thread(): Thread | null {
    const phase = this.#phase;
    return phase.kind === 'serving' || phase.kind === 'ending' ? phase.thread : null;
  }

  /** Set from the time its thread is about to be ended because of what it runs, until the thread is gone. */
  get ending(): Ending | null {
    const phase = this.#phase;
    return phase.kind === 'ending' || phase.kind === 'leaving' ? phase.ending : null;
  }

  /** Whether a suspect is to run alone here. */
  get isReserved(): boolean {
    return this.#isReserved;
  }

  /** Puts a fresh thread on the lane. */
  attach(thread: Thread): void {
    if (this.#phase.kind !== 'unstaffed' || this.#shipments.size > 0) this.#refuse('attach a thread');
    this.#phase = { kind: 'serving', thread };
    this.#remaining = this.tasksPerThread;
  }

  /** A run will not end: nothing more is shipped, and the thread is asked to attend to it. */
  beginEnding(nowMs: number): Ending {
    const phase = this.#phase;
    if (phase.kind !== 'serving') return this.#refuse('begin to end its thread');
    const ending = { sinceMs: nowMs, request: phase.thread.attend() };
    this.#phase = { kind: 'ending', thread: phase.thread, ending };
    return ending;
  }

  /** The run ended by itself: the thread is not ended after all. */
  reopen(): void {
    const phase = this.#phase;
    if (phase.kind !== 'ending') return this.#refuse('reopen');
    this.#phase = { kind: 'serving', thread: phase.thread };
  }

  /** Ends the thread by force; detach() follows when it is gone. */
  terminate(): void {
    const phase = this.#phase;
    if (phase.kind !== 'ending') return this.#refuse('terminate its thread');
    this.#phase = { kind: 'leaving', ending: phase.ending };
    void phase.thread.terminate(0);
  }

  /** Takes a thread that has run all it may off the lane, and returns it; detach() follows when it is gone. */
  retire(): Thread {
    const { thread, ending } = this;
    if (!thread || !this.canRetire) return this.#refuse('retire its thread');
    this.#phase = { kind: 'leaving', ending };
    return thread;
  }

  /** The thread failed a chunk; detach() follows when it is gone. Does nothing for a thread that is leaving, or has left. */
  threadDying(thread: Thread): void {
    if (this.thread === thread) this.#phase = { kind: 'leaving', ending: this.ending };
  }

  /** The thread is gone. The shipments it had are removed next. */
  detach(): void {
    if (this.#phase.kind === 'unstaffed') this.#refuse('detach a thread');
    this.#phase = UNSTAFFED;
    this.#isReserved = false;
  }

  /** Keeps the lane for a suspect; it runs what it has to the end. */
  reserve(): void {
    if (this.#phase.kind !== 'serving' || this.#isReserved) this.#refuse('be reserved');
    this.#isReserved = true;
  }

  /** Opens the lane to all again; does nothing when it is. */
  unreserve(): void {
    this.#isReserved = false;
  }

  /** Whether its thread may be given work: it is there, is not about to be ended, and has not run all it may. */
  get isServing(): boolean {
    return this.#phase.kind === 'serving' && this.#remaining > 0;
  }

  /** Whether anything but a suspect may be shipped to it, now or when a run ends. */
  get takesWork(): boolean {
    return this.isServing && !this.#isReserved;
  }

  /** Whether its thread has run all it may, and nothing of that is left. */
  get canRetire(): boolean {
    return this.#isSpent && this.#shipments.size === 0;
  }

  get #isSpent(): boolean {
    return this.#remaining <= 0 && this.thread !== null;
  }

  /** The thread may run as many executions once more. */
  renew(): void {
    if (!this.thread) this.#refuse('renew its thread');
    this.#remaining = this.tasksPerThread;
  }

  /** How long more could have run here, had the thread not run all it may. */
  underusedMs(nowMs: number): number {
    return this.#isSpent && this.#shipments.size < this.concurrency ? nowMs - this.#lastShippedMs : 0;
  }

  /** Runs that would start at once. */
  get free(): number {
    return this.takesWork && !this.#isBlocked() ? Math.max(0, this.concurrency - this.#shipments.size) : 0;
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
    return this.sinceProgressMs(nowMs) > STUCK_AFTER_MS;
  }

  /** How long nothing has ended here; 0 while it has nothing to do. */
  sinceProgressMs(nowMs: number): number {
    return this.#shipments.size > 0 ? nowMs - this.#progressedMs : 0;
  }

  /** Whether something may have been shipped that has not started: without that there is nothing to take back. */
  get canHoldUnstarted(): boolean {
    return this.#shipments.size > 1;
  }

  add(shipment: Shipment, nowMs: number): void {
    if (!this.isServing || (this.#isReserved && this.#shipments.size > 0)) this.#refuse('take a shipment');
    if (this.#shipments.size === 0) this.#progressedMs = nowMs;
    this.#shipments.add(shipment);
    this.#remaining -= 1;
    this.#lastShippedMs = nowMs;
    this.#expectedMs += shipment.expectedMs;
  }

  /** `endedMs` says that a run ended then. Without it there was no progress, and the lane is as stuck as before. */
  remove(shipment: Shipment, endedMs?: number): void {
    this.#shipments.delete(shipment);
    this.#expectedMs = this.#shipments.size === 0 ? 0 : this.#expectedMs - shipment.expectedMs;
    if (endedMs !== undefined) this.#progressedMs = endedMs;
    if (endedMs !== undefined || this.#shipments.size === 0) this.#blockedSince = null;
  }

  /** What was shipped and removed never ran: the thread may run another one instead. */
  refund(): void {
    this.#remaining += 1;
  }

  /**
   * A run holds the thread's event loop: what was shipped has not started although there was room for it. Nothing more is
   * shipped until something ends, or the thread attends again.
   */
  block(): void {
    if (this.#shipments.size > 0) this.#blockedSince = this.thread?.attend() ?? null;
  }

  #isBlocked(): boolean {
    if (this.#blockedSince === null) return false;
    return !this.thread?.hasAttended(this.#blockedSince);
  }

  #refuse(action: string): never {
    const { size } = this.#shipments;
    const reserved = this.#isReserved ? ', reserved' : '';
    throw new Error(
      `lane ${this.index} cannot ${action}: it is ${this.#phase.kind}${reserved}, with ${size} shipments`,
    );
  }
}
