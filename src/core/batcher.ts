/**
 * Sends items in batches. {@link Batcher} coalesces single items by natural pressure: what arrives in one tick travels
 * together, and while `maxInFlight` batches are unanswered the next ones collect. Lowest latency when idle, largest
 * batches when busy, and no timer. Measured: a script for 100 adds costs Redis 1.3-5.8 us an item, one script per add
 * 10.5 us. {@link sendInBatches} serves callers who have all their items at hand.
 */

/** How large a batch may be. */
export interface BatchSize<I> {
  /** Items in a batch at most. */
  readonly maxItems: number;
  /** Bytes in a batch at most, as counted by `sizeOf`; a single larger item travels alone. */
  readonly maxBytes: number;
  readonly sizeOf: (item: I) => number;
}

export interface BatchLimits<I> extends BatchSize<I> {
  /** Batches without an answer at most; 2 lets one be written while the other is executed. */
  readonly maxInFlight: number;
}

export class Batcher<I> {
  readonly #send: (batch: I[]) => Promise<void>;
  readonly #limits: BatchLimits<I>;
  #waiting: I[] = [];
  readonly #inFlight = new Set<readonly I[]>();
  #isScheduled = false;
  #onIdle: (() => void)[] = [];

  /** `send` writes one batch and deals with its failure: it must not reject. */
  constructor(send: (batch: I[]) => Promise<void>, limits: BatchLimits<I>) {
    this.#send = send;
    this.#limits = limits;
  }

  /** Adds an item to the next batch. */
  push(item: I): void {
    this.#waiting.push(item);
    this.#schedule();
  }

  /** Resolves when nothing is waiting and nothing is in flight. */
  async idle(): Promise<void> {
    if (this.isIdle) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** Whether nothing is waiting and nothing is in flight. */
  get isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#waiting.length === 0;
  }

  /** Every item that is not done with, the oldest first. */
  *[Symbol.iterator](): Iterator<I> {
    for (const batch of this.#inFlight) yield* batch;
    yield* this.#waiting;
  }

  /** Sends at the end of the current tick, so that what one tick pushes is one batch and not one plus the rest. */
  #schedule(): void {
    if (this.#isScheduled || this.#inFlight.size >= this.#limits.maxInFlight) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      while (this.#waiting.length > 0 && this.#inFlight.size < this.#limits.maxInFlight) this.#sendOne(this.#take());
    });
  }

  #sendOne(batch: I[]): void {
    this.#inFlight.add(batch);
    void this.#send(batch).then(() => {
      this.#inFlight.delete(batch);
      if (this.#waiting.length > 0) this.#schedule();
      else if (this.isIdle) for (const resolve of this.#onIdle.splice(0)) resolve();
    });
  }

  #take(): I[] {
    const count = prefixThatFits(this.#waiting, 0, this.#limits);
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }
}

/** A batcher whose callers wait for the output of their item. */
export class RequestBatcher<I, O> {
  readonly #batcher: Batcher<Request<I, O>>;

  /** `send` writes one batch and answers with one output per item, in order; if it rejects, so does every item. */
  constructor(send: (batch: I[]) => Promise<readonly O[]>, limits: BatchLimits<I>) {
    this.#batcher = new Batcher(
      async (requests) => {
        try {
          const outputs = await send(requests.map((request) => request.item));
          for (let i = 0; i < requests.length; i++) requests[i]!.resolve(outputs[i] as O);
        } catch (error) {
          for (const request of requests) request.reject(error);
        }
      },
      { ...limits, sizeOf: (request) => limits.sizeOf(request.item) },
    );
  }

  /** Adds an item to the next batch; settles when that batch is answered. */
  add(item: I): Promise<O> {
    return new Promise((resolve, reject) => this.#batcher.push({ item, resolve, reject }));
  }

  /** Resolves when every item has its answer. */
  async idle(): Promise<void> {
    await this.#batcher.idle();
  }
}

interface Request<I, O> {
  readonly item: I;
  readonly resolve: (output: O) => void;
  readonly reject: (error: unknown) => void;
}

/** What became of one batch: its outputs, or the error that `send` rejected with. */
export interface SentBatch<O> {
  readonly outputs: readonly (O | null)[];
  readonly error: unknown;
}

/**
 * Sends all items, in order, and answers batch by batch; where a batch failed its outputs are `null`. After a failure nothing
 * more is sent: each further batch would wait for its own. Never rejects.
 */
export async function sendInBatches<I, O>(
  items: readonly I[],
  send: (items: I[]) => Promise<readonly O[]>,
  limits: BatchLimits<I>,
): Promise<SentBatch<O>[]> {
  const sent: SentBatch<O>[] = [];
  let next = 0;
  let failure: unknown = null;
  const sendRest = async () => {
    while (next < items.length && failure === null) {
      const count = prefixThatFits(items, next, limits);
      const batch = items.slice(next, next + count);
      const index = sent.push({ outputs: [], error: null }) - 1;
      next += count;
      try {
        sent[index] = { outputs: await send(batch), error: null };
      } catch (error) {
        failure = error;
        sent[index] = { outputs: batch.map(() => null), error };
      }
    }
  };
  await Promise.all(Array.from({ length: limits.maxInFlight }, sendRest));
  if (next < items.length) sent.push({ outputs: items.slice(next).map(() => null), error: failure });
  return sent;
}

/** Cuts items into batches, in order. */
export function* batchesOf<I>(items: readonly I[], size: BatchSize<I>): Generator<I[]> {
  for (let next = 0; next < items.length; ) {
    const count = prefixThatFits(items, next, size);
    yield items.slice(next, next + count);
    next += count;
  }
}

/** How many items from `start` on fit one batch: at least one. */
function prefixThatFits<I>(items: readonly I[], start: number, limits: BatchSize<I>): number {
  const end = Math.min(items.length, start + limits.maxItems);
  let bytes = 0;
  for (let i = start; i < end; i++) {
    bytes += limits.sizeOf(items[i]!);
    if (i > start && bytes > limits.maxBytes) return i - start;
  }
  return end - start;
}
