/**
 * Receives the events of executions for all watchers of one docket over one subscriber connection.
 *
 * Owns the order by which no change is lost: SUBSCRIBE, then set the marker that makes scripts publish, and only then
 * may the watcher read the record. Changes before the marker are in the record. Changes after it are published.
 * The marker lives 30 s and is renewed every 5 s. Each renewal and each reconnect also makes watchers read again, so
 * an event that was lost with a connection delays a watcher but never hangs it. There is no other polling.
 */
import type { Redis } from 'ioredis';
import { closeConnection, openConnection } from '../redis/connection.js';
import { parseEvent, type RecordEvent } from '../redis/events.js';
import type { Keys } from '../redis/keys.js';
import { LISTENER_RENEWAL_MS, markListening } from '../redis/producer-store.js';
import { isRefusal } from '../redis/reply-errors.js';

/** Called with each event of an execution, and with `null` when one may have been missed. */
export type EventCallback = (event: RecordEvent | null) => void;

export class Listener {
  readonly #url: string;
  readonly #keys: Keys;
  readonly #commands: () => Promise<Redis>;
  readonly #watchers = new Map<string, Set<EventCallback>>();
  readonly #closing = new AbortController();
  #subscriber: Promise<Redis> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #marked: Promise<void> | undefined;

  /** `commands` opens the connection that sets the marker. */
  constructor(url: string, keys: Keys, commands: () => Promise<Redis>) {
    this.#url = url;
    this.#keys = keys;
    this.#commands = commands;
  }

  /** Resolves when every later event of the execution will be heard; the returned function stops listening. */
  async watch(key: string, onEvent: EventCallback): Promise<() => void> {
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
    this.#closing.abort(); // also ends a first connect that is still trying
    clearInterval(this.#renewal);
    this.#renewal = undefined;
    this.#watchers.clear();
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    if (subscriber) await subscriber.then(closeConnection, () => undefined);
  }

  #unwatch(channel: string, onEvent: EventCallback): void {
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
        redis.on('message', (channel: string, message: string) => this.#dispatch(channel, message));
        redis.on('ready', () => {
          // The reply comes after those to the subscriptions that ioredis restores; later changes are heard.
          redis.ping().then(
            () => this.#reportGap(),
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

  /** Sets the marker with the first watcher, and renews it while there are any: one marker serves them all. */
  #mark(): Promise<void> {
    if (this.#watchers.size === 0) return Promise.resolve(); // closed meanwhile: a timer would outlive the docket
    this.#renewal ??= setInterval(() => {
      this.#setMarker().then(
        () => this.#reportGap(),
        () => undefined, // the next renewal tries again
      );
    }, LISTENER_RENEWAL_MS);
    this.#marked ??= this.#setMarker().catch((error: unknown) => {
      this.#marked = undefined;
      throw error;
    });
    return this.#marked;
  }

  /** A server whose memory is full refuses the marker and publishes nothing. Then each renewal looks at the records. */
  async #setMarker(): Promise<void> {
    await markListening(await this.#commands(), this.#keys).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    });
  }

  #dispatch(channel: string, message: string): void {
    const watchers = this.#watchers.get(channel);
    if (!watchers) return;
    const event = parseEvent(message);
    for (const onEvent of watchers) onEvent(event);
  }

  /** Asks every watcher to read its record: events may have been missed. */
  #reportGap(): void {
    for (const watchers of this.#watchers.values()) for (const onEvent of watchers) onEvent(null);
  }
}
