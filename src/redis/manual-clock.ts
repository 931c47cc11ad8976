/**
 * The clock of an embedded server that stands still until it is set, for tests. It is one word of shared memory: the thread of
 * the server reads it as its own clock, and this thread sets it.
 *
 * Owns the rule that whatever goes by the server's clock in this thread reads the same word, so that nothing continues a time
 * that stands still.
 */
import { LATEST_MS } from '../core/clock.js';
import { InvalidOptionError } from '../core/errors.js';
import { parseRedisUrl } from './url.js';

export class ManualClock {
  /** The memory, for the thread of the server. */
  readonly memory: SharedArrayBuffer;
  readonly #word: BigInt64Array;

  /** Allocates a clock that shows this time, in milliseconds, or opens the one that another thread has allocated. */
  constructor(nowOrMemory: number | SharedArrayBuffer) {
    this.memory = typeof nowOrMemory === 'number' ? new SharedArrayBuffer(8) : nowOrMemory;
    this.#word = new BigInt64Array(this.memory);
    if (typeof nowOrMemory === 'number') this.set(nowOrMemory);
  }

  /** Returns the time in whole milliseconds. */
  get nowMs(): number {
    return Number(Atomics.load(this.#word, 0));
  }

  /** @throws InvalidOptionError when no Date can hold the time */
  set(nowMs: number): void {
    if (!Number.isFinite(nowMs) || Math.abs(nowMs) > LATEST_MS) {
      throw new InvalidOptionError('now', `expected a time that a Date can hold, got ${nowMs}`);
    }
    Atomics.store(this.#word, 0, BigInt(Math.round(nowMs)));
  }
}

/** The clocks of the embedded servers that have one, by the names of the servers. Belongs to this thread, as they do. */
const clocks = new Map<string, ManualClock>();

/** Names the clock of a server, or forgets it. */
export function setManualClock(name: string, clock: ManualClock | null): void {
  if (clock) clocks.set(name, clock);
  else clocks.delete(name);
}

/** Returns the clock of the server behind a URL; `null` for every server that goes by the time of its machine. */
export function manualClockAt(url: string): ManualClock | null {
  if (clocks.size === 0) return null;
  const target = parseRedisUrl(url);
  return target.kind === 'memory' ? (clocks.get(target.name) ?? null) : null;
}
