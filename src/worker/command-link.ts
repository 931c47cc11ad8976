/**
 * Knows whether this worker can write about its deliveries at the moment: claim, renew and settle them.
 *
 * Owns the rule for it: the commands connection is ready, the last try of each pending write was not refused, and none of
 * them has waited long for its answer. A worker that cannot write must read nothing: others would run again whatever it
 * runs.
 */
import type { Redis } from 'ioredis';
import { monotonicMs } from '../core/clock.js';

/** The longest that a write may take before the link counts as unusable. A dead link is replaced later than that. */
const PATIENCE_MS = 1_000;

export class CommandLink {
  readonly #redis: Pick<Redis, 'status' | 'on' | 'off'>;
  readonly #patienceMs: number;
  readonly #writes = new Set<TrackedWrite>();
  readonly #onUsable: (() => void)[] = [];
  #lastTroubleMs = Number.NEGATIVE_INFINITY;
  /** When the connection broke, on the monotonic clock; `null` while it is ready. */
  #brokenMs: number | null;

  constructor(redis: Pick<Redis, 'status' | 'on' | 'off'>, leaseMs: number) {
    this.#redis = redis;
    this.#patienceMs = Math.min(PATIENCE_MS, leaseMs / 3);
    this.#brokenMs = redis.status === 'ready' ? null : monotonicMs();
    redis.on('close', this.#onClose).on('ready', this.#onReady);
  }

  /** Stops watching the connection, which other partitions may share. */
  close(): void {
    this.#redis.off('close', this.#onClose).off('ready', this.#onReady);
  }

  /** When the connection was last broken, or a write refused, on the monotonic clock; minus infinity before that. */
  get lastTroubleMs(): number {
    return this.#lastTroubleMs;
  }

  /** Milliseconds since the connection broke; 0 while it is ready. */
  get downMs(): number {
    return this.#brokenMs === null ? 0 : monotonicMs() - this.#brokenMs;
  }

  get isUsable(): boolean {
    if (this.#redis.status !== 'ready') return false;
    const sentBeforeMs = monotonicMs() - this.#patienceMs;
    for (const write of this.#writes) if (write.isFailing || write.sentMs < sentBeforeMs) return false;
    return true;
  }

  /** Calls `listener` whenever the link may have become usable again. */
  onUsable(listener: () => void): void {
    this.#onUsable.push(listener);
  }

  /** Begins to watch a write, through all its tries, until its `end` is called. */
  track(): TrackedWrite {
    const write = new TrackedWrite((isOver) => {
      if (isOver) this.#writes.delete(write);
      else if (write.isFailing) this.#noteTrouble();
      this.#announce();
    });
    this.#writes.add(write);
    return write;
  }

  readonly #onClose = () => {
    this.#brokenMs ??= monotonicMs(); // each failed attempt to connect closes it again
    this.#noteTrouble();
  };

  readonly #onReady = () => {
    this.#brokenMs = null;
    this.#noteTrouble();
    this.#announce();
  };

  #noteTrouble(): void {
    this.#lastTroubleMs = monotonicMs();
  }

  #announce(): void {
    for (const listener of this.#onUsable) listener();
  }
}

/** A write that the link watches, or a series of writes of one kind. */
export class TrackedWrite {
  readonly #onChange: (isOver: boolean) => void;
  #sentMs = Number.POSITIVE_INFINITY;
  #isFailing = false;

  constructor(onChange: (isOver: boolean) => void) {
    this.#onChange = onChange;
  }

  /** When the pending try was sent, on the monotonic clock; infinity when none is pending. */
  get sentMs(): number {
    return this.#sentMs;
  }

  /** Whether the last try with an answer was refused. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Tries the write once. Returns the answer, or rejects as `send` does. */
  async attempt<T>(send: () => Promise<T>): Promise<T> {
    this.#sentMs = monotonicMs();
    try {
      const answer = await send();
      this.#isFailing = false;
      return answer;
    } catch (error) {
      this.#isFailing = true;
      throw error;
    } finally {
      this.#sentMs = Number.POSITIVE_INFINITY;
      this.#onChange(false);
    }
  }

  /** Stops watching it, because it has succeeded or was given up. */
  end(): void {
    this.#onChange(true);
  }
}
