/**
 * Keeps a list of strikes like the one in Redis, by push: no command is sent until something changes.
 *
 * Owns the order by which no change is lost: subscribe, then load the hash. What changed before the load is in it; what
 * changes after it is published. What is published while the load is on its way waits for it, and is then passed over if it
 * is in there. Each change names the version before it, so one that was missed is noticed with the next; each (re)connect
 * loads anew. So there is nothing a stream of changes would add: it would be a second copy of the list's end, to be trimmed,
 * and reading it would take a connection that blocks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Strikes } from '../wire/strikes.js';
import type { Keys } from './keys.js';
import { loadStrikes, parseChange, type StrikeChange, type StrikeSnapshot } from './strike-store.js';

const RETRY_AFTER_MS = 250;
/** Where this user may not subscribe the list is loaded from time to time instead. */
const UNHEARD_MS = 5_000;

export interface StrikeFollowerOptions {
  readonly strikes: Strikes;
  /** Loads the list. */
  readonly redis: Redis;
  /** Hears of changes. */
  readonly subscriber: Redis;
  readonly keys: Keys;
  /** Something may be struck now that was not before. */
  onStruck?(): void;
  /** The list could not be loaded or followed; it is tried again. */
  onFailure?(error: Error): void;
}

export class StrikeFollower {
  readonly #options: StrikeFollowerOptions;
  readonly #closing = new AbortController();
  readonly #opened: Promise<void>;
  #onOpened!: () => void;
  #version = NONE;
  #isLoading = false;
  /** Whether what is being loaded may be older than the last (re)connect. */
  #isOutdated = false;
  /** What was heard while the list is being loaded; `null` when it is not. */
  #heard: StrikeChange[] | null = null;

  constructor(options: StrikeFollowerOptions) {
    this.#options = options;
    this.#opened = new Promise((resolve) => {
      this.#onOpened = resolve;
    });
  }

  /**
   * Resolves when the list is loaded and every later change will be heard (or, where this user may not subscribe, found
   * within 5 s), or when this was closed; never rejects.
   */
  open(): Promise<void> {
    const { subscriber } = this.#options;
    subscriber.on('message', this.#onMessage).on('ready', this.#reload);
    this.#reload();
    return this.#opened;
  }

  /** Hears of nothing more; the list stays as it is. Idempotent. The connections are their owner's to close. */
  close(): void {
    const { subscriber } = this.#options;
    this.#closing.abort();
    this.#onOpened();
    subscriber.off('message', this.#onMessage).off('ready', this.#reload);
  }

  readonly #onMessage = (channel: string, message: string): void => {
    if (channel !== this.#options.keys.strikes) return;
    const change = parseChange(message);
    if (this.#heard) this.#heard.push(change);
    else if (change.known === this.#version) this.#apply(change);
    else this.#reload();
  };

  readonly #reload = (): void => {
    this.#isOutdated = true;
    if (!this.#isLoading) void this.#load();
  };

  async #load(): Promise<void> {
    const { subscriber, redis, keys } = this.#options;
    const { signal } = this.#closing;
    this.#isLoading = true;
    while (this.#isOutdated && !signal.aborted) {
      this.#isOutdated = false;
      this.#heard = [];
      try {
        const refusal = await subscriber.subscribe(keys.strikes).then(
          () => null,
          (error: Error) => error,
        );
        this.#adopt(await loadStrikes(redis, keys));
        if (refusal || !this.#isOutdated) this.#onOpened();
        if (refusal) await this.#tryAgain(refusal, UNHEARD_MS);
      } catch (error) {
        await this.#tryAgain(error as Error, RETRY_AFTER_MS);
      }
    }
    this.#isLoading = false;
  }

  async #tryAgain(error: Error, afterMs: number): Promise<void> {
    const { signal } = this.#closing;
    if (signal.aborted) return;
    this.#isOutdated = true;
    this.#options.onFailure?.(error);
    await delay(afterMs, undefined, { signal }).catch(() => undefined);
  }

  #adopt(snapshot: StrikeSnapshot): void {
    const { strikes, onStruck } = this.#options;
    strikes.replaceAll(snapshot.strikes);
    this.#version = snapshot.version || NONE;
    if (strikes.size > 0) onStruck?.();
    const heard = this.#heard ?? [];
    this.#heard = null;
    for (const change of heard) {
      if (change.known === this.#version) this.#apply(change);
      else if (Number(change.version) > Number(this.#version)) this.#isOutdated = true;
    }
  }

  #apply({ version, isStruck, strike }: StrikeChange): void {
    const { strikes, onStruck } = this.#options;
    this.#version = version;
    if (!strike) return;
    if (!isStruck) return strikes.delete(strike);
    strikes.add(strike);
    onStruck?.();
  }
}

/** The version before the first change. */
const NONE = '0';
