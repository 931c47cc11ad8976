/**
 * The deliveries that wait in this worker for a thread. Those from the front stream go first, then those of high, normal and
 * low priority, each in the order of its stream. So a woken waiter, or one of high priority, is not behind everything that was
 * read ahead. Owns the rule that those from the low stream do not wait here for ever: while others wait, too, one in 32 that
 * leave is of these.
 */
import { Queue } from '../../core/queue.js';
import { LOW_SHARE, STREAM } from '../../redis/schema.js';
import type { Delivery } from '../delivery.js';

const STREAM_ORDER: readonly string[] = [STREAM.front, STREAM.high, STREAM.work, STREAM.low];

/**
 * Compares deliveries by their streams, then by their arrival: the order in which the queue hands them out, except for the share
 * of low priority.
 */
export function compareTurns(a: Delivery, b: Delivery): number {
  return STREAM_ORDER.indexOf(a.token[0]!) - STREAM_ORDER.indexOf(b.token[0]!) || a.arrival - b.arrival;
}

export class DeliveryQueue implements Iterable<Delivery> {
  readonly #front = new Queue<Delivery>();
  readonly #high = new Queue<Delivery>();
  readonly #work = new Queue<Delivery>();
  readonly #low = new Queue<Delivery>();
  readonly #queues = [this.#front, this.#high, this.#work, this.#low];
  /** How many have left before those from the low stream, since the last one of these. */
  #passed = 0;

  get length(): number {
    return this.#front.length + this.#high.length + this.#work.length + this.#low.length;
  }

  push(delivery: Delivery): void {
    this.#queueOf(delivery).push(delivery);
  }

  /** Puts a delivery back at the head of those from its stream. */
  unshift(delivery: Delivery): void {
    this.#queueOf(delivery).unshift(delivery);
  }

  peek(): Delivery | undefined {
    return this.#next().peek();
  }

  shift(): Delivery | undefined {
    const queue = this.#next();
    this.#passed = queue === this.#low || this.#low.length === 0 ? 0 : this.#passed + 1;
    return queue.shift();
  }

  /** Empties the queue and returns its deliveries. */
  clear(): Delivery[] {
    return this.#queues.flatMap((queue) => queue.clear());
  }

  removeIf(matches: (delivery: Delivery) => boolean): void {
    for (const queue of this.#queues) queue.removeIf(matches);
  }

  *[Symbol.iterator](): Iterator<Delivery> {
    for (const queue of this.#queues) yield* queue;
  }

  /** Returns the queue whose head leaves next. */
  #next(): Queue<Delivery> {
    if (this.#passed >= LOW_SHARE - 1 && this.#low.length > 0) return this.#low;
    if (this.#front.length > 0) return this.#front;
    if (this.#high.length > 0) return this.#high;
    return this.#work.length > 0 ? this.#work : this.#low;
  }

  #queueOf({ token }: Delivery): Queue<Delivery> {
    switch (token[0]) {
      case STREAM.front:
        return this.#front;
      case STREAM.high:
        return this.#high;
      case STREAM.low:
        return this.#low;
      default:
        return this.#work;
    }
  }
}
