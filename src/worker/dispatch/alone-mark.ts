/**
 * The mark in Redis which says that nothing but the suspect has started in its process. When a process dies, nothing is left
 * that knows what ran there. The sweep that redelivers the execution charges it if it has the mark.
 *
 * Owns the knowledge of whether the mark may be there. Until it certainly is not, nothing else may start:
 *
 *          write              marked               remove             answered
 *   clear ───────> writing ───────────> written ──────────> removing ──────────> clear
 *                     └──── not marked, or remove ─────────────^
 *
 * A write that failed may have arrived, so the mark is removed as if it had. Removing is tried until Redis answers.
 */
import { type Deferred, deferred } from '../../core/deferred.js';
import { pause } from '../../core/service.js';
import type { Delivery } from '../delivery.js';

const RETRY_AFTER_MS = 200;

export interface AloneMarkOptions {
  /** Writes the mark. Resolves to false when the delivery is no longer this worker's. */
  write(delivery: Delivery): Promise<boolean>;
  /** Removes the mark; a delivery that is no longer this worker's has none. */
  remove(delivery: Delivery): Promise<unknown>;
  /** Called when the mark was written, and when it was removed. */
  onChange(): void;
}

export class AloneMark {
  readonly #options: AloneMarkOptions;
  readonly #closing = new AbortController();
  #state: 'clear' | 'writing' | 'written' | 'removing' = 'clear';
  #removal: Deferred<void> | null = null;

  constructor(options: AloneMarkOptions) {
    this.#options = options;
  }

  /** Whether there is certainly no mark. */
  get isClear(): boolean {
    return this.#state === 'clear';
  }

  /** Whether the mark is there, and stays for now. */
  get isWritten(): boolean {
    return this.#state === 'written' && this.#removal !== null;
  }

  /** Marks a delivery. Until `remove` is called, and is answered, nothing else may start. */
  write(delivery: Delivery): void {
    if (!this.isClear) throw new Error(`a mark cannot be written: another one is ${this.#state}`);
    this.#removal = deferred();
    void this.#keep(delivery, this.#removal);
  }

  /** Removes the mark that was written, or is being written. Does nothing when there is none. */
  remove(): void {
    this.#removal?.resolve();
    this.#removal = null;
  }

  /** Removes the mark, because the worker stops. If that fails, it is not tried again. */
  close(): void {
    this.#closing.abort();
    this.remove();
  }

  async #keep(delivery: Delivery, removal: Deferred<void>): Promise<void> {
    this.#state = 'writing';
    const isMarked = await this.#options.write(delivery).catch(() => false);
    if (isMarked && this.#removal === removal) {
      this.#state = 'written';
      this.#options.onChange();
      await removal.promise;
    }
    this.#state = 'removing';
    if (this.#removal === removal) this.#removal = null;
    await this.#remove(delivery);
    this.#state = 'clear';
    this.#options.onChange();
  }

  async #remove(delivery: Delivery): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      try {
        await this.#options.remove(delivery);
        return;
      } catch {
        if (signal.aborted) return;
        await pause(RETRY_AFTER_MS, signal);
      }
    }
  }
}
