/**
 * The deliveries that wait in this worker for a thread. Those from the front stream go before those from the work stream,
 * each in the order of its stream, so that a woken waiter is not behind everything that was read ahead.
 */
import { Queue } from '../../core/queue.js';
import { STREAM } from '../../redis/schema.js';
import type { Delivery } from '../delivery.js';

export class DeliveryQueue implements Iterable<Delivery> {
  readonly #front = new Queue<Delivery>();
  readonly #work = new Queue<Delivery>();

  get length(): number {
    return this.#front.length + this.#work.length;
  }

  push(delivery: Delivery): void {
    this.#queueOf(delivery).push(delivery);
  }

  /** Puts a delivery back at the head of those from its stream. */
  unshift(delivery: Delivery): void {
    this.#queueOf(delivery).unshift(delivery);
  }

  peek(): Delivery | undefined {
    return this.#front.peek() ?? this.#work.peek();
  }

  shift(): Delivery | undefined {
    return this.#front.shift() ?? this.#work.shift();
  }

  /** Empties the queue and returns its deliveries. */
  clear(): Delivery[] {
    return [...this.#front.clear(), ...this.#work.clear()];
  }

  removeIf(matches: (delivery: Delivery) => boolean): void {
    this.#front.removeIf(matches);
    this.#work.removeIf(matches);
  }

  *[Symbol.iterator](): Iterator<Delivery> {
    yield* this.#front;
    yield* this.#work;
  }

  #queueOf({ token }: Delivery): Queue<Delivery> {
    return token.startsWith(STREAM.front) ? this.#front : this.#work;
  }
}
