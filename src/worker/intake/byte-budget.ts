/**
 * Bounds the bytes that a worker has in hand: the messages of its deliveries, and the outcomes that wait to be written.
 *
 * Owns the bound, and the estimates by which a read keeps to it although the server takes only a count. The bytes in hand are
 * counted, not tracked, so that no way in which a delivery leaves the worker can be forgotten. Counting walks over all deliveries,
 * so it is done only when the bytes that came since the last count might be too many.
 */
import type { Entry } from '../../redis/entry.js';
import { LARGE_BYTES } from '../../redis/schema.js';

/** The maximum number of bytes in hand. One message may exceed it, so that any message can be read. */
const IN_HAND_BYTES = 128 * 1024 * 1024;
/** The maximum number of bytes in one read, unless messages are larger than those read before. */
const READ_BYTES = 8 * 1024 * 1024;
/** The maximum number of messages of unknown size in one read: these may all be large for once. */
const READ_ITEMS = 128;
/** Assumed for a message of unknown size, and for outcomes before the first: the default of `maxPayloadBytes`. */
const UNKNOWN_BYTES = 1024 * 1024;
/** Expected of messages before the first read. So the first reads are small, and double while the messages are small. */
const FIRST_BYTES = UNKNOWN_BYTES / 2;
const LEAST_BYTES = 64;
/** The part of the expected size of outcomes that remains after a smaller one. */
const OUTCOME_DECAY = 7 / 8;

/** How many messages may be read. A read of several streams brings its number from each of them. */
export interface ByteRoom {
  /** Of each stream: a read is short where its messages may be large. */
  readonly ofEach: number;
  /** Of all streams: what fits. */
  readonly inAll: number;
}

export class ByteBudget {
  readonly #countInHand: () => number;
  /** The bytes in hand at the last count, and all that came since. */
  #mostInHand = 0;
  /** The expected bytes of a message: those of the largest one of the last read, or half of the expectation before it. */
  #messageBytes = FIRST_BYTES;
  /** The expected bytes of an outcome: those of the last one, or a little less than the expectation before it. */
  #outcomeBytes = UNKNOWN_BYTES;

  /** @param countInHand - counts the bytes of all messages and outcomes in hand, those just read included */
  constructor(countInHand: () => number) {
    this.#countInHand = countInHand;
  }

  /** Takes note of entries that were read. */
  addEntries(entries: readonly Entry[]): void {
    let largest = LEAST_BYTES;
    for (const { message } of entries) {
      const bytes = message?.length ?? 0;
      this.#mostInHand += bytes;
      if (bytes > largest) largest = bytes;
    }
    this.#messageBytes = Math.max(largest, this.#messageBytes / 2);
  }

  /** Takes note of an outcome, of any number of bytes. */
  addOutcome(bytes: number): void {
    this.#mostInHand += bytes;
    this.#outcomeBytes = Math.max(bytes, OUTCOME_DECAY * this.#outcomeBytes);
  }

  /**
   * Returns how many messages of unknown size may be read.
   * @param ahead - executions that were read ahead, whose outcomes are to come. Those that run at once do not count, since
   *   the user chose their number.
   * @param coming - messages that reads of other partitions may bring. @default none
   */
  room(ahead: number, coming = 0): ByteRoom {
    const { ofEach, inAll } = this.#roomFor(UNKNOWN_BYTES, ahead, coming * UNKNOWN_BYTES);
    return { ofEach: Math.min(READ_ITEMS, ofEach), inAll };
  }

  /** Returns how many messages may be read of which none is large. All that are coming then have 64 MiB at most. */
  roomForSmall(ahead: number, coming = 0): ByteRoom {
    return this.#roomFor(LARGE_BYTES, ahead, coming * this.#messageBytes);
  }

  #roomFor(mostBytes: number, ahead: number, comingBytes: number): ByteRoom {
    const toCome = ahead * this.#outcomeBytes;
    if (this.#mostInHand + toCome > IN_HAND_BYTES / 2) this.#mostInHand = this.#countInHand();
    const left = Math.max(0, IN_HAND_BYTES - this.#mostInHand - toCome - comingBytes);
    const inAll = Math.ceil(left / (mostBytes + this.#outcomeBytes));
    return { ofEach: Math.min(Math.ceil(READ_BYTES / this.#messageBytes), inAll), inAll };
  }
}

/** Returns the number of bytes of the messages of these entries. */
export function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const { message } of entries) bytes += message?.length ?? 0;
  return bytes;
}
