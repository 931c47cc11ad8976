/**
 * What waits in this worker for a thread: what came from the front stream before what came from the work stream, each in its
 * order. A woken waiter is then not behind all that was read ahead.
 */
import { Queue } from '../../core/queue.js';
import type { Delivery } from '../delivery.js';

export class DeliveryQueue implements Iterable<Delivery> {
  readonly #front = new Queue<Delivery>();
  readonly #work = new Queue<Delivery>();

  get length(): number {
    return this.#front.length + this.#work.length;
  }

  push(delivery: Delivery): void {
    this.#of(delivery).push(delivery);
  }

  /** Puts a delivery back at the head of those from its stream. */
  unshift(delivery: Delivery): void {
    this.#of(delivery).unshift(delivery);
  }

  peek(): Delivery | undefined {
    return this.#front.peek() ?? this.#work.peek();
  }

  shift(): Delivery | undefined {
    return this.#front.shift() ?? this.#work.shift();
  }

  /** Empties the queue; answers with what was in it. */
  clear(): Delivery[] {
    return [...this.#front.clear(), ...this.#work.clear()];
  }

  removeIf(isMeant: (delivery: Delivery) => boolean): void {
    this.#front.removeIf(isMeant);
    this.#work.removeIf(isMeant);
  }

  *[Symbol.iterator](): Iterator<Delivery> {
    yield* this.#front;
    yield* this.#work;
  }

  #of({ token }: Delivery): Queue<Delivery> {
    return token.startsWith('f') ? this.#front : this.#work;
  }
}
