/**
 * Hears of state changes for all waiters of one docket over one subscriber connection.
 *
 * Owns the order by which no change is lost: SUBSCRIBE, then set the marker that makes scripts publish, and only then
 * may the waiter read the record. What settled before the marker is in the record; what settles after it is published.
 * The marker lives 30 s and is renewed every 5 s. Each renewal and each reconnect also tells every waiter to look again,
 * so that an event that was lost with a connection delays a waiter and never hangs it: the only poll there is.
 */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { Keys } from '../redis/keys.js';
import { LISTENER_RENEWAL_MS, markListening } from '../redis/producer-store.js';

/** Called with the payload of an event, or with `null` when something may have been missed. */
export type OnEvent = (event: string | null) => void;

export class Listener {
  readonly #url: string;
  readonly #keys: Keys;
  readonly #commands: () => Promise<Redis>;
  readonly #watchers = new Map<string, Set<OnEvent>>();
  readonly #closing = new AbortController();
  #subscriber: Promise<Redis> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #marked: Promise<void> | undefined;

  constructor(url: string, keys: Keys, commands: () => Promise<Redis>) {
    this.#url = url;
    this.#keys = keys;
    this.#commands = commands;
  }

  /** Resolves when every later change of the execution will be heard; answers with the way to stop listening. */
  async watch(key: string, onEvent: OnEvent): Promise<() => void> {
    const channel = this.#keys.events(key);
    const watchers = this.#watchers.get(channel) ?? new Set();
    this.#watchers.set(channel, watchers.add(onEvent));
    try {
      const subscriber = await this.#connect();
      await subscriber.subscribe(channel);
      await this.#mark();
    } catch (error) {
      this.#unwatch(channel, onEvent);
      throw error;
    }
    return () => this.#unwatch(channel, onEvent);
  }

  async close(): Promise<void> {
    this.#closing.abort(); // also ends a first connect that still tries
    clearInterval(this.#renewal);
    this.#renewal = undefined;
    this.#watchers.clear();
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    if (subscriber) await subscriber.then(closeConnection, () => undefined);
  }

  #unwatch(channel: string, onEvent: OnEvent): void {
    const watchers = this.#watchers.get(channel);
    if (!watchers?.delete(onEvent) || watchers.size > 0) return;
    this.#watchers.delete(channel);
    if (this.#watchers.size === 0) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
      this.#marked = undefined;
    }
    this.#subscriber?.then((subscriber) => subscriber.unsubscribe(channel)).catch(() => undefined);
  }

  #connect(): Promise<Redis> {
    this.#subscriber ??= openConnection(this.#url, 'subscriber', { signal: this.#closing.signal }).then(
      (redis) => {
        redis.on('message', (channel: string, event: string) => this.#dispatch(channel, event));
        redis.on('ready', () => {
          // Answered after the subscriptions that ioredis restores; what settles from then on is heard.
          redis.ping().then(
            () => this.#lookAgain(),
            () => undefined, // the link broke again
          );
        });
        return redis;
      },
      (error: unknown) => {
        this.#subscriber = undefined;
        throw error;
      },
    );
    return this.#subscriber;
  }

  /** One marker serves all who wait: it is set when the first one comes and renewed while there are any. */
  #mark(): Promise<void> {
    if (this.#watchers.size === 0) return Promise.resolve(); // closed meanwhile: a timer would outlive it
    this.#renewal ??= setInterval(() => {
      this.#setMarker().then(
        () => this.#lookAgain(),
        () => undefined, // the next renewal tries again
      );
    }, LISTENER_RENEWAL_MS);
    this.#marked ??= this.#setMarker().catch((error: unknown) => {
      this.#marked = undefined;
      throw error;
    });
    return this.#marked;
  }

  async #setMarker(): Promise<void> {
    await markListening(await this.#commands(), this.#keys);
  }

  #dispatch(channel: string, event: string): void {
    for (const onEvent of this.#watchers.get(channel) ?? []) onEvent(event);
  }

  #lookAgain(): void {
    for (const watchers of this.#watchers.values()) for (const onEvent of watchers) onEvent(null);
  }
}
