/** A first-in first-out queue on an array: push, shift and unshift in constant time, where Array.shift is linear. */
export class Queue<T> implements Iterable<T> {
  #items: T[] = [];
  #head = 0;
  /** Items put back, last first. */
  #returned: T[] = [];

  get length(): number {
    return this.#returned.length + this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Puts an item back at the head. */
  unshift(item: T): void {
    this.#returned.push(item);
  }

  peek(): T | undefined {
    return this.#returned.at(-1) ?? this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#returned.length > 0) return this.#returned.pop();
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined as T; // so that what was taken can be collected
    this.#head += 1;
    if (this.#head === this.#items.length || this.#head > 4_096) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Empties the queue; answers with what was in it. */
  clear(): T[] {
    const all = [...this];
    this.#items = [];
    this.#head = 0;
    this.#returned = [];
    return all;
  }

  removeIf(isMeant: (item: T) => boolean): void {
    this.#items = this.clear().filter((item) => !isMeant(item));
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#returned.length - 1; i >= 0; i--) yield this.#returned[i]!;
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i]!;
  }
}
