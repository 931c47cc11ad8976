/**
 * Decides which lane gets the next chunk, and its contents. Executions that start at once travel together: one for
 * each free place of the lane. More are shipped to wait behind them, by expected time and not by count: about 5 ms of work
 * for the lane, or 20 ms while there is a backlog and the lane has one place. So nothing waits behind a slow neighbour while
 * another thread is idle, no place waits for the coordinator, and many share the cost of a message.
 */
import type { DeliveryQueue } from './delivery-queue.js';
import type { DurationEstimates } from './duration-estimates.js';
import { BACKLOG_CHUNK_MS, CHUNK_MS, type Lane } from './lane.js';
import type { Shipment } from './shipment.js';
import type { Shipments } from './shipments.js';

/** The maximum number of executions in a chunk, however short they are. */
const CHUNK_ITEMS = 512;
/** The maximum number of bytes in a chunk. A single larger message travels alone. */
const CHUNK_BYTES = 1024 * 1024;
/** The smallest share of a chunk's time that is worth a message of its own. */
const SMALLEST_CHUNK_MS = 0.5;
/** There is a backlog while each lane's share of the queue is worth this much. */
const BACKLOG_MS = 10;
/** Shorter executions share the cost of a message well enough in chunks of the usual size. */
const WORTH_LARGER_CHUNKS_MS = 0.5;

export interface ChunkPlannerParts {
  readonly queue: DeliveryQueue;
  readonly lanes: readonly Lane[];
  readonly shipments: Shipments;
  readonly estimates: DurationEstimates;
}

export class ChunkPlanner {
  readonly #queue: DeliveryQueue;
  readonly #lanes: readonly Lane[];
  readonly #shipments: Shipments;
  readonly #estimates: DurationEstimates;

  constructor({ queue, lanes, shipments, estimates }: ChunkPlannerParts) {
    this.#queue = queue;
    this.#lanes = lanes;
    this.#shipments = shipments;
    this.#estimates = estimates;
  }

  /**
   * Returns the lane for the head of the queue: the one that can start most at once, else the one that will be free soonest.
   * `null` when all have enough, or when nothing can be shipped.
   */
  nextLane(nowMs: number): Lane | null {
    const head = this.#queue.peek();
    if (!head || !this.#shipments.hasFreeRow) return null;
    const headMs = this.#estimates.of(head.envelope.task);
    let best: Lane | null = null;
    for (const lane of this.#lanes) {
      const chunkMs = this.#chunkMs(lane);
      if (lane.free === 0 && !(mayWait(headMs, lane, chunkMs) && lane.isOpen(nowMs, chunkMs))) continue;
      if (!best || lane.free > best.free || (lane.free === best.free && lane.expectedMs < best.expectedMs)) best = lane;
    }
    return best;
  }

  /** Moves one chunk from the head of the queue to the lane: what starts at once, then what waits behind it. */
  fill(lane: Lane, nowMs: number): Shipment[] {
    const startingAtOnce = this.#shareOf(lane);
    const limitMs = this.#chunkMs(lane);
    const budgetMs = this.#budgetMs(lane, limitMs);
    lane.paceBy(limitMs);
    const chunk: Shipment[] = [];
    let chunkMs = 0; // how long the chunk keeps all places of the lane busy
    let chunkBytes = 0;
    while (this.#queue.length > 0 && chunk.length < CHUNK_ITEMS && this.#shipments.hasFreeRow && lane.takesWork) {
      const expectedMs = this.#estimates.of(this.#queue.peek()!.envelope.task);
      const laneMs = (expectedMs ?? Number.POSITIVE_INFINITY) / lane.concurrency;
      const isBeyondStart = chunk.length >= startingAtOnce;
      if (isBeyondStart && lane.free > 0) break; // that place is for what other lanes do not take
      if (isBeyondStart && chunk.length > 0 && (!mayWait(expectedMs, lane, limitMs) || chunkMs + laneMs > budgetMs))
        break;
      if (chunkBytes > CHUNK_BYTES) break;
      const shipment = this.#shipments.ship(this.#queue.shift()!, lane, expectedMs ?? 0, nowMs);
      chunk.push(shipment);
      chunkMs += laneMs;
      chunkBytes += shipment.message.length;
    }
    return chunk;
  }

  /** Returns how many executions the lane should start, so that all lanes keep the same number of free places. */
  #shareOf(lane: Lane): number {
    if (lane.free === 0) return 0;
    let free = 0;
    let lanes = 0;
    for (const other of this.#lanes) {
      if (other.free === 0) continue;
      free += other.free;
      lanes += 1;
    }
    const leftFree = Math.floor((free - this.#queue.length) / lanes);
    return Math.min(lane.free, lane.free - leftFree);
  }

  /** Divides few short executions among the threads, so that none waits beside an idle one. Many fill their chunks. */
  #budgetMs(lane: Lane, limitMs: number): number {
    return Math.min(limitMs, Math.max(SMALLEST_CHUNK_MS, this.#queuedMs(lane)));
  }

  /** Returns how much work a chunk for the lane is worth at most: more while there is a backlog of longer executions. */
  #chunkMs(lane: Lane): number {
    const isWorthIt = lane.concurrency === 1 && (this.#estimates.overall ?? 0) >= WORTH_LARGER_CHUNKS_MS;
    return isWorthIt && this.#queuedMs(lane) >= BACKLOG_MS ? BACKLOG_CHUNK_MS : CHUNK_MS;
  }

  /** Returns how long the lane's share of the queue is expected to keep it busy. */
  #queuedMs(lane: Lane): number {
    return (this.#queue.length * (this.#estimates.overall ?? 0)) / lane.concurrency / this.#lanes.length;
  }
}

/** Whether executions of this expected duration may wait on a lane: only if they keep it busy for less than a chunk does. */
function mayWait(expectedMs: number | undefined, { concurrency }: Lane, chunkMs: number): boolean {
  return expectedMs !== undefined && expectedMs / concurrency < chunkMs;
}
