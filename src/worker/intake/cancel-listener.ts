/**
 * Listens for cancels and stops the cancelled executions here: running ones are asked to stop, unstarted ones are taken
 * back.
 *
 * Owns this worker's knowledge of cancels. It loads those that were published while the link was down after each
 * (re)connect. Until then, and while the link is silent, `lookUp` asks Redis about given ids. An id without a record is
 * remembered here, as in Redis, until it is met on a stream.
 */
import { monotonicMs } from '../../core/clock.js';
import { deferred } from '../../core/deferred.js';
import { aborted, pause, Service } from '../../core/service.js';
import {
  askedToStop,
  cancelledAmong,
  cancelledIds,
  forgetCancelled,
  parseCancelMessage,
} from '../../redis/cancel-store.js';
import type { Token } from '../../redis/delivery-store.js';
import { CANCEL_REMEMBERED_MS } from '../../redis/schema.js';
import type { WorkerContext } from '../context.js';
import { type Delivery, keyOf } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { logRetry } from '../log-retry.js';

export interface CancelListenerOptions extends Pick<WorkerContext, 'redis' | 'subscriber' | 'keys' | 'logger'> {
  /** Returns all deliveries of this worker. */
  inHand(): Iterable<Pick<Delivery, 'record' | 'token'>>;
  readonly dispatcher: Pick<Dispatcher, 'cancel' | 'takeBackUnstarted'>;
  /** Settles a delivery that had not started as cancelled. */
  settle(delivery: Delivery): void;
}

/** Milliseconds for which a cancelled id is remembered: as long as in Redis. */
const ID_REMEMBERED_MS = CANCEL_REMEMBERED_MS;
/** Milliseconds for which a token is remembered: until its claim is surely answered. */
const TOKEN_REMEMBERED_MS = 10 * 60 * 1_000;
const RETRY_AFTER_MS = 1_000;
/** A few ids more than Redis has are no reason to reload them. */
const FEW_IDS = 1_000;

export class CancelListener extends Service {
  readonly #options: CancelListenerOptions;
  /** Ids and tokens that must not run, with the time at which each is forgotten, the oldest first. */
  readonly #ids = new Map<string, number>();
  readonly #tokens = new Map<Token, number>();
  /** Tokens of executions whose keys have passed to others: they may go on, but must not start. */
  readonly #superseded = new Map<Token, number>();
  /**
   * The number of ids beyond which they are loaded again: twice as many as Redis had. This drops those that other workers
   * have met, or that Redis has forgotten.
   */
  #mostIds = FEW_IDS;
  #isStopScheduled = false;
  /** The number of links that have broken. */
  #broken = 0;
  #isFollowing = false;
  readonly #ready = deferred();
  /** Resolves when every earlier cancel is known: nothing may start before that. */
  readonly ready = this.#ready.promise;

  constructor(options: CancelListenerOptions) {
    super();
    this.#options = options;
  }

  /** Whether it receives every cancel, as long as the link is not silent. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /**
   * Asks Redis which of these ids were cancelled, and which of the claimed executions were asked to stop, since it may have
   * missed that. Rejects when a command fails.
   */
  async lookUp(ids: readonly string[], claimed: Iterable<Pick<Delivery, 'record' | 'token'>>): Promise<void> {
    const { redis, keys } = this.#options;
    const [cancelled] = await Promise.all([cancelledAmong(redis, keys, ids), this.#lookUpStops(claimed)]);
    const untilMs = monotonicMs() + ID_REMEMBERED_MS;
    for (const id of cancelled) this.#ids.set(id, untilMs);
  }

  /** Whether an unstarted execution must not start, as far as this worker knows. */
  isBarred(delivery: Delivery): boolean {
    return this.isCancelled(delivery) || (this.#superseded.size > 0 && this.#superseded.has(delivery.token));
  }

  /** Whether an execution was cancelled, as far as this worker knows. */
  isCancelled(delivery: Delivery): boolean {
    if (this.#tokens.size > 0 && this.#tokens.has(delivery.token)) return true;
    return this.#ids.size > 0 && delivery.record === null && this.#ids.has(keyOf(delivery));
  }

  /** Forgets the cancel of an execution without a record, if there was one: the execution has ended. */
  forget(delivery: Delivery): void {
    if (this.#ids.size === 0 || delivery.record !== null) return;
    const id = keyOf(delivery);
    if (!this.#ids.delete(id)) return;
    const { redis, keys } = this.#options;
    forgetCancelled(redis, keys, [id]).catch(() => undefined); // it expires by itself in a day
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { subscriber, keys, logger } = this.#options;
    const onMessage = (channel: string, message: string) => {
      if (channel === keys.cancel) this.#receive(message);
    };
    let isOutdated = false; // whether cancels may have been missed since the last look began
    let isListening = false;
    let wake = () => {};
    const listen = async () => {
      isListening = true;
      while (isOutdated && !signal.aborted) {
        isOutdated = false;
        const broken = this.#broken;
        try {
          await subscriber.subscribe(keys.cancel);
          await this.#lookUpAll();
          this.#isFollowing = broken === this.#broken;
          this.#ready.resolve();
        } catch (error) {
          if (signal.aborted) break;
          logRetry(logger, error, 'cancels could not be looked up');
          const woken = new AbortController();
          wake = () => woken.abort();
          if (!isOutdated) await pause(RETRY_AFTER_MS, woken.signal);
          isOutdated = true;
        }
      }
      isListening = false;
    };
    const relisten = () => {
      isOutdated = true;
      wake();
      if (!isListening) void listen();
    };
    const onClose = () => {
      this.#broken += 1;
      this.#isFollowing = false;
    };
    subscriber.on('message', onMessage).on('close', onClose).on('ready', relisten);
    relisten();
    await aborted(signal);
    wake();
    subscriber.off('message', onMessage).off('close', onClose).off('ready', relisten);
  }

  /** Handles one message of the channel `Keys.cancel`. Many may come at once, so the search runs once per turn. */
  #receive(message: string): void {
    const nowMs = monotonicMs();
    const parsed = parseCancelMessage(message);
    if (parsed.kind === 'id') this.#ids.set(parsed.id, nowMs + ID_REMEMBERED_MS);
    else if (parsed.kind === 'superseded') this.#superseded.set(parsed.token, nowMs + TOKEN_REMEMBERED_MS);
    else this.#tokens.set(parsed.token, nowMs + TOKEN_REMEMBERED_MS);
    if (this.#isStopScheduled) return;
    this.#isStopScheduled = true;
    setImmediate(() => {
      this.#isStopScheduled = false;
      forgetExpired(this.#ids, nowMs);
      forgetExpired(this.#tokens, nowMs);
      forgetExpired(this.#superseded, nowMs);
      this.takeBack();
      if (this.#ids.size > this.#mostIds) this.#reload();
    });
  }

  /** Loads the ids again, since there are many more than at the last load. */
  #reload(): void {
    this.#mostIds = Number.POSITIVE_INFINITY; // until they are loaded
    this.#loadIds().catch((error: unknown) => {
      this.#mostIds = 2 * this.#ids.size;
      this.#options.logger.warn({ error: String(error) }, 'cancelled ids could not be loaded, trying again later');
    });
  }

  /** Replaces the known ids by those that Redis remembers, and keeps those that arrive meanwhile. */
  async #loadIds(): Promise<void> {
    const { redis, keys } = this.#options;
    const untilMs = monotonicMs() + ID_REMEMBERED_MS;
    const ids = await cancelledIds(redis, keys);
    for (const [id, knownUntilMs] of this.#ids) if (knownUntilMs < untilMs) this.#ids.delete(id);
    for (const id of ids) this.#ids.set(id, untilMs);
    this.#mostIds = 2 * this.#ids.size + FEW_IDS;
  }

  /**
   * Takes back what must not start from the dispatcher, and stops what was cancelled. Deliveries that are being claimed are
   * checked when they get there.
   */
  takeBack(): void {
    const { dispatcher, settle } = this.#options;
    for (const delivery of dispatcher.cancel((one) => this.isCancelled(one))) settle(delivery);
    if (this.#superseded.size === 0) return;
    for (const delivery of dispatcher.takeBackUnstarted((one) => this.isBarred(one))) settle(delivery);
  }

  /** Asks Redis for the cancels that were published while this worker did not listen. */
  async #lookUpAll(): Promise<void> {
    await this.#loadIds();
    await this.#lookUpStops(this.#options.inHand());
    this.takeBack();
  }

  /** Asks Redis which of these executions were asked to stop. */
  async #lookUpStops(executions: Iterable<Pick<Delivery, 'record' | 'token'>>): Promise<void> {
    const { redis, keys } = this.#options;
    const recorded: { record: string; token: Token }[] = [];
    for (const { record, token } of executions) if (record !== null) recorded.push({ record, token });
    for (const token of await askedToStop(redis, keys, recorded)) {
      this.#tokens.set(token, monotonicMs() + TOKEN_REMEMBERED_MS);
    }
  }
}

function forgetExpired(remembered: Map<string, number>, nowMs: number): void {
  for (const [idOrToken, untilMs] of remembered) {
    if (untilMs > nowMs) return;
    remembered.delete(idOrToken);
  }
}
