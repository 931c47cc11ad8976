/**
 * Where the calls of a producer go under one layout.
 *
 * Owns the rule that nothing is written by a layout that is no longer in force. Each layout has writers of its own, whose
 * versions of the strikes were loaded with that layout. Once a partition refuses such a version and the layout has changed, these
 * writers write nothing more: all their calls are routed again (`LayoutChanged`).
 *
 * Calls that may go anywhere travel in whole batches, to one partition after the other. A partition that cannot be reached is
 * left out for a moment.
 */
import { monotonicMs } from '../core/clock.js';
import type { Layout } from '../redis/layout-store.js';
import { LIGHT_BATCH_ITEMS } from '../redis/schema.js';
import { Envelope } from '../wire/envelope.js';
import type { Partition } from './partition.js';
import type { PreparedCall } from './prepare.js';
import { partitionOf, routeOf } from './routing.js';
import type { Writer } from './writer.js';

/** A partition to which calls go. */
export interface Target {
  readonly partition: Partition;
  readonly writer: Writer;
}

/** How long a partition that could not be reached gets none of the calls that may go anywhere. */
const LEFT_OUT_MS = 1_000;

export class Routes {
  readonly layout: Layout;
  /** In the order of the partitions. */
  readonly targets: readonly Target[];
  readonly #only: Target | null;
  /** Until when partitions are left out, on the monotonic clock. */
  readonly #leftOut = new Map<Target, number>();
  /** Number of the partition that gets what may go anywhere. */
  #turn = -1;
  /** How many more calls it gets in this tick. */
  #left = 0;
  #isTurnTimed = false;

  constructor(layout: Layout, targets: readonly Target[]) {
    this.layout = layout;
    this.targets = targets;
    this.#only = targets.length === 1 ? targets[0]! : null;
  }

  /** Returns the partition for a call. */
  pick(call: PreparedCall): Target {
    if (this.#only) return this.#only;
    const route = routeOfCall(call);
    return route === null ? this.#next() : this.targets[partitionOf(route, this.targets.length)]!;
  }

  /**
   * Returns a partition for a call whose partition could not be reached, so that nothing of it was written; `null` when it has
   * to be that one, or all were tried.
   * @param tries - how many partitions have failed for this call
   */
  pickInstead(call: PreparedCall, failed: Target, tries: number): Target | null {
    if (this.#only || tries >= this.targets.length || routeOfCall(call) !== null) return null;
    this.#leftOut.set(failed, monotonicMs() + LEFT_OUT_MS);
    if (this.targets[this.#turn] === failed) this.#left = 0;
    const { connection } = failed.partition;
    if (this.targets.every(({ partition }) => partition.connection === connection)) return null;
    return this.#next();
  }

  #next(): Target {
    if (this.#left === 0) {
      this.#turn = this.#turnAfter(this.#turn);
      this.#left = LIGHT_BATCH_ITEMS;
      this.#endTurnWithTick();
    }
    this.#left -= 1;
    return this.targets[this.#turn]!;
  }

  /** Returns the number of the next partition that is not left out; if all are, that of the next one. */
  #turnAfter(turn: number): number {
    const count = this.targets.length;
    for (let step = 1; step <= count; step++) {
      const number = (turn + step) % count;
      const until = this.#leftOut.get(this.targets[number]!);
      if (until === undefined || until <= monotonicMs()) return number;
    }
    return (turn + 1) % count;
  }

  /** The calls of one tick form one batch. Those of the next one may as well go to another partition. */
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
