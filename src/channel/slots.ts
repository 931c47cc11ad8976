/**
 * The slot table: one row of shared memory for each shipment, by which the coordinator and a thread agree without a
 * message on who may run it. Owns the rule that a shipment is started at most once.
 *
 *   word 0 (Int32)   epoch << 3 | state; every transition is one compareExchange on the whole word
 *   word 1 (Int32)   stop request: epoch << 3 | reason, for the attempt that is asked to stop
 *   bytes 8..15      deadline of the current phase (dependencies, body or clean-up) on the monotonic clock; 0 for none
 *   bytes 16..23     startedAt, milliseconds on the monotonic clock (one clock for all threads of a process)
 *   bytes 24..31     duration of the finished attempt in milliseconds
 *   bytes 32..47     progress: current and total; plain stores by the thread, so that a busy loop shows its progress
 *   bytes 48..63     unused: a row fills a cache line, so that threads in busy loops do not slow each other down
 *
 *            ship            begin             end
 *     free ───────> shipped ───────> started ───────> finished | completedSilently ──> free
 *                      └── revoke ──> revoked ── skip ──> skipped ──> free     (never ran)
 *
 * Only the coordinator ships, revokes and frees; only a thread begins, skips and ends. A row is reused only when the chunk
 * it travelled in is over or the thread has skipped it, so a late thread never writes into the row of another shipment. The
 * epoch, which changes with every shipment, keeps a late request to stop from meeting the next one. The exchanges cost 25 ns
 * per execution.
 */
import { DEFAULT_TOTAL } from '../core/progress.js';

const ROW_BYTES = 64;
const WORDS = ROW_BYTES / 4;
const DOUBLES = ROW_BYTES / 8;
const STOP_REQUEST = 1;
const DEADLINE = 1; // in doubles
const STARTED_AT = 2; // in doubles
const DURATION = 3; // in doubles
const CURRENT = 4; // in doubles
const TOTAL = 5; // in doubles
/**
 * States of a row. `completedSilently` means finished, and completed without a result: should the thread die before it
 * reports, this is all that is known of the outcome.
 */
export const SlotState = {
  free: 0,
  shipped: 1,
  started: 2,
  finished: 3,
  revoked: 4,
  completedSilently: 5,
  skipped: 6,
} as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

/** Whether the thread has begun the row's present shipment, so that the row's times and progress are those of its attempt. */
export function hasBegun(state: SlotState): boolean {
  return state === SlotState.started || state === SlotState.finished || state === SlotState.completedSilently;
}

/** Why an attempt is asked to stop. */
export const StopReason = {
  /** The worker stops or lost the lease, so the execution runs again elsewhere. */
  interrupted: 1,
  /** The execution was cancelled. */
  cancelled: 2,
} as const;
export type StopReason = (typeof StopReason)[keyof typeof StopReason];

const MAX_EPOCH = 2 ** 28 - 1;
/** The maximum number of rows of a table. The table of a worker has as many as it needs. */
const MAX_ROWS = 2 ** 17;

/**
 * Returns the id of a shipment: its row and its epoch in one number. Outcomes carry the id and not only the row,
 * so that one that arrives late does not meet the row's next shipment.
 */
export function shipmentIdOf(row: number, epoch: number): number {
  return epoch * MAX_ROWS + row;
}

/** Returns the row of a shipment. */
export function rowOfShipment(shipmentId: number): number {
  return shipmentId % MAX_ROWS;
}

/** Returns the epoch of a shipment. */
export function epochOfShipment(shipmentId: number): number {
  return Math.floor(shipmentId / MAX_ROWS);
}

export class SlotTable {
  readonly buffer: SharedArrayBuffer;
  /** Number of rows. */
  readonly rows: number;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  /** Allocates a table with this number of rows, or opens the table that another thread allocated. */
  constructor(rowsOrBuffer: number | SharedArrayBuffer) {
    if (typeof rowsOrBuffer === 'number' && rowsOrBuffer > MAX_ROWS) throw new RangeError(`more than ${MAX_ROWS} rows`);
    this.buffer = typeof rowsOrBuffer === 'number' ? new SharedArrayBuffer(rowsOrBuffer * ROW_BYTES) : rowsOrBuffer;
    this.rows = this.buffer.byteLength / ROW_BYTES;
    this.#words = new Int32Array(this.buffer);
    this.#doubles = new Float64Array(this.buffer);
  }

  /** Coordinator: opens the row for a new shipment and returns its epoch. */
  ship(row: number): number {
    const epoch = ((Atomics.load(this.#words, row * WORDS) >>> 3) % MAX_EPOCH) + 1; // never 0, which is the epoch in a stop request that was never written
    this.#doubles[row * DOUBLES + DEADLINE] = 0;
    Atomics.store(this.#words, row * WORDS, (epoch << 3) | SlotState.shipped);
    return epoch;
  }

  /**
   * Coordinator: takes back a shipment that has not begun.
   * @returns whether it never ran, and never will under this epoch
   */
  revoke(row: number, epoch: number): boolean {
    return this.#exchange(row, epoch, SlotState.shipped, SlotState.revoked);
  }

  /** Coordinator: closes the row. Its epoch stays, so that the next shipment gets another one. */
  free(row: number): void {
    Atomics.and(this.#words, row * WORDS, ~7);
  }

  /** Thread: takes the right to run. @returns false when the shipment was revoked */
  begin(row: number, epoch: number, now: number): boolean {
    this.#doubles[row * DOUBLES + STARTED_AT] = now;
    this.#doubles[row * DOUBLES + CURRENT] = 0;
    this.#doubles[row * DOUBLES + TOTAL] = DEFAULT_TOTAL;
    return this.#exchange(row, epoch, SlotState.shipped, SlotState.started);
  }

  /** Thread: leaves out a shipment that was revoked. It does not touch the row any more. */
  skip(row: number, epoch: number): void {
    this.#exchange(row, epoch, SlotState.revoked, SlotState.skipped);
  }

  /** Thread: marks the attempt as over, clean-up included. @param isCompletedSilently - whether it completed without a result */
  end(row: number, epoch: number, now: number, isCompletedSilently: boolean): void {
    this.#doubles[row * DOUBLES + DURATION] = now - this.#doubles[row * DOUBLES + STARTED_AT]!;
    this.#exchange(
      row,
      epoch,
      SlotState.started,
      isCompletedSilently ? SlotState.completedSilently : SlotState.finished,
    );
  }

  /** Coordinator: asks the attempt of this epoch to stop. The caller then wakes the thread. */
  requestStop(row: number, epoch: number, reason: StopReason): void {
    Atomics.store(this.#words, row * WORDS + STOP_REQUEST, (epoch << 3) | reason);
  }

  /**
   * Thread: returns why the attempt was asked to stop, if it was. Costs 7 ns, so a busy loop may call it in every turn.
   */
  stopReason(row: number, epoch: number): StopReason | null {
    const word = Atomics.load(this.#words, row * WORDS + STOP_REQUEST);
    return word >>> 3 === epoch ? ((word & 7) as StopReason) : null;
  }

  /** Thread: sets the time on the monotonic clock at which the current phase must be over; 0 removes it. */
  setDeadline(row: number, atMs: number): void {
    this.#doubles[row * DOUBLES + DEADLINE] = atMs;
  }

  /** Returns when the current phase of the attempt must be over, on the monotonic clock; 0 when it has no deadline. */
  deadline(row: number): number {
    return this.#doubles[row * DOUBLES + DEADLINE]!;
  }

  state(row: number): SlotState {
    return (Atomics.load(this.#words, row * WORDS) & 7) as SlotState;
  }

  /** Returns when the attempt began, in milliseconds on the monotonic clock. */
  startedAt(row: number): number {
    return this.#doubles[row * DOUBLES + STARTED_AT]!;
  }

  /** Returns how long the finished attempt took, in milliseconds. */
  durationMs(row: number): number {
    return this.#doubles[row * DOUBLES + DURATION]!;
  }

  /** Thread: sets the progress of the attempt. */
  setCurrent(row: number, current: number): void {
    this.#doubles[row * DOUBLES + CURRENT] = current;
  }

  /** Thread: sets the total that progress is measured against. */
  setTotal(row: number, total: number): void {
    this.#doubles[row * DOUBLES + TOTAL] = total;
  }

  /** Returns the progress of the attempt; before it has begun, that of an earlier shipment. */
  current(row: number): number {
    return this.#doubles[row * DOUBLES + CURRENT]!;
  }

  /** Returns the total that progress is measured against. */
  total(row: number): number {
    return this.#doubles[row * DOUBLES + TOTAL]!;
  }

  #exchange(row: number, epoch: number, from: SlotState, to: SlotState): boolean {
    const expected = (epoch << 3) | from;
    return Atomics.compareExchange(this.#words, row * WORDS, expected, (epoch << 3) | to) === expected;
  }
}
