/**
 * A first-in, first-out queue on an array: push, shift and unshift take constant time, where `Array.shift` is linear.
 */
export class Queue<T> implements Iterable<T> {
  #items: T[] = [];
  #head = 0;
  /** Items that were put back; the last one is the head of the queue. */
  #returned: T[] = [];

  get length(): number {
    return this.#returned.length + this.#items.length - this.#head;
  }

  /** Adds an item at the tail. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts an item back at the head, before all others. */
  unshift(item: T): void {
    this.#returned.push(item);
  }

  /** Returns the head and leaves it in the queue; `undefined` when the queue is empty. */
  peek(): T | undefined {
    return this.#returned.at(-1) ?? this.#items[this.#head];
  }

  /** Takes the head; `undefined` when the queue is empty. */
  shift(): T | undefined {
    if (this.#returned.length > 0) return this.#returned.pop();
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined as T; // so that the item can be garbage-collected
    this.#head += 1;
    if (this.#head === this.#items.length || this.#head > 4_096) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Empties the queue and returns its items in order. */
  clear(): T[] {
    const all = [...this];
    this.#items = [];
    this.#head = 0;
    this.#returned = [];
    return all;
  }

  /** Removes the items that match; the others keep their order. */
  removeIf(matches: (item: T) => boolean): void {
    this.#items = this.clear().filter((item) => !matches(item));
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#returned.length - 1; i >= 0; i--) yield this.#returned[i]!;
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i]!;
  }
}
