/**
 * Where the calls of a producer go under one layout.
 *
 * Owns the rule that nothing is written by a layout that is no longer in force. Each layout has writers of its own, and loads the
 * strikes together with them. Once a partition refuses the version of these strikes, and the layout has changed, the writers write
 * nothing more: all their calls are routed again (`LayoutChanged`).
 *
 * Calls that may go to any partition go there in whole batches, to one partition after the other. A partition that
 * cannot be reached is skipped for a second. One that is slow gets one batch at a time, so that it does not get hold of
 * all callers.
 */
import { monotonicMs } from '../core/clock.js';
import type { Layout } from '../redis/layout-store.js';
import { LIGHT_BATCH_ITEMS } from '../redis/schema.js';
import { Envelope } from '../wire/envelope.js';
import type { Partition } from './partition.js';
import type { PreparedCall } from './prepare.js';
import { partitionOf, routeOf } from './routing.js';
import type { Writer } from './writer.js';

/** A partition to which calls go, and its writer under this layout. */
export interface Destination {
  readonly partition: Partition;
  readonly writer: Writer;
}

/** How long a partition that could not be reached is skipped. */
const SKIPPED_MS = 1_000;

export class Routes {
  readonly layout: Layout;
  /** In the order of the partitions. */
  readonly destinations: readonly Destination[];
  /** The only partition; `null` when there are several. */
  readonly only: Destination | null;
  /** Until when partitions are skipped, on the monotonic clock. */
  readonly #skippedUntilMs = new Map<Destination, number>();
  /** Number of the partition whose turn it is to get the calls that may go to any. */
  #turn = -1;
  /** How many more calls that partition gets in this tick. */
  #left = 0;
  #isTurnTimed = false;

  constructor(layout: Layout, destinations: readonly Destination[]) {
    this.layout = layout;
    this.destinations = destinations;
    this.only = destinations.length === 1 ? destinations[0]! : null;
  }

  /** Returns the partition for a call. */
  pick(call: PreparedCall): Destination {
    if (this.only) return this.only;
    const route = routeOfCall(call);
    return route === null ? this.#next() : this.destinations[partitionOf(route, this.destinations.length)]!;
  }

  /**
   * Returns another partition for a call that was not written because its partition could not be reached. Returns `null` when the
   * call belongs to that partition, or all partitions were tried.
   * @param tries - how many partitions have failed for this call
   */
  pickInstead(call: PreparedCall, failed: Destination, tries: number): Destination | null {
    if (this.only || tries >= this.destinations.length || routeOfCall(call) !== null) return null;
    this.#skippedUntilMs.set(failed, monotonicMs() + SKIPPED_MS);
    if (this.destinations[this.#turn] === failed) this.#left = 0;
    const { connection } = failed.partition;
    if (this.destinations.every(({ partition }) => partition.connection === connection)) return null;
    return this.#next();
  }

  #next(): Destination {
    if (this.#left === 0) {
      this.#turn = this.#turnAfter(this.#turn);
      this.#left = LIGHT_BATCH_ITEMS;
      this.#endTurnWithTick();
    }
    this.#left -= 1;
    return this.destinations[this.#turn]!;
  }

  /** Returns the number of the next partition that is not left out, or of the next one when all are. */
  #turnAfter(turn: number): number {
    const count = this.destinations.length;
    for (let step = 1; step <= count; step++) {
      const number = (turn + step) % count;
      if (!this.#isLeftOut(this.destinations[number]!)) return number;
    }
    return (turn + 1) % count;
  }

  #isLeftOut(destination: Destination): boolean {
    const untilMs = this.#skippedUntilMs.get(destination);
    return (untilMs !== undefined && untilMs > monotonicMs()) || destination.writer.isSlow;
  }

  /** The calls of one tick form one batch. The next tick begins with another partition. */
  #endTurnWithTick(): void {
    if (this.#isTurnTimed) return;
    this.#isTurnTimed = true;
    setImmediate(() => {
      this.#isTurnTimed = false;
      this.#left = 0;
    });
  }
}

function routeOfCall({ task, key, kind, limits, message }: PreparedCall): string | null {
  const isKeyed = kind === 'keyed' || kind === 'once';
  return routeOf({ task, key: isKeyed ? key : null, limits, args: () => new Envelope(message).args });
}
