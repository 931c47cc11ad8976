/**
 * How far a thread may log ahead of the coordinator, which writes the lines. Without a bound, a task that logs in a busy
 * loop would fill the coordinator's memory and keep it from its leases for as long as the lines take to write. The output of
 * tasks to stdout and stderr has another window of this kind.
 *
 *   thread        take ── room? ── yes ──> posts the line
 *                           │ no
 *                           └── waits until the coordinator has written some; after ten seconds, the line is dropped
 *   coordinator   written, once per turn of its event loop: so it writes one window of each thread per turn at most
 *
 * The thread waits in `Atomics.wait`, because a busy loop receives no message. One word of shared memory has how much was
 * written; it wraps around.
 */
import { monotonicMs } from '../core/clock.js';
import type { LogLine } from './protocol.js';

/** Units in the window. At 50 us a line, on a slow pipe, one window takes the coordinator 13 ms. */
const WINDOW = 256;
/** A line takes one unit, and one more for each of so many characters. */
const UNIT_CHARACTERS = 1_024;
/** About the length of a number in text. Somebody may log an array of a million numbers. */
const SCALAR_CHARACTERS = 8;
const LONGEST_WAIT_MS = 10_000;
const WRITTEN = 0;

/** Returns the units that a line takes in the window. */
export function unitsOf({ message, fields }: LogLine): number {
  let characters = message.length;
  for (const name in fields) {
    const value = fields[name];
    characters += name.length + (typeof value === 'string' ? value.length : SCALAR_CHARACTERS);
  }
  return unitsOfText(characters);
}

/** Returns the units that a text of this length takes. */
export function unitsOfText(characters: number): number {
  return 1 + Math.floor(characters / UNIT_CHARACTERS);
}

export class LogWindow {
  readonly #words: Int32Array;
  readonly #waitMs: number;
  #taken = 0;
  /** How much had been written when a wait for the coordinator last timed out. */
  #stalledAt: number | null = null;

  /** @param waitMs - how long a line waits for room before it is dropped */
  constructor(buffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT), waitMs = LONGEST_WAIT_MS) {
    this.#words = new Int32Array(buffer);
    this.#waitMs = waitMs;
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer as SharedArrayBuffer;
  }

  /**
   * Thread: takes room for a line, and waits for it if need be. A line that is larger than the window has room when
   * nothing else is on its way.
   * @returns false when there was no room in time, so the line must be dropped. While the coordinator writes nothing,
   *   the lines after it are dropped without another wait.
   */
  take(units: number): boolean {
    let written = Atomics.load(this.#words, WRITTEN);
    if (!this.#hasRoom(units, written)) {
      if (written === this.#stalledAt) return false;
      const endMs = monotonicMs() + this.#waitMs;
      do {
        const leftMs = endMs - monotonicMs();
        if (leftMs <= 0 || Atomics.wait(this.#words, WRITTEN, written, leftMs) === 'timed-out') {
          this.#stalledAt = written;
          return false;
        }
        written = Atomics.load(this.#words, WRITTEN);
      } while (!this.#hasRoom(units, written));
    }
    this.#stalledAt = null;
    this.#taken = (this.#taken + units) | 0;
    return true;
  }

  /** Coordinator: has written lines of so many units. */
  written(units: number): void {
    Atomics.add(this.#words, WRITTEN, units);
    Atomics.notify(this.#words, WRITTEN);
  }

  #hasRoom(units: number, written: number): boolean {
    const ahead = (this.#taken - written) | 0;
    return ahead <= 0 || ahead + units <= WINDOW;
  }
}
