/**
 * The slot table: one row in shared memory per execution in flight, by which the coordinator and a thread agree, without
 * a message, on who may run it. Owns the rule that an execution is started at most once per shipping.
 *
 *   word 0 (Int32)   epoch << 3 | state        every transition is one compareExchange on the whole word
 *   word 1 (Int32)   cancel: epoch << 3 | reason, of the run that is asked to stop
 *   bytes 8..15      deadline of what runs now, body or clean-up, on the clock of startedAt; 0 when there is none
 *   bytes 16..23     startedAt, milliseconds of process.hrtime (one clock for all threads of a process)
 *   bytes 24..31     duration of the finished run in milliseconds
 *   bytes 32..47     progress: current and total; plain stores by the thread, so that a busy loop shows how far it is
 *   bytes 48..63     free: a row fills a cache line, so that threads in busy loops do not slow each other down
 *
 *            ship            begin             end
 *     free ───────> shipped ───────> started ───────> finished | returned ──> free
 *                      └── revoke ──> revoked ──> free     (never ran)
 *
 * Only the coordinator ships, revokes and frees; only a thread begins and ends. A row is shipped again only when the
 * chunk it travelled in is over, so a late thread never writes into a row that is not its own; the epoch, which changes
 * with every shipping, keeps a late cancel from hitting the next tenant. The exchanges cost 25 ns an execution.
 */
import { DEFAULT_TOTAL } from '../core/progress.js';

const ROW_BYTES = 64;
const WORDS = ROW_BYTES / 4;
const DOUBLES = ROW_BYTES / 8;
const CANCEL = 1;
const DEADLINE = 1; // in doubles
const STARTED_AT = 2; // in doubles
const DURATION = 3; // in doubles
const CURRENT = 4; // in doubles
const TOTAL = 5; // in doubles
/** `returned` is finished, successfully and without a result: all there is to know, should the message never come. */
export const SlotState = { free: 0, shipped: 1, started: 2, finished: 3, revoked: 4, returned: 5 } as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** Whether the run of this shipment has begun, so that the times and the progress in its row are its own. */
export function hasBegun(state: SlotState): boolean {
  return state === SlotState.started || state === SlotState.finished || state === SlotState.returned;
}

/** Why a run is asked to stop. */
export const StopReason = {
  /** The worker stops, or lost the lease: it runs again elsewhere. */
  interrupted: 1,
  /** Somebody cancelled the execution. */
  cancelled: 2,
} as const;
export type StopReason = (typeof StopReason)[keyof typeof StopReason];

const MAX_EPOCH = 2 ** 28 - 1;
const MAX_ROWS = 4_096;

/**
 * One shipping as one number: its row and its epoch. Outcomes name it, not the row alone, because they can arrive when the
 * row has another tenant: a thread reports over two ports, and what comes over one may overtake the other.
 */
export function shipmentIdOf(row: number, epoch: number): number {
  return epoch * MAX_ROWS + row;
}

export function rowOfShipment(ticket: number): number {
  return ticket % MAX_ROWS;
}

export function epochOfShipment(ticket: number): number {
  return Math.floor(ticket / MAX_ROWS);
}

export class SlotTable {
  readonly buffer: SharedArrayBuffer;
  readonly rows: number;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  /** Allocates a table of `rows` rows, or opens the one another thread allocated. */
  constructor(rowsOrBuffer: number | SharedArrayBuffer) {
    this.buffer = typeof rowsOrBuffer === 'number' ? new SharedArrayBuffer(rowsOrBuffer * ROW_BYTES) : rowsOrBuffer;
    this.rows = this.buffer.byteLength / ROW_BYTES;
    this.#words = new Int32Array(this.buffer);
    this.#doubles = new Float64Array(this.buffer);
  }

  /** Coordinator: opens the row for a new shipping and returns its epoch. */
  ship(row: number): number {
    const epoch = ((Atomics.load(this.#words, row * WORDS) >>> 3) % MAX_EPOCH) + 1; // never 0, which means «cancel nobody»
    this.#doubles[row * DOUBLES + DEADLINE] = 0;
    Atomics.store(this.#words, row * WORDS, (epoch << 3) | SlotState.shipped);
    return epoch;
  }

  /** Coordinator: takes back what has not begun. True when it never ran and never will under this epoch. */
  revoke(row: number, epoch: number): boolean {
    return this.#exchange(row, epoch, SlotState.shipped, SlotState.revoked);
  }

  /** Coordinator: closes the row, keeping its epoch, so that the next shipping gets another one. */
  free(row: number): void {
    Atomics.and(this.#words, row * WORDS, ~7);
  }

  /** Thread: claims the right to run. False when it was taken back. */
  begin(row: number, epoch: number, now: number): boolean {
    this.#doubles[row * DOUBLES + STARTED_AT] = now;
    this.#doubles[row * DOUBLES + CURRENT] = 0;
    this.#doubles[row * DOUBLES + TOTAL] = DEFAULT_TOTAL;
    return this.#exchange(row, epoch, SlotState.shipped, SlotState.started);
  }

  /** Thread: the body and its clean-up are over; `isReturned` when it succeeded and has no result. */
  end(row: number, epoch: number, now: number, isReturned: boolean): void {
    this.#doubles[row * DOUBLES + DURATION] = now - this.#doubles[row * DOUBLES + STARTED_AT]!;
    this.#exchange(row, epoch, SlotState.started, isReturned ? SlotState.returned : SlotState.finished);
  }

  /** Coordinator: asks the run of this epoch to stop. The caller then wakes the thread. */
  cancel(row: number, epoch: number, reason: StopReason): void {
    Atomics.store(this.#words, row * WORDS + CANCEL, (epoch << 3) | reason);
  }

  /** Thread: why this run was asked to stop, if it was. Costs 7 ns, so a busy loop may ask in every turn. */
  stopReason(row: number, epoch: number): StopReason | null {
    const word = Atomics.load(this.#words, row * WORDS + CANCEL);
    return word >>> 3 === epoch ? ((word & 7) as StopReason) : null;
  }

  /** Thread: what runs now must be over at this time of the monotonic clock; 0 lifts that. */
  setDeadline(row: number, atMs: number): void {
    this.#doubles[row * DOUBLES + DEADLINE] = atMs;
  }

  /** When what runs on this row must be over; 0 when it has no limit. */
  deadline(row: number): number {
    return this.#doubles[row * DOUBLES + DEADLINE]!;
  }

  state(row: number): SlotState {
    return (Atomics.load(this.#words, row * WORDS) & 7) as SlotState;
  }

  /** Milliseconds of the monotonic clock at which the row's run began. */
  startedAt(row: number): number {
    return this.#doubles[row * DOUBLES + STARTED_AT]!;
  }

  /** How long the finished run took, in milliseconds. */
  durationMs(row: number): number {
    return this.#doubles[row * DOUBLES + DURATION]!;
  }

  /** Thread: how far the run of this row is. */
  setCurrent(row: number, current: number): void {
    this.#doubles[row * DOUBLES + CURRENT] = current;
  }

  /** Thread: what `current` is measured against. */
  setTotal(row: number, total: number): void {
    this.#doubles[row * DOUBLES + TOTAL] = total;
  }

  /** How far the row's run is; a value of another tenant while it has not begun. */
  current(row: number): number {
    return this.#doubles[row * DOUBLES + CURRENT]!;
  }

  total(row: number): number {
    return this.#doubles[row * DOUBLES + TOTAL]!;
  }

  #exchange(row: number, epoch: number, from: SlotState, to: SlotState): boolean {
    const expected = (epoch << 3) | from;
    return Atomics.compareExchange(this.#words, row * WORDS, expected, (epoch << 3) | to) === expected;
  }
}
