/**
 * Decides which lane gets the next chunk, and its contents: work is shipped by expected time, not by count. Short
 * executions travel in chunks worth 5 ms, long and unknown ones alone. So nothing waits behind a slow neighbour while
 * another thread is idle, and many share the cost of a message.
 */
import type { DeliveryQueue } from './delivery-queue.js';
import type { DurationEstimates } from './duration-estimates.js';
import { CHUNK_MS, type Lane } from './lane.js';
import type { Shipment } from './shipment.js';
import type { Shipments } from './shipments.js';

/** The maximum number of executions in a chunk, however short they are. */
const CHUNK_ITEMS = 512;
/** The maximum number of bytes in a chunk. A single larger message travels alone. */
const CHUNK_BYTES = 1024 * 1024;
/** The smallest share of a chunk's time that is worth a message of its own. */
const SMALLEST_CHUNK_MS = 0.5;

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
    const isShort = headMs !== undefined && headMs < CHUNK_MS;
    let best: Lane | null = null;
    for (const lane of this.#lanes) {
      if (lane.free === 0 && !(isShort && lane.isOpen(nowMs))) continue;
      if (!best || lane.free > best.free || (lane.free === best.free && lane.expectedMs < best.expectedMs)) best = lane;
    }
    return best;
  }

  /** Moves one chunk from the head of the queue to the lane: one long or unknown execution, or short ones. */
  fill(lane: Lane, nowMs: number): Shipment[] {
    const budgetMs = this.#budgetMs();
    const chunk: Shipment[] = [];
    let chunkMs = 0;
    let chunkBytes = 0;
    while (this.#queue.length > 0 && chunk.length < CHUNK_ITEMS && this.#shipments.hasFreeRow && lane.takesWork) {
      const expectedMs = this.#estimates.of(this.#queue.peek()!.envelope.task);
      const travelsAlone = expectedMs === undefined || expectedMs >= CHUNK_MS;
      if (chunk.length > 0 && (travelsAlone || chunkMs + expectedMs > budgetMs || chunkBytes > CHUNK_BYTES)) break;
      const shipment = this.#shipments.ship(this.#queue.shift()!, lane, expectedMs ?? 0, nowMs);
      chunk.push(shipment);
      chunkMs += shipment.expectedMs;
      chunkBytes += shipment.message.length;
      if (travelsAlone) break;
    }
    return chunk;
  }

  /** Divides few short executions among the threads, so that none waits beside an idle one. Many fill their chunks. */
  #budgetMs(): number {
    const queuedMs = this.#queue.length * (this.#estimates.overall ?? 0);
    return Math.min(CHUNK_MS, Math.max(SMALLEST_CHUNK_MS, queuedMs / this.#lanes.length));
  }
}
