/**
 * `ctx.progress`, made on first use. Current and total go straight into the slot table, which the coordinator looks at;
 * messages go over the thread's port, the latest one at most ten times a second, and once more with the outcome.
 *
 * Owns the rule that nothing is written after the attempt has ended: its row may have another tenant then.
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
  readonly #isKept: boolean;
  #current = 0;
  #total = DEFAULT_TOTAL;
  /** `undefined` until one was set. */
  #message: string | null | undefined;
  #hasUnsent = false;
  #sentMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  /** `isKept` says whether anybody will ever read it: messages of others stay here. */
  constructor(scope: ThreadScope, { row, epoch }: ChunkItem, isKept: boolean) {
    this.#isKept = isKept;
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
    if (current > Number.MAX_SAFE_INTEGER) throw new InvalidOptionError('progress.increment', 'the sum is not exact');
    if (this.#hasEnded) return;
    this.#current = current;
    this.#scope.slots.setCurrent(this.#row, current);
    if (this.#hasUnsent) this.#send(); // a busy loop: no timer fires
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
    this.#hasUnsent = this.#isKept;
    if (this.#isKept) this.#send();
  };

  /** Writes nothing from now on. Answers with the last message to be kept, whether it was sent or not; `undefined` for none. */
  end(): string | null | undefined {
    this.#hasEnded = true;
    this.#hasUnsent = false;
    clearTimeout(this.#timer);
    return this.#isKept ? this.#message : undefined;
  }

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
