/**
 * Receives the events of executions for all watchers of one docket over one subscriber connection.
 *
 * Owns the order by which no change is lost: SUBSCRIBE and the marker that makes scripts publish are both confirmed before
 * the watcher reads the record. Which of the two came first does not matter: what changes before both are in force is
 * in the record, and what changes after that is published and heard. A watcher is called from the moment it is there, so an
 * event that comes before that reading is not lost either.
 *
 * The marker lives 30 s and is renewed every 5 s while there are watchers. Each renewal and each reconnect also makes
 * watchers read again, so an event that was lost with a connection, or because the server lost the marker, delays a watcher
 * but never hangs it. There is no other polling.
 *
 * A caller often waits for one result after the other. So that it pays only once, a marker that was set within the last 15 s
 * is not set again. And a channel without watchers is kept for a second; then it is unsubscribed from, with others in one
 * command.
 */
import type { Redis } from 'ioredis';
import { type BatchLimits, RequestBatcher } from '../core/batcher.js';
import { monotonicMs } from '../core/clock.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import { parseEvent, type RecordEvent } from '../redis/events.js';
import type { Keys } from '../redis/keys.js';
import { LISTENER_RENEWAL_MS, markListening } from '../redis/producer-store.js';
import { isRefusal } from '../redis/reply-errors.js';
import { BATCH_ITEMS, LISTENER_TTL_MS } from '../redis/schema.js';

/** Called with each event of an execution, and with `null` when one may have been missed. */
export type EventCallback = (event: RecordEvent | null) => void;

/** How long a marker that was set serves new watchers. The rest of its life leaves time for the first renewal and its retries. */
const MARKER_SERVES_MS = LISTENER_TTL_MS / 2;
/** How long a channel is kept without watchers. */
const IDLE_CHANNEL_MS = 1_000;
/** With more channels without watchers than this, they are unsubscribed from at once. */
const MOST_IDLE_CHANNELS = 256;

const SUBSCRIPTIONS: BatchLimits<string> = {
  maxItems: BATCH_ITEMS,
  maxBytes: Number.POSITIVE_INFINITY,
  maxInFlight: 2,
  sizeOf: () => 0,
};

/** A channel that is subscribed to, or about to be. */
interface Channel {
  readonly name: string;
  readonly watchers: Set<EventCallback>;
  /** Resolves when every later event on the channel will be heard. */
  readonly subscribed: Promise<unknown>;
}

export class Listener {
  readonly #url: string;
  readonly #keys: Keys;
  readonly #commands: () => Promise<Redis>;
  readonly #channels = new Map<string, Channel>();
  /** The channels without watchers. */
  readonly #idle = new Set<Channel>();
  readonly #closing = new AbortController();
  readonly #subscriptions: RequestBatcher<string, unknown>;
  #subscriber: Promise<Redis> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #leaving: NodeJS.Timeout | undefined;
  #marking: Promise<void> | undefined;
  /** Until when a marker that was set serves new watchers, on the monotonic clock. */
  #markedUntilMs = Number.NEGATIVE_INFINITY;

  /** `commands` opens the connection that sets the marker. */
  constructor(url: string, keys: Keys, commands: () => Promise<Redis>) {
    this.#url = url;
    this.#keys = keys;
    this.#commands = commands;
    this.#subscriptions = new RequestBatcher<string, unknown>(async (channels) => {
      const subscriber = await this.#connect();
      await subscriber.subscribe(...channels);
      return [];
    }, SUBSCRIPTIONS);
  }

  /** Resolves when every later event of the execution will be heard; the returned function stops listening. */
  async watch(key: string, onEvent: EventCallback): Promise<() => void> {
    this.#closing.signal.throwIfAborted();
    const channel = this.#channel(this.#keys.events(key));
    channel.watchers.add(onEvent);
    this.#idle.delete(channel);
    try {
      await Promise.all([channel.subscribed, this.#mark()]);
    } catch (error) {
      // Not before its SUBSCRIBE was sent: an UNSUBSCRIBE that overtakes it would leave the server with the channel.
      const unwatch = () => this.#unwatch(channel, onEvent);
      channel.subscribed.then(unwatch, unwatch);
      throw error;
    }
    return () => this.#unwatch(channel, onEvent);
  }

  async close(): Promise<void> {
    this.#closing.abort(); // also ends a first connect that is still trying
    clearInterval(this.#renewal);
    clearTimeout(this.#leaving);
    this.#renewal = undefined;
    this.#channels.clear();
    this.#idle.clear();
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    if (subscriber) await subscriber.then(closeConnection, () => undefined);
  }

  /** Returns the channel of this name, and subscribes to it unless it is still there. */
  #channel(name: string): Channel {
    const known = this.#channels.get(name);
    if (known) return known;
    const channel: Channel = { name, watchers: new Set(), subscribed: this.#subscriptions.add(name) };
    channel.subscribed.catch(() => this.#forget(channel)); // the next watcher tries again
    this.#channels.set(name, channel);
    return channel;
  }

  #forget(channel: Channel): void {
    this.#idle.delete(channel);
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name);
  }

  #unwatch(channel: Channel, onEvent: EventCallback): void {
    if (!channel.watchers.delete(onEvent) || channel.watchers.size > 0) return;
    const isThere = this.#channels.get(channel.name) === channel;
    if (isThere) this.#idle.add(channel);
    if (this.#isIdle) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
    }
    if (!isThere) return;
    if (this.#idle.size > MOST_IDLE_CHANNELS) this.#leaveIdle();
    else this.#leaving ??= setTimeout(() => this.#leaveIdle(), IDLE_CHANNEL_MS).unref();
  }

  /** Unsubscribes from the channels that nobody watches. */
  #leaveIdle(): void {
    clearTimeout(this.#leaving);
    this.#leaving = undefined;
    const names: string[] = [];
    for (const channel of this.#idle) {
      this.#forget(channel);
      names.push(channel.name);
    }
    if (names.length === 0) return;
    this.#subscriber?.then((subscriber) => subscriber.unsubscribe(...names)).catch(() => undefined);
  }

  #connect(): Promise<Redis> {
    this.#subscriber ??= openConnection(this.#url, 'subscriber', { signal: this.#closing.signal }).then(
      (redis) => {
        redis.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#dispatch(channel.toString(), message));
        redis.on('ready', () => void this.#catchUp(redis));
        return redis;
      },
      (error: unknown) => {
        this.#subscriber = undefined;
        throw error;
      },
    );
    return this.#subscriber;
  }

  /** After a reconnect: the server may be another one, without the marker, and events may have been missed. */
  async #catchUp(redis: Redis): Promise<void> {
    this.#markedUntilMs = Number.NEGATIVE_INFINITY;
    if (this.#isIdle) return;
    // The reply to PING comes after those to the subscriptions that ioredis restores; later changes are heard.
    const [heard] = await Promise.allSettled([redis.ping(), this.#mark()]);
    if (heard.status === 'fulfilled') this.#reportGap(); // else the link broke again
  }

  get #isIdle(): boolean {
    return this.#idle.size === this.#channels.size;
  }

  /** Resolves when the marker is there. It is renewed while there are watchers: one marker serves them all. */
  async #mark(): Promise<void> {
    this.#renewal ??= setInterval(() => {
      this.#setMarker().then(
        () => this.#reportGap(),
        () => undefined, // the next renewal tries again
      );
    }, LISTENER_RENEWAL_MS);
    if (monotonicMs() < this.#markedUntilMs) return;
    this.#marking ??= this.#setMarker().finally(() => {
      this.#marking = undefined;
    });
    await this.#marking;
  }

  /** A server whose memory is full refuses the marker and publishes nothing. Then each renewal looks at the records. */
  async #setMarker(): Promise<void> {
    try {
      const redis = await this.#commands();
      const untilMs = monotonicMs() + MARKER_SERVES_MS;
      await markListening(redis, this.#keys);
      this.#markedUntilMs = untilMs;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  #dispatch(name: string, message: Buffer): void {
    const channel = this.#channels.get(name);
    if (!channel || channel.watchers.size === 0) return;
    const event = parseEvent(message);
    for (const onEvent of channel.watchers) onEvent(event);
  }

  /** Asks every watcher to read its record: events may have been missed. */
  #reportGap(): void {
    for (const { watchers } of this.#channels.values()) for (const onEvent of watchers) onEvent(null);
  }
}
