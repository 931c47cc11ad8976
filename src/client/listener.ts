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
 * A caller that awaits the results of its executions will probably await the next one, too. So its channel is subscribed to as
 * it is added: in the round trip of the `add`, and long before it can end. Such subscriptions are counted against the waits
 * that began, so a caller that stops waiting soon causes no more of them.
 *
 * A caller often waits for one result after the other. So that it pays only once, a marker that was set within the last 15 s
 * is not set again. And a channel without watchers is kept for a second; then it is unsubscribed from, with others in one
 * command.
 */
import type { Redis } from 'ioredis';
import { type BatchLimits, RequestBatcher } from '../core/batcher.js';
import { monotonicMs } from '../core/clock.js';
import { closeConnection, openConnection } from '../redis/connection.js';
import type { DocketSettings } from '../redis/docket-settings.js';
import { parseEvent, type RecordEvent } from '../redis/events.js';
import { LISTENER_RENEWAL_MS, type ListenedFor, markListening } from '../redis/producer-store.js';
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
/** How many executions each watch lets the listener expect: two, so that those of many callers are soon expected. */
const EXPECTED_PER_WATCH = 2;
const MOST_EXPECTED = 256;
/** An execution that was expected this long before its subscription was confirmed may have ended meanwhile. */
const CONFIRMED_WITHIN_MS = 25;

const SUBSCRIPTIONS: BatchLimits<string> = {
  maxItems: BATCH_ITEMS,
  maxBytes: Number.POSITIVE_INFINITY,
  maxInFlight: 2,
  sizeOf: () => 0,
};

const UNMARKED = { all: Number.NEGATIVE_INFINITY, ends: Number.NEGATIVE_INFINITY };

/** A channel that is subscribed to, or about to be. */
interface Channel {
  readonly name: string;
  readonly watchers: Set<EventCallback>;
  /** Resolves when every later event on the channel will be heard. */
  readonly subscribed: Promise<unknown>;
  /** When its execution was expected, on the monotonic clock; `null` when it was not, or may have had an event since. */
  expectedMs: number | null;
  /** When the subscription was confirmed; `null` before. */
  subscribedMs: number | null;
}

export class Listener {
  readonly #docket: Pick<DocketSettings, 'url' | 'connection' | 'keys'>;
  readonly #commands: () => Promise<Redis>;
  readonly #channels = new Map<string, Channel>();
  /** The channels without watchers. */
  readonly #idle = new Set<Channel>();
  /** The channels of executions that were expected and are not watched yet, the oldest first. */
  readonly #expected = new Set<Channel>();
  /** How many more executions may be expected. */
  #mayExpect = 0;
  readonly #closing = new AbortController();
  readonly #subscriptions: RequestBatcher<string, unknown>;
  #subscriber: Promise<Redis> | undefined;
  /** The same, once it was opened. */
  #connected: Redis | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #leaving: NodeJS.Timeout | undefined;
  /** The markers that are being set. */
  readonly #marking = new Map<ListenedFor, Promise<void>>();
  /** Until when a marker that was set serves new watchers, on the monotonic clock. One for all events serves all. */
  readonly #markedUntilMs = { ...UNMARKED };
  /** The number of watchers that need all events. */
  #needAll = 0;

  /** `commands` opens the connection that sets the marker. */
  constructor(docket: Pick<DocketSettings, 'url' | 'connection' | 'keys'>, commands: () => Promise<Redis>) {
    this.#docket = docket;
    this.#commands = commands;
    this.#subscriptions = new RequestBatcher<string, unknown>(async (channels) => {
      const subscriber = this.#connected ?? (await this.#connect()); // at once, so that it is sent before an `add` of this tick
      await subscriber.subscribe(...channels);
      return [];
    }, SUBSCRIPTIONS);
  }

  /**
   * Resolves when every later event of the execution will be heard; the returned function stops listening. A watcher that needs
   * the end only may hear other events, too.
   */
  async watch(key: string, onEvent: EventCallback, events: ListenedFor = 'all'): Promise<() => void> {
    this.#closing.signal.throwIfAborted();
    const channel = this.#channel(this.#docket.keys.events(key));
    channel.watchers.add(onEvent);
    this.#idle.delete(channel);
    this.#expected.delete(channel);
    this.#mayExpect = Math.min(MOST_EXPECTED, this.#mayExpect + EXPECTED_PER_WATCH);
    const needsAll = events === 'all' ? 1 : 0;
    this.#needAll += needsAll;
    const unwatch = () => {
      if (channel.watchers.delete(onEvent)) this.#needAll -= needsAll;
      if (channel.watchers.size === 0) this.#leave(channel);
    };
    try {
      await Promise.all([channel.subscribed, this.#mark(events)]);
    } catch (error) {
      // Not before its SUBSCRIBE was sent, see #leaveIdle().
      channel.subscribed.then(unwatch, unwatch);
      throw error;
    }
    return unwatch;
  }

  /**
   * Subscribes to the events of an execution that is about to be added under a new key, if those of the last ones were
   * watched.
   */
  expect(key: string): void {
    if (this.#mayExpect === 0 || monotonicMs() >= this.#markedUntilMs.ends) return;
    this.#mayExpect -= 1;
    const channel = this.#channel(this.#docket.keys.events(key));
    channel.expectedMs = monotonicMs();
    this.#expected.add(channel);
    this.#leaveLater();
  }

  /**
   * Whether a watch of this execution has missed nothing, although nobody has looked at its record: it was subscribed to as
   * the execution was added, and there was no event before the watch. False for any later watch.
   */
  hasHeardAll(key: string): boolean {
    const channel = this.#channels.get(this.#docket.keys.events(key));
    if (!channel || channel.expectedMs === null || channel.subscribedMs === null) return false;
    const { expectedMs, subscribedMs } = channel;
    channel.expectedMs = null;
    return subscribedMs - expectedMs < CONFIRMED_WITHIN_MS;
  }

  async close(): Promise<void> {
    this.#closing.abort(); // also ends a first connect that is still trying
    clearInterval(this.#renewal);
    clearTimeout(this.#leaving);
    this.#renewal = undefined;
    this.#channels.clear();
    this.#idle.clear();
    this.#expected.clear();
    const subscriber = this.#subscriber;
    this.#subscriber = undefined;
    this.#connected = undefined;
    if (subscriber) await subscriber.then(closeConnection, () => undefined);
  }

  /** Returns the channel of this name, and subscribes to it unless it is still there. */
  #channel(name: string): Channel {
    const known = this.#channels.get(name);
    if (known) return known;
    const subscribed = this.#subscriptions.add(name);
    const channel: Channel = { name, watchers: new Set(), subscribed, expectedMs: null, subscribedMs: null };
    subscribed.then(
      () => {
        channel.subscribedMs = monotonicMs();
      },
      () => this.#forget(channel), // the next watcher tries again
    );
    this.#channels.set(name, channel);
    return channel;
  }

  #forget(channel: Channel): void {
    this.#idle.delete(channel);
    this.#expected.delete(channel);
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name);
  }

  /** Keeps a channel without watchers for a while. */
  #leave(channel: Channel): void {
    const isThere = this.#channels.get(channel.name) === channel;
    if (isThere) this.#idle.add(channel);
    if (this.#isIdle) {
      clearInterval(this.#renewal);
      this.#renewal = undefined;
    }
    if (!isThere) return;
    if (this.#idle.size > MOST_IDLE_CHANNELS) this.#leaveIdle();
    else this.#leaveLater();
  }

  #leaveLater(): void {
    this.#leaving ??= setTimeout(() => this.#leaveIdle(), IDLE_CHANNEL_MS).unref();
  }

  /**
   * Unsubscribes from the channels that nobody watches, and from those that nobody has watched in time, once they are
   * subscribed to: an UNSUBSCRIBE that overtakes its SUBSCRIBE would leave the server with the channel.
   */
  #leaveIdle(): void {
    clearTimeout(this.#leaving);
    this.#leaving = undefined;
    const names: string[] = [];
    const sinceMs = monotonicMs() - IDLE_CHANNEL_MS;
    const isUnwatched = ({ expectedMs, subscribedMs }: Channel) =>
      subscribedMs !== null && (expectedMs === null || expectedMs <= sinceMs);
    for (const channel of [...this.#idle, ...[...this.#expected].filter(isUnwatched)]) {
      this.#forget(channel);
      names.push(channel.name);
    }
    if (this.#expected.size > 0) this.#leaveLater();
    if (names.length === 0) return;
    this.#subscriber?.then((subscriber) => subscriber.unsubscribe(...names)).catch(() => undefined);
  }

  #connect(): Promise<Redis> {
    this.#subscriber ??= openConnection(this.#docket, 'subscriber', { signal: this.#closing.signal }).then(
      (redis) => {
        redis.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#dispatch(channel.toString(), message));
        redis.on('ready', () => void this.#catchUp(redis));
        this.#connected = redis;
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
    Object.assign(this.#markedUntilMs, UNMARKED);
    if (this.#isIdle) return;
    // The reply to PING comes after those to the subscriptions that ioredis restores; later changes are heard.
    const [heard] = await Promise.allSettled([redis.ping(), this.#mark(this.#needed)]);
    if (heard.status === 'fulfilled') this.#reportGap(); // else the link broke again
  }

  get #isIdle(): boolean {
    return this.#idle.size + this.#expected.size === this.#channels.size;
  }

  /** The events that the present watchers need. */
  get #needed(): ListenedFor {
    return this.#needAll > 0 ? 'all' : 'ends';
  }

  /** Resolves when the marker is there. It is renewed while there are watchers: one marker serves them all. */
  async #mark(events: ListenedFor): Promise<void> {
    this.#renewal ??= setInterval(() => {
      this.#setMarker(this.#needed).then(
        () => this.#reportGap(),
        () => undefined, // the next renewal tries again
      );
    }, LISTENER_RENEWAL_MS);
    if (monotonicMs() < this.#markedUntilMs[events]) return;
    const marking = this.#marking.get(events) ?? this.#setMarker(events).finally(() => this.#marking.delete(events));
    this.#marking.set(events, marking);
    await marking;
  }

  /** A server whose memory is full refuses the marker and publishes nothing. Then each renewal looks at the records. */
  async #setMarker(events: ListenedFor): Promise<void> {
    try {
      const redis = await this.#commands();
      const untilMs = monotonicMs() + MARKER_SERVES_MS;
      await markListening(redis, this.#docket.keys, events);
      this.#markedUntilMs[events] = untilMs;
      if (events === 'all') this.#markedUntilMs.ends = untilMs;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }

  #dispatch(name: string, message: Buffer): void {
    const channel = this.#channels.get(name);
    if (!channel) return;
    channel.expectedMs = null;
    if (channel.watchers.size === 0) return;
    const event = parseEvent(message);
    for (const onEvent of channel.watchers) onEvent(event);
  }

  /** Asks every watcher to read its record: events may have been missed. */
  #reportGap(): void {
    for (const { watchers } of this.#channels.values()) for (const onEvent of watchers) onEvent(null);
  }
}
