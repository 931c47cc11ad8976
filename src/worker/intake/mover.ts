/**
 * Moves executions from the wrong partition to the one where they belong, because their limits count there or their
 * chain goes on there. They are in the wrong one when the producer knew only the name of the task, and not its limits,
 * or when the partitions have changed since.
 *
 * Owns these deliveries while it moves them. If the other partition cannot be reached, the delivery is requeued here, and moved
 * later. An execution without a record that was cancelled may have arrived before, so it is cancelled there first, and then here.
 */

import { jittered, within } from '../../core/service.js';
import {
  type Arrival,
  type Departing,
  forgetDeparture,
  forgetMove,
  lastArrivalMs,
  place,
  readDeparting,
  removeDeparted,
} from '../../redis/move-store.js';
import { cancel } from '../../redis/producer-store.js';
import type { ArrivalVersions, Destination } from '../arrival-versions.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, keyOf, logDelivery } from '../delivery.js';
import type { FloodKind, FloodLog } from '../flood-log.js';
import { logRetry } from '../log-retry.js';

/** How long another partition may take to answer. */
const ANSWER_MS = 2_000;
/** How long an execution waits here before it is moved again. */
const RETRY_AFTER_MS = 1_000;

const MOVED: FloodKind = { level: 'info', what: 'was moved to its partition' };

export interface MoverOptions extends Pick<WorkerContext, 'redis' | 'keys' | 'tag' | 'logger'> {
  readonly floodLog: FloodLog;
  readonly places: {
    /**
     * Returns the partition with this tag; `null` when it cannot be reached at present.
     * @throws RedisUnavailableError when this worker does not read it, and its server cannot be reached
     */
    find(tag: string): Promise<Destination | null>;
    readonly arrivals: Pick<ArrivalVersions, 'of' | 'forget'>;
  };
  /** Requeues a delivery that was not claimed. */
  requeue(delivery: Delivery, delayMs: number): void;
  /** Settles a delivery whose key has another execution where it belongs. */
  onTaken(delivery: Delivery): void;
  /** Whether an execution was cancelled, as far as this worker knows. */
  isCancelled(delivery: Delivery): boolean;
  /** Settles a delivery that was cancelled or replaced, and has not arrived in the other partition. */
  onCancelled(delivery: Delivery): void;
}

export class Mover {
  readonly #options: MoverOptions;
  readonly #moving = new Map<Delivery, Promise<void>>();

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  /** Deliveries that are being moved. Their leases must be kept. */
  get deliveries(): Iterable<Delivery> {
    return this.#moving.keys();
  }

  /** Resolves when nothing is being moved. */
  async idle(): Promise<void> {
    while (this.#moving.size > 0) await Promise.all(this.#moving.values());
  }

  /** @param tag - of the partition where it belongs */
  move(delivery: Delivery, tag: string): void {
    const moving = this.#move(delivery, tag).catch((error) => {
      const { logger, requeue } = this.#options;
      logRetry(logger, error, 'an execution could not be moved to its partition');
      requeue(delivery, jittered(RETRY_AFTER_MS));
    });
    this.#moving.set(
      delivery,
      moving.finally(() => this.#moving.delete(delivery)),
    );
  }

  async #move(delivery: Delivery, tag: string): Promise<void> {
    const { redis, keys, tag: from, logger, floodLog, places, onTaken, onCancelled, requeue } = this.#options;
    const to = await answered(places.find(tag), tag);
    if (!to) throw new Error(`partition '${tag}' cannot be reached from this worker`);
    const [untilMs, strikes] = await answered(Promise.all([lastArrivalMs(to.redis), places.arrivals.of(tag, to)]), tag);
    const { token } = delivery;
    const departing = await readDeparting(redis, keys, { token, key: keyOf(delivery), from, to: tag });
    if (departing === null) return; // it is no longer ours
    if (delivery.record === null && this.#options.isCancelled(delivery)) {
      return await this.#cancel(delivery, departing, to, tag);
    }
    let arrival = await answered(place(to.redis, to.keys, departing, { untilMs, strikes }), tag);
    if (arrival === 'outdated') arrival = await this.#placeAnew(departing, { to, tag, untilMs });
    if (arrival === 'outdated') throw new Error(`partition '${tag}' has just changed again`);
    if (arrival === 'late') throw new Error(`partition '${tag}' did not answer in time`);
    if (arrival === 'taken') return onTaken(delivery);
    if (arrival === 'stopped') return onCancelled(delivery);
    // Another worker, with another layout, is moving it to here.
    if (arrival === 'leaving') return requeue(delivery, jittered(RETRY_AFTER_MS));
    const departure = await removeDeparted(redis, keys, token);
    if (departure === 'cancelled') return await this.#cancel(delivery, departing, to, tag);
    forgetMove(to.redis, to.keys, departing.move).catch(() => undefined); // it expires by itself in a day
    const { task } = delivery.envelope;
    floodLog.log(MOVED, task, () =>
      logDelivery(logger, MOVED.level, delivery, 'was moved to its partition', { to: tag }),
    );
  }

  /** Places an execution after something was struck there, or the partitions have changed, unless its partition was removed. */
  async #placeAnew(
    departing: Departing,
    { to, tag, untilMs }: { readonly to: Destination; readonly tag: string; readonly untilMs: number },
  ): Promise<Arrival> {
    const { arrivals } = this.#options.places;
    arrivals.forget(tag);
    const strikes = await answered(arrivals.of(tag, to), tag);
    return await answered(place(to.redis, to.keys, departing, { untilMs, strikes }), tag);
  }

  /** Ends an execution without a record that was cancelled here, also where it may have arrived. */
  async #cancel(delivery: Delivery, departing: Departing, to: Destination, tag: string): Promise<void> {
    const { redis, keys, onCancelled } = this.#options;
    const target = { key: keyOf(delivery), move: { to: tag, name: departing.move, generation: '' } };
    await answered(cancel(to.redis, to.keys, target), tag);
    forgetDeparture(redis, keys, departing).catch(() => undefined); // it is forgotten by itself in a day
    onCancelled(delivery);
  }
}

/** Waits for the answer of another partition for a while. */
async function answered<T>(answer: Promise<T>, tag: string): Promise<T> {
  const reply = await within(answer, ANSWER_MS);
  if (reply === undefined) throw new Error(`partition '${tag}' did not answer`);
  return reply;
}
