/**
 * One thread as the dispatcher sees it, with its shipments. Owns the rule for when more may be shipped. The lane stays
 * when its thread is replaced.
 *
 *               attach              beginEnding
 *   unstaffed ─────────> serving <───────────────> ending        an attempt will not end: nothing more is shipped
 *       ^                   │          reopen         │
 *       │                   │ threadDying             │ threadDying
 *       │                   │ retire                  │ retire, terminate
 *       │   detach          v                         │
 *       └──────────────── leaving <───────────────────┘          nothing is shipped, nothing is taken back
 *
 * `detach` also leads from serving and from ending, because a thread may exit before it fails a chunk. `terminate` needs
 * `ending` before it, so that unstarted shipments are taken back first. `retire` needs a lane that is empty.
 *
 * Four marks do not depend on the state:
 *
 *   lending    lendPlace, until takeBackPlace        a suspect counts as one of its executions: one fewer is shipped
 *   spent      add and refund count, renew resets    the thread has run as many as it may: nothing more is shipped
 *   blocked    block, until an attempt ends          an attempt holds the thread's event loop: nothing would start
 *              or the thread attends
 *   occupied   occupy, until the thread attends      the same while nothing has begun there: code that is no attempt
 *                                                    holds the event loop, such as `onFailed`
 *
 * DeadlineEnforcer and StuckLanes begin an ending and terminate, SoleSuspect borrows places, Shipments adds and removes, and the
 * Dispatcher does everything else. A transition that is not drawn here throws.
 */
import { REPORT_AFTER_MS } from '../../channel/protocol.js';
import type { Thread } from '../threads/thread.js';
import type { Shipment } from './shipment.js';

/**
 * A lane takes nothing more once it would wait there for this long, and the part of a chunk that waits is worth no more
 * than this. At 5 ms, chunks cost next to nothing (97 % of a thread's time is the tasks' own, measured), and nothing waits
 * long behind one.
 */
export const CHUNK_MS = 5;

/**
 * The same for a lane with one place while there is a backlog: each message, each settlement and each event then carries several
 * executions of some milliseconds. An execution that waits behind one of them would wait as long in the queue.
 */
export const BACKLOG_CHUNK_MS = 20;

/** Since when an attempt on the lane's thread is overdue, and the request that asked the thread to attend to it. */
export interface Ending {
  readonly sinceMs: number;
  readonly request: number;
}

/** For how long something has held the event loop of a thread on which nothing has begun. */
interface Occupation {
  /** The request that asked the thread to attend. */
  readonly request: number;
  /** When it was looked at last, on the monotonic clock. */
  lookedMs: number;
  /** For how long, in the time in which somebody looked. */
  occupiedMs: number;
}

/** A pause between two looks that is longer than this may be one of the whole process, and does not count. */
const LONGEST_LOOK_MS = 250;

type LaneState =
  | { readonly kind: 'unstaffed' }
  | { readonly kind: 'serving'; readonly thread: Thread }
  | { readonly kind: 'ending'; readonly thread: Thread; readonly ending: Ending }
  | { readonly kind: 'leaving'; readonly ending: Ending | null };

const UNSTAFFED: LaneState = { kind: 'unstaffed' };

export class Lane {
  readonly #shipments = new Set<Shipment>();
  #state: LaneState = UNSTAFFED;
  #isLending = false;
  /** The number of executions that may still be shipped to its thread before the thread is replaced. */
  #remaining = 0;
  /** The number of executions that were shipped to its present or last thread and not taken back. */
  #shipped = 0;
  /** The request that asked the thread to attend, while an attempt may hold the event loop. */
  #blockedSince: number | null = null;
  #occupation: Occupation | null = null;
  #lastShippedMs = 0;
  #expectedMs = 0;
  #progressedMs = 0;
  /** The amount of work that a chunk for it was last worth. */
  #chunkMs = CHUNK_MS;

  constructor(
    readonly index: number,
    /** The number of executions the thread runs at once. */
    readonly concurrency: number,
    /** The number of executions a thread runs before it is replaced. */
    readonly tasksPerThread: number = Number.POSITIVE_INFINITY,
  ) {}

  get shipments(): ReadonlySet<Shipment> {
    return this.#shipments;
  }

  /** Its thread; `null` when there is none, or when it is leaving. */
  get thread(): Thread | null {
    const state = this.#state;
    return state.kind === 'serving' || state.kind === 'ending' ? state.thread : null;
  }

  /** Set while its thread is being ended because of an overdue attempt, until the thread is gone. */
  get ending(): Ending | null {
    const state = this.#state;
    return state.kind === 'ending' || state.kind === 'leaving' ? state.ending : null;
  }

  /** Whether it has no thread, not even one that is leaving. */
  get isUnstaffed(): boolean {
    return this.#state.kind === 'unstaffed';
  }

  /** Puts a fresh thread on the lane. */
  attach(thread: Thread): void {
    if (this.#state.kind !== 'unstaffed' || this.#shipments.size > 0) this.#refuse('attach a thread');
    this.#state = { kind: 'serving', thread };
    this.#remaining = this.tasksPerThread;
    this.#shipped = 0;
    this.#occupation = null;
  }

  /** Begins to end the thread of an overdue attempt: nothing more is shipped, and the thread is asked to attend. */
  beginEnding(nowMs: number): Ending {
    const state = this.#state;
    if (state.kind !== 'serving') return this.#refuse('begin to end its thread');
    const ending = { sinceMs: nowMs, request: state.thread.attend() };
    this.#state = { kind: 'ending', thread: state.thread, ending };
    return ending;
  }

  /** Goes back to serving, because the overdue attempt has ended by itself. */
  reopen(): void {
    const state = this.#state;
    if (state.kind !== 'ending') return this.#refuse('reopen');
    this.#state = { kind: 'serving', thread: state.thread };
  }

  /** Ends the thread by force. detach() follows when it is gone. */
  terminate(): void {
    const state = this.#state;
    if (state.kind !== 'ending') return this.#refuse('terminate its thread');
    this.#state = { kind: 'leaving', ending: state.ending };
    void state.thread.terminate(0);
  }

  /** Takes an idle thread off the lane and returns it. detach() follows when it is gone. */
  retire(): Thread {
    const { thread, ending } = this;
    if (!thread || !this.isIdle) return this.#refuse('retire its thread');
    this.#state = { kind: 'leaving', ending };
    return thread;
  }

  /** Notes that the thread failed a chunk. detach() follows when it is gone. Ignores a thread that is leaving. */
  threadDying(thread: Thread): void {
    if (this.thread === thread) this.#state = { kind: 'leaving', ending: this.ending };
  }

  /** Notes that the thread is gone. Its shipments are removed next. */
  detach(): void {
    if (this.#state.kind === 'unstaffed') this.#refuse('detach a thread');
    this.#state = UNSTAFFED;
  }

  /** Lends a free place to a suspect, which runs elsewhere. */
  lendPlace(nowMs: number): void {
    if (this.#isLending || this.free === 0) this.#refuse('lend a place');
    if (this.#shipments.size === 0) this.#progressedMs = nowMs;
    this.#isLending = true;
  }

  /** Takes the place back from the suspect. */
  takeBackPlace(): void {
    if (!this.#isLending) this.#refuse('take back a place');
    this.#isLending = false;
  }

  /** The number of its executions that may run at once now. */
  get capacity(): number {
    return this.#isLending ? this.concurrency - 1 : this.concurrency;
  }

  /** Whether the lane has a thread that is neither about to be ended, nor spent, nor occupied. */
  get isServing(): boolean {
    return this.#state.kind === 'serving' && this.#remaining > 0 && !this.isOccupied;
  }

  /** Whether anything may be shipped to it. While it lends a place, nothing waits there, or it would start too early. */
  get takesWork(): boolean {
    return this.isServing && !(this.#isLending && this.#shipments.size >= this.capacity);
  }

  /** Whether it has a thread and no shipments. */
  get isIdle(): boolean {
    return this.thread !== null && this.#shipments.size === 0;
  }

  /** Whether its thread is spent and has no shipments. */
  get canRetire(): boolean {
    return this.#isSpent && this.isIdle;
  }

  get #isSpent(): boolean {
    return this.#remaining <= 0 && this.thread !== null;
  }

  /** Lets the thread run as many executions again. */
  renew(): void {
    if (!this.thread) this.#refuse('renew its thread');
    this.#remaining = this.tasksPerThread;
  }

  /** When the last shipment was added, on the monotonic clock; 0 before the first. */
  get lastShippedMs(): number {
    return this.#lastShippedMs;
  }

  /** How long a spent thread has been running fewer executions than it could, in milliseconds. */
  underusedMs(nowMs: number): number {
    return this.#isSpent && this.#shipments.size < this.concurrency ? nowMs - this.#lastShippedMs : 0;
  }

  /** The number of executions that would start at once. */
  get free(): number {
    return this.takesWork && !this.isBlocked ? Math.max(0, this.capacity - this.#shipments.size) : 0;
  }

  /** Expected time until the lane's shipments have ended. */
  get expectedMs(): number {
    return this.#expectedMs / this.concurrency;
  }

  /** Expected time until one more shipment would start. Each place takes the next one as its own has ended. */
  get waitMs(): number {
    const { size } = this.#shipments;
    const waiting = size - this.capacity;
    return waiting < 0 ? 0 : ((waiting + 1) * this.#expectedMs) / size / this.capacity;
  }

  /** Whether more may be shipped to wait behind the present shipments, if a chunk is worth `chunkMs`. */
  isOpen(nowMs: number, chunkMs = CHUNK_MS): boolean {
    return this.takesWork && this.waitMs < chunkMs && !this.isStuck(nowMs);
  }

  /** Notes how much work the next chunk is worth at most. */
  paceBy(chunkMs: number): void {
    this.#chunkMs = chunkMs;
  }

  /**
   * How old an outcome may get on its thread before the next attempt starts. In a backlog it may wait for the end of the
   * chunk: the next chunk has been sent by then, so the thread does not wait for the coordinator.
   */
  get patienceMs(): number {
    return this.#chunkMs === BACKLOG_CHUNK_MS ? BACKLOG_CHUNK_MS : REPORT_AFTER_MS;
  }

  /** A lane on which nothing has ended for this long has an attempt that takes longer than expected. */
  get stuckAfterMs(): number {
    return 2 * this.#chunkMs;
  }

  /** Whether an attempt takes longer than the shipments behind it should have to wait. */
  isStuck(nowMs: number): boolean {
    return this.sinceProgressMs(nowMs) > this.stuckAfterMs;
  }

  /** How long no attempt has ended here; 0 while the lane is empty and has a place. */
  sinceProgressMs(nowMs: number): number {
    return this.#shipments.size > 0 || this.capacity === 0 ? nowMs - this.#progressedMs : 0;
  }

  /** Whether the lane may have unstarted shipments. Otherwise there is nothing to take back. */
  get canHoldUnstarted(): boolean {
    return this.#shipments.size > 1;
  }

  add(shipment: Shipment, nowMs: number): void {
    if (!this.takesWork) this.#refuse('take a shipment');
    if (this.#shipments.size === 0) this.#progressedMs = nowMs;
    this.#shipments.add(shipment);
    this.#remaining -= 1;
    this.#shipped += 1;
    this.#lastShippedMs = nowMs;
    this.#expectedMs += shipment.expectedMs;
  }

  /** `endedMs` is when its attempt ended. Without it there was no progress, and the lane is as stuck as before. */
  remove(shipment: Shipment, endedMs?: number): void {
    this.#shipments.delete(shipment);
    this.#expectedMs = this.#shipments.size === 0 ? 0 : this.#expectedMs - shipment.expectedMs;
    if (endedMs !== undefined) this.#progressedMs = endedMs;
    if (endedMs !== undefined || this.#shipments.size === 0) this.#blockedSince = null;
  }

  /** Counts a shipment that was taken back as never shipped: the thread may run another one instead. */
  refund(): void {
    this.#remaining += 1;
    this.#shipped -= 1;
  }

  /** The number of executions that were shipped to its present or last thread and not taken back. */
  get shipped(): number {
    return this.#shipped;
  }

  /**
   * Notes that an attempt holds the event loop: a shipment has not started although there was room for it. Nothing more
   * is shipped until an attempt ends or the thread attends.
   */
  block(): void {
    if (this.#shipments.size > 0) this.#blockedSince = this.thread?.attend() ?? null;
  }

  /** Whether an attempt still holds the event loop, as far as is known. */
  get isBlocked(): boolean {
    if (this.#blockedSince === null) return false;
    return !this.thread?.hasAttended(this.#blockedSince);
  }

  /**
   * Notes that something other than an attempt holds the event loop: nothing of what was shipped has begun, and all of it was
   * taken back. Nothing more is shipped until the thread attends.
   */
  occupy(nowMs: number): void {
    const { thread } = this;
    if (!thread || this.#shipments.size > 0) return this.#refuse('be occupied');
    this.#occupation ??= { request: thread.attend(), lookedMs: nowMs, occupiedMs: 0 };
  }

  /** Whether it is occupied still. */
  get isOccupied(): boolean {
    const { thread } = this;
    return this.#occupation !== null && thread !== null && !thread.hasAttended(this.#occupation.request);
  }

  /** Looks at a lane that was occupied. Returns for how long it has been, in milliseconds; `null` when it is not any more. */
  lookOccupied(nowMs: number): number | null {
    if (!this.isOccupied) {
      this.#occupation = null;
      return null;
    }
    const occupation = this.#occupation!;
    occupation.occupiedMs += Math.min(LONGEST_LOOK_MS, nowMs - occupation.lookedMs);
    occupation.lookedMs = nowMs;
    return occupation.occupiedMs;
  }

  /** Whether it was occupied when it was looked at last. */
  get wasOccupied(): boolean {
    return this.#occupation !== null;
  }

  #refuse(action: string): never {
    const { size } = this.#shipments;
    const lending = this.#isLending ? ', lending a place' : '';
    throw new Error(`lane ${this.index} cannot ${action}: it is ${this.#state.kind}${lending}, with ${size} shipments`);
  }
}
