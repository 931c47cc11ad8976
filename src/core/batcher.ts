/**
 * Sends items in batches. {@link Batcher} coalesces single items by natural pressure: what arrives in one tick travels
 * together, and while `maxInFlight` batches are unanswered the next ones collect. Lowest latency when idle, largest
 * batches when busy, and no timer. Measured: a script for 100 adds costs Redis 1.3-5.8 us an item, one script per add
 * 10.5 us. {@link sendInBatches} serves callers who have all their items at hand.
 */

export interface BatchLimits<I> {
  /** Items in a batch at most. */
  readonly maxItems: number;
  /** Bytes in a batch at most, as counted by `sizeOf`; a single larger item travels alone. */
  readonly maxBytes: number;
  /** Batches without an answer at most; 2 lets one be written while the other is executed. */
  readonly maxInFlight: number;
  readonly sizeOf: (item: I) => number;
}

interface Waiting<I, O> {
  readonly item: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
}

export class Batcher<I, O> {
  readonly #send: (items: I[]) => Promise<readonly O[]>;
  readonly #limits: BatchLimits<I>;
  #waiting: Waiting<I, O>[] = [];
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** `send` writes one batch and answers with one output per item, in order. */
  constructor(send: (items: I[]) => Promise<readonly O[]>, limits: BatchLimits<I>) {
    this.#send = send;
    this.#limits = limits;
  }

  /** Adds one item to the next batch; settles when that batch is answered. */
  add(item: I): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#schedule();
    });
  }

  /** Resolves when nothing is waiting and nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#inFlight === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Sends at the end of the current tick, so that `Promise.all(items.map(add))` is one batch and not one plus the rest. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#limits.maxInFlight) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      while (this.#waiting.length > 0 && this.#inFlight < this.#limits.maxInFlight) void this.#sendOne(this.#take());
      this.#settleIdle();
    });
  }

  async #sendOne(batch: Waiting<I, O>[]): Promise<void> {
    this.#inFlight += 1;
    try {
      const outputs = await this.#send(batch.map((waiting) => waiting.item));
      for (let i = 0; i < batch.length; i++) batch[i]!.resolve(outputs[i] as O);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#inFlight -= 1;
      if (this.#waiting.length > 0) this.#schedule();
      else this.#settleIdle();
    }
  }

  #take(): Waiting<I, O>[] {
    const count = prefixThatFits(this.#waiting, 0, this.#limits, (waiting) => waiting.item);
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }

  #settleIdle(): void {
    if (this.#inFlight > 0 || this.#waiting.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** What became of one batch: its outputs, or the error that `send` rejected with. */
export interface SentBatch<O> {
  readonly outputs: readonly (O | null)[];
  readonly error: unknown;
}

/** Sends all items, in order, and answers batch by batch; where a batch failed its outputs are `null`. Never rejects. */
export async function sendInBatches<I, O>(
  items: readonly I[],
  send: (items: I[]) => Promise<readonly O[]>,
  limits: BatchLimits<I>,
): Promise<SentBatch<O>[]> {
  const sent: SentBatch<O>[] = [];
  let next = 0;
  const sendRest = async () => {
    while (next < items.length) {
      const count = prefixThatFits(items, next, limits, (item) => item);
      const batch = items.slice(next, next + count);
      const index = sent.push({ outputs: [], error: null }) - 1;
      next += count;
      try {
        sent[index] = { outputs: await send(batch), error: null };
      } catch (error) {
        sent[index] = { outputs: batch.map(() => null), error };
      }
    }
  };
  await Promise.all(Array.from({ length: limits.maxInFlight }, sendRest));
  return sent;
}

/** How many items from `start` on fit one batch: at least one. */
function prefixThatFits<T, I>(from: readonly T[], start: number, limits: BatchLimits<I>, itemOf: (t: T) => I): number {
  const end = Math.min(from.length, start + limits.maxItems);
  let bytes = 0;
  for (let i = start; i < end; i++) {
    bytes += limits.sizeOf(itemOf(from[i]!));
    if (i > start && bytes > limits.maxBytes) return i - start;
  }
  return end - start;
}
