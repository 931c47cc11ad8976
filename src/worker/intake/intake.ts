/**
 * Reads entries from the streams while there is room for them, and passes them on batch by batch.
 *
 * Owns:
 * - how much is read: the room of the dispatcher, less what is read or being claimed already, and no more than a
 *   bounded number of bytes in hand
 * - the pace: it blocks on the streams while they are empty, so an idle worker costs about one command a second, and waits
 *   for room when the threads have enough
 * - the order: the next read is sent before a batch is accepted, so that the server collects the next batch meanwhile
 * - the entries of a read until they are accepted: while the worker cannot write, nothing is read, and what has been read is
 *   kept until it can, and then accepted as far as it is still ours
 */
import { setTimeout as delay } from 'node:timers/promises';
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service } from '../../core/service.js';
import { ensureGroups, renew } from '../../redis/delivery-store.js';
import type { Entry } from '../../redis/entry.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import { readEntries } from '../../redis/stream-reader.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Claimer } from './claimer.js';

/** The maximum number of entries in one read: more gains nothing (measured), and a whole reply is held in memory. */
const READ_ITEMS = 1_024;
/** The maximum number of bytes in one read, as estimated from the entries read before. */
const READ_BYTES = 8 * 1024 * 1024;
/** The maximum number of bytes of messages in hand, by the same estimate. */
const HELD_BYTES = 256 * 1024 * 1024;
const RETRY_AFTER_MS = 250;
const UNBLOCK_EVERY_MS = 20;

export interface IntakeOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'blocking' | 'keys' | 'consumer' | 'logger'> {
  readonly longestReadMs: number;
  /** Says how many deliveries it has room for, and how many it has. */
  readonly dispatcher: Pick<Dispatcher, 'room' | 'size'>;
  /** Deliveries that are being claimed take room too, and the intake waits for them when it stops. */
  readonly claimer: Pick<Claimer, 'claiming' | 'lastAnswerMs' | 'stopRetrying' | 'idle'>;
  /** Takes the entries that were read. Must not throw. */
  accept(entries: readonly Entry[]): void;
}

export class Intake extends Service {
  readonly #options: IntakeOptions;
  #averageBytes = 256;
  #wake: (() => void) | undefined;
  #clientId: number | undefined;
  #isStopping = false;
  #lastReadMs = 0;

  constructor(options: IntakeOptions) {
    super();
    this.#options = options;
    options.blocking.on('ready', this.#learnClientId);
    this.#learnClientId();
    options.link.onUsable(() => this.wake());
  }

  /** When the server last answered a read or a claim, in milliseconds of this process' monotonic clock. */
  get lastAnswerMs(): number {
    return Math.max(this.#lastReadMs, this.#options.claimer.lastAnswerMs);
  }

  /**
   * Whether it takes work: the server has answered a read or a claim within `patienceMs`, or it does not read because all
   * threads have enough.
   */
  isTaking(patienceMs: number): boolean {
    if (this.#isStopping) return false;
    const { dispatcher } = this.#options;
    return monotonicMs() - this.lastAnswerMs <= patienceMs || (dispatcher.size > 0 && dispatcher.room <= 0);
  }

  /** Ends the wait for room, and for a link that can be used: there may be some again. */
  wake(): void {
    this.#wake?.();
  }

  override async stop(): Promise<void> {
    const { claimer } = this.#options;
    this.#isStopping = true;
    claimer.stopRetrying();
    let isReading = true;
    const stopped = super.stop().finally(() => {
      isReading = false;
    });
    this.wake();
    // Repeated until it helps: a read that is still on its way to the server is not blocked there yet.
    while (isReading) {
      await this.#unblock();
      await Promise.race([stopped, delay(UNBLOCK_EVERY_MS)]);
    }
    await claimer.idle();
  }

  protected async run(signal: AbortSignal): Promise<void> {
    let reading: Promise<Entry[]> | null = null;
    this.#lastReadMs = monotonicMs();
    while (!signal.aborted || reading) {
      reading ??= this.#read(0, signal);
      if (!reading) {
        await this.#woken();
        continue;
      }
      try {
        const read: Entry[] = await reading;
        this.#lastReadMs = monotonicMs();
        reading = null;
        const entries = this.#options.link.isUsable ? read : await this.#whenUsable(read, signal);
        if (entries.length === 0) continue;
        reading = this.#read(entries.length, signal);
        this.#learnSize(entries);
        this.#options.accept(entries);
      } catch (error) {
        reading = null;
        if (!signal.aborted) await this.#recover(error, signal);
      }
    }
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /**
   * Keeps entries that were read while the worker could not write, until it can again. Returns those that are still ours:
   * the others were redelivered meanwhile. When the worker stops before, they are left to their leases.
   */
  async #whenUsable(entries: readonly Entry[], signal: AbortSignal): Promise<readonly Entry[]> {
    const { redis, link, keys, consumer, logger } = this.#options;
    const tokens = [...tokensOf(entries)];
    while (tokens.length > 0 && !signal.aborted) {
      if (!link.isUsable) {
        await this.#woken();
        continue;
      }
      try {
        const lost = new Set(await renew(redis, keys, consumer, tokens));
        return entries.filter(({ token }) => !lost.has(token));
      } catch (error) {
        logger.warn({ error: String(error) }, 'leases of what was read could not be renewed, trying again');
        await pause(jittered(RETRY_AFTER_MS), signal);
      }
    }
    return [];
  }

  /**
   * Starts a read for the room that `unaccepted` entries and those being claimed leave; `null` when there is none, or when
   * the worker could not write what becomes of them.
   */
  #read(unaccepted: number, signal: AbortSignal): Promise<Entry[]> | null {
    const { link, blocking, keys, consumer, longestReadMs, dispatcher, claimer } = this.#options;
    if (!link.isUsable) return null;
    const notDispatched = unaccepted + claimer.claiming.size;
    const count = Math.min(
      dispatcher.room - notDispatched,
      READ_ITEMS,
      Math.ceil(READ_BYTES / this.#averageBytes),
      Math.ceil(HELD_BYTES / this.#averageBytes) - dispatcher.size - notDispatched,
    );
    if (count <= 0 || signal.aborted) return null;
    const reading = readEntries(blocking, keys, { consumer, count, blockMs: longestReadMs });
    reading.catch(() => undefined); // handled where it is awaited, which may be later
    return reading;
  }

  #learnSize(entries: readonly Entry[]): void {
    let bytes = 0;
    for (const { message } of entries) bytes += message?.length ?? 0;
    this.#averageBytes = Math.max(64, 0.5 * this.#averageBytes + (0.5 * bytes) / entries.length);
  }

  /** Creates streams and group when they have vanished (FLUSHALL, a restart without persistence); else waits a moment. */
  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { redis, keys, logger } = this.#options;
    logger.warn({ error: String(error) }, 'reading failed, trying again');
    try {
      if (isGroupMissing(error)) await ensureGroups(redis, keys);
      else await pause(jittered(RETRY_AFTER_MS), signal);
    } catch {
      await pause(jittered(RETRY_AFTER_MS), signal);
    }
  }

  /** Ends a blocking read at once. Where the server cannot do that, the read ends by itself within its block time. */
  async #unblock(): Promise<void> {
    if (this.#clientId === undefined) return;
    await this.#options.redis.client('UNBLOCK', this.#clientId).catch(() => undefined);
  }

  /** Learns the id that UNBLOCK takes. Each reconnect gets another one. */
  readonly #learnClientId = () => {
    this.#options.blocking.client('ID').then(
      (id) => {
        this.#clientId = id as number;
      },
      () => undefined,
    );
  };
}
