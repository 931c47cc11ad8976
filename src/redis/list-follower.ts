/**
 * Keeps a copy of a list in Redis up to date by push: of the strikes, or of the pauses. No command is sent until something
 * changes.
 *
 * Owns the order by which no change is lost: subscribe, then load the hash. The load has every change before it, and
 * every change after it is published. A change that is published during the load is kept until the load is back, and
 * skipped if the load has it. Each change names the version before it, so a change that was missed is noticed with
 * the next one. Each (re)connect loads the list again. Until that load is done, and while the link is silent, changes are
 * missed; `lookUp` then asks for them.
 *
 * A stream of changes would add nothing: it would be a second copy of the list's end that has to be trimmed, and
 * reading it would take a connection that blocks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { deferred } from '../core/deferred.js';

/** The list at one moment. */
export interface ListSnapshot<Item> {
  readonly items: readonly Item[];
  /** Grows with each change; '' before the first one. */
  readonly version: string;
}

/** One change of the list, as it is published. */
export interface ListChange<Item> {
  /** The version that it changed; '0' for the first change. */
  readonly versionBefore: string;
  readonly version: string;
  readonly isAdded: boolean;
  /** `null` for a kind of item that this version of docket does not know. */
  readonly item: Item | null;
}

/** Where a list is kept, and how it is read. */
export interface ListSource<Item> {
  /** The channel on which changes are published. */
  readonly channel: string;
  /** Reads the whole list. */
  load(): Promise<ListSnapshot<Item>>;
  /** Reads the whole list if it is not of this version; else returns `null`. */
  loadChanged(version: string): Promise<ListSnapshot<Item> | null>;
  /** Reads a change as it was published. */
  parseChange(message: string): ListChange<Item>;
}

/** A copy of the list. */
export interface ListCopy<Item> {
  readonly size: number;
  replaceAll(items: readonly Item[]): void;
  add(item: Item): void;
  delete(item: Item): void;
}

const RETRY_AFTER_MS = 250;
/** How often the list is loaded where this user may not subscribe. */
const POLL_MS = 5_000;

export interface ListFollowerOptions<Item> {
  readonly source: ListSource<Item>;
  /** What is kept up to date. */
  readonly copy: ListCopy<Item>;
  /** Receives the changes. */
  readonly subscriber: Redis;
  /** Called when the list may have an item that it did not have before. */
  onAdded?(): void;
  /** Called when the list could not be loaded or followed, which is tried again. */
  onFailure?(error: Error): void;
}

export class ListFollower<Item> {
  readonly #options: ListFollowerOptions<Item>;
  readonly #closing = new AbortController();
  readonly #opened = deferred();
  #version = NONE;
  #isLoading = false;
  /** Whether the list that is being loaded may be older than the last (re)connect. */
  #isOutdated = false;
  /** Changes that were published during the present load; `null` when there is none. */
  #pending: ListChange<Item>[] | null = null;
  /** The number of links that have broken. */
  #broken = 0;
  #isFollowing = false;

  constructor(options: ListFollowerOptions<Item>) {
    this.#options = options;
  }

  /** Whether every change arrives by push, unless the link is silent. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /**
   * Resolves when the list is loaded and every later change will arrive (within 5 s where this user may not subscribe),
   * or when this was closed. Never rejects. Does nothing after `close()`.
   */
  open(): Promise<void> {
    const { subscriber } = this.#options;
    if (this.#closing.signal.aborted) return this.#opened.promise;
    subscriber.on('message', this.#onMessage).on('close', this.#onClose).on('ready', this.#reload);
    this.#reload();
    return this.#opened.promise;
  }

  /**
   * Brings the list up to the moment of the call, whether changes arrive or not.
   * @throws the error of the command, if it fails
   */
  async lookUp(): Promise<void> {
    const before = this.#version;
    const snapshot = await this.#options.source.loadChanged(before === NONE ? '' : before);
    // A change that arrived meanwhile may be newer than the list.
    const isCurrent = snapshot && (this.#version === before || Number(snapshot.version) > Number(this.#version));
    if (isCurrent) this.#replaceAll(snapshot);
  }

  /** Stops following; the list stays as it is. Idempotent. The connections are left to their owner. */
  close(): void {
    const { subscriber } = this.#options;
    this.#closing.abort();
    this.#opened.resolve();
    subscriber.off('message', this.#onMessage).off('close', this.#onClose).off('ready', this.#reload);
  }

  readonly #onMessage = (channel: string, message: string): void => {
    const { source } = this.#options;
    if (channel !== source.channel) return;
    const change = source.parseChange(message);
    if (this.#pending) this.#pending.push(change);
    else if (change.versionBefore === this.#version) this.#apply(change);
    else if (Number(change.version) > Number(this.#version)) this.#reload(); // else it was looked up already
  };

  readonly #onClose = (): void => {
    this.#broken += 1;
    this.#isFollowing = false;
  };

  readonly #reload = (): void => {
    this.#isOutdated = true;
    this.#isFollowing = false;
    if (!this.#isLoading) void this.#load();
  };

  async #load(): Promise<void> {
    const { subscriber, source } = this.#options;
    const { signal } = this.#closing;
    this.#isLoading = true;
    while (this.#isOutdated && !signal.aborted) {
      this.#isOutdated = false;
      this.#pending = [];
      const broken = this.#broken;
      try {
        const refusal = await subscriber.subscribe(source.channel).then(
          () => null,
          (error: Error) => error,
        );
        this.#adopt(await source.load());
        this.#isFollowing = !refusal && !this.#isOutdated && broken === this.#broken;
        if (refusal || !this.#isOutdated) this.#opened.resolve();
        if (refusal) await this.#tryAgain(refusal, POLL_MS);
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

  #replaceAll(snapshot: ListSnapshot<Item>): void {
    const { copy, onAdded } = this.#options;
    copy.replaceAll(snapshot.items);
    this.#version = snapshot.version || NONE;
    if (copy.size > 0) onAdded?.();
  }

  #adopt(snapshot: ListSnapshot<Item>): void {
    this.#replaceAll(snapshot);
    const pending = this.#pending ?? [];
    this.#pending = null;
    for (const change of pending) {
      if (change.versionBefore === this.#version) this.#apply(change);
      else if (Number(change.version) > Number(this.#version)) this.#isOutdated = true;
    }
  }

  #apply({ version, isAdded, item }: ListChange<Item>): void {
    const { copy, onAdded } = this.#options;
    this.#version = version;
    if (item === null) return;
    if (!isAdded) return copy.delete(item);
    copy.add(item);
    onAdded?.();
  }
}

/** The version before the first change. */
const NONE = '0';
