/**
 * `ctx.progress`. `current` and `total` go straight into the slot table, which the coordinator reads. Messages go over
 * the thread's port: the latest one at most ten times a second, and once more with the outcome.
 *
 * Owns the rule that nothing is written after the attempt has ended, because its row may have another shipment then.
 */

import type { ChunkItem } from '../channel/protocol.js';
import { shipmentIdOf } from '../channel/slots.js';
import { monotonicMs } from '../core/clock.js';
import { InvalidOptionError } from '../core/errors.js';
import { DEFAULT_TOTAL } from '../core/progress.js';
import { checkIncrement, checkMessage, checkTotal, type Progress } from '../tasks/progress.js';
import type { ThreadScope } from './scope.js';

const SEND_EVERY_MS = 100;

export class AttemptProgress implements Progress {
  readonly #scope: ThreadScope;
  readonly #row: number;
  readonly #epoch: number;
  readonly #isStored: boolean;
  #current = 0;
  #total = DEFAULT_TOTAL;
  /** `undefined` until the body sets one. */
  #message: string | null | undefined;
  #hasUnsent = false;
  #sentMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  /**
   * @param isStored - whether the execution keeps its progress; otherwise nobody can read a message, and none is sent
   */
  constructor(scope: ThreadScope, { row, epoch }: ChunkItem, isStored: boolean) {
    this.#isStored = isStored;
    this.#scope = scope;
    this.#row = row;
    this.#epoch = epoch;
  }

  get current(): number {
    return this.#current;
  }
  get total(): number {
    return this.#total;
  }
  get message(): string | null {
    return this.#message ?? null;
  }

  readonly increment = (by = 1): void => {
    const current = this.#current + checkIncrement(by);
    if (current > Number.MAX_SAFE_INTEGER) {
      throw new InvalidOptionError(
        'progress.increment',
        `expected a sum of at most ${Number.MAX_SAFE_INTEGER}, got ${current}`,
      );
    }
    if (this.#hasEnded) return;
    this.#current = current;
    this.#scope.slots.setCurrent(this.#row, current);
    if (this.#hasUnsent) this.#send(); // in a busy loop no timer fires
  };

  readonly setTotal = (total: number): void => {
    checkTotal(total);
    if (this.#hasEnded) return;
    this.#total = total;
    this.#scope.slots.setTotal(this.#row, total);
  };

  readonly setMessage = (message: string | null): void => {
    const checked = checkMessage(message);
    if (this.#hasEnded) return;
    this.#message = checked;
    this.#hasUnsent = this.#isStored;
    if (this.#isStored) this.#send();
  };

  /**
   * Writes nothing from now on. Returns the last message, whether it was sent or not; `undefined` when there is none to
   * store.
   */
  end(): string | null | undefined {
    this.#hasEnded = true;
    this.#hasUnsent = false;
    clearTimeout(this.#timer);
    return this.#isStored ? this.#message : undefined;
  }

  /** Sends the message, now or when the last one is 100 ms old. */
  #send(): void {
    const leftMs = this.#sentMs + SEND_EVERY_MS - monotonicMs();
    if (leftMs > 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        if (this.#hasUnsent) this.#send();
      }, leftMs).unref();
      return;
    }
    this.#sentMs = monotonicMs();
    this.#hasUnsent = false;
    this.#scope.report({ shipmentId: shipmentIdOf(this.#row, this.#epoch), message: this.message });
  }
}
