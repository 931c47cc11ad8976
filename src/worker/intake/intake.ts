/**
 * Reads entries from the streams while there is room for them, and passes them on batch by batch.
 *
 * Owns:
 * - how much is read: the room of the dispatcher, less what is read or being claimed already, and no more than a
 *   bounded number of bytes in hand
 * - the pace: it blocks on the streams while they are empty, so an idle worker costs about one command a second, and waits
 *   for room when the threads have enough
 * - the order: the next read is sent before a batch is accepted, so that the server collects the next batch meanwhile
 * - the end: it stops within about a second, whatever the server does. The link for reads closes with it if it must.
 * - the entries of one read while it is looked up whether they must not run, which the guards may not have heard
 */
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service, within } from '../../core/service.js';
import { closeConnection } from '../../redis/connection.js';
import { ensureGroups } from '../../redis/delivery-store.js';
import type { Entry } from '../../redis/entry.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import { readEntries } from '../../redis/stream-reader.js';
import type { WorkerContext } from '../context.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { retryUntilLeaseEnds } from '../retry-until-lease-ends.js';
import type { Claimer } from './claimer.js';
import type { Lookout } from './lookout.js';

/** The maximum number of entries in one read: more gains nothing (measured), and a whole reply is held in memory. */
const READ_ITEMS = 1_024;
/** The maximum number of bytes in one read, as estimated from the entries read before. */
const READ_BYTES = 8 * 1024 * 1024;
/** The maximum number of bytes of messages in hand, by the same estimate. */
const HELD_BYTES = 256 * 1024 * 1024;
const RETRY_AFTER_MS = 250;
const UNBLOCK_EVERY_MS = 20;
/** How long the server has to end a blocking read before the link is closed instead. */
const UNBLOCK_PATIENCE_MS = 1_000;

export interface IntakeOptions
  extends Pick<WorkerContext, 'redis' | 'blocking' | 'keys' | 'consumer' | 'leaseMs' | 'logger'> {
  readonly longestReadMs: number;
  readonly lookout: Pick<Lookout, 'isHearing' | 'lookUp'>;
  /** Says how many deliveries it has room for, and how many it has. */
  readonly dispatcher: Pick<Dispatcher, 'room' | 'size'>;
  /** Deliveries that are being claimed take room too, and the intake waits for them when it stops. */
  readonly claimer: Pick<Claimer, 'claiming' | 'lastAnswerMs' | 'idle'>;
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
  #lookedUp: readonly Entry[] = [];

  constructor(options: IntakeOptions) {
    super();
    this.#options = options;
    options.blocking.on('ready', this.#learnClientId);
    this.#learnClientId();
  }

  /** When the server last answered a read or a claim, in milliseconds of this process' monotonic clock. */
  get lastAnswerMs(): number {
    return Math.max(this.#lastReadMs, this.#options.claimer.lastAnswerMs);
  }

  /** Entries that were read and are not accepted yet. */
  get unaccepted(): readonly Entry[] {
    return this.#lookedUp;
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

  /** Ends the wait for room: there may be some again. */
  wake(): void {
    this.#wake?.();
  }

  override async stop(): Promise<void> {
    this.#isStopping = true;
    const stopped = super.stop();
    this.wake();
    await this.#endRead(stopped);
    await this.#options.claimer.idle();
  }

  protected async run(signal: AbortSignal): Promise<void> {
    let reading: Promise<Entry[]> | null = null;
    this.#lastReadMs = monotonicMs();
    while (!signal.aborted || reading) {
      reading ??= this.#read(0, signal);
      if (!reading) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      try {
        const entries: Entry[] = await reading;
        this.#lastReadMs = monotonicMs();
        reading = null;
        if (entries.length === 0) continue;
        if (!(await this.#mayAccept(entries))) continue;
        reading = this.#read(entries.length, signal);
        this.#learnSize(entries);
        this.#options.accept(entries);
      } catch (error) {
        reading = null;
        if (!signal.aborted) await this.#recover(error, signal);
      }
    }
  }

  /** Starts a read for the room that `unaccepted` entries and those being claimed leave; `null` when there is none. */
  #read(unaccepted: number, signal: AbortSignal): Promise<Entry[]> | null {
    const { blocking, keys, consumer, longestReadMs, dispatcher, claimer } = this.#options;
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

  /** Returns whether the entries may go on. A worker that stops starts none of them, so there is nothing to look up. */
  async #mayAccept(entries: readonly Entry[]): Promise<boolean> {
    return this.#isStopping || this.#options.lookout.isHearing || (await this.#lookUp(entries));
  }

  /** Asks Redis whether these entries must not run. Returns whether they are still ours afterwards. */
  async #lookUp(entries: readonly Entry[]): Promise<boolean> {
    const { lookout, leaseMs, logger } = this.#options;
    const untilMs = monotonicMs() + leaseMs;
    this.#lookedUp = entries;
    try {
      await retryUntilLeaseEnds(() => lookout.lookUp(entries), {
        leaseMs,
        pauseMs: RETRY_AFTER_MS,
        canRetry: () => !this.#isStopping,
        onRetry: (error) =>
          logger.warn({ error: String(error) }, 'cancels and strikes could not be looked up, trying again'),
      });
      if (monotonicMs() < untilMs) return true; // a command waits while its link is down
      logger.warn(
        { count: entries.length },
        'looking up cancels and strikes took longer than the lease of what was read',
      );
    } catch (error) {
      if (this.#isStopping) return true;
      const fields = { error: String(error), count: entries.length };
      logger.error(fields, 'cancels and strikes could not be looked up: what was read is left to its lease');
    } finally {
      this.#lookedUp = [];
    }
    return false;
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

  /**
   * Ends the read in flight; `ended` resolves when the loop has. The server is asked to end it, because then whatever it
   * hands out arrives. Where it may not, cannot or does not, the link is closed: what such a read has taken and what does
   * not arrive is redelivered. A read that went on would take what this worker requeues.
   */
  async #endRead(ended: Promise<void>): Promise<void> {
    const giveUpMs = monotonicMs() + UNBLOCK_PATIENCE_MS;
    let isReading = true;
    const over = ended.then(() => {
      isReading = false;
    });
    // Repeated until it helps: a read that is still on its way to the server is not blocked there yet.
    while (isReading && monotonicMs() < giveUpMs && (await this.#unblock(giveUpMs)))
      await within(over, UNBLOCK_EVERY_MS);
    if (isReading) await closeConnection(this.#options.blocking);
    await over;
  }

  /** Asks the server to end the blocking read. Returns false when it cannot be asked, or does not do such a thing. */
  async #unblock(giveUpMs: number): Promise<boolean> {
    const { redis, blocking } = this.#options;
    if (this.#clientId === undefined || redis.status !== 'ready' || blocking.status !== 'ready') return false;
    const asked = redis.client('UNBLOCK', this.#clientId).then(
      () => true,
      () => false,
    );
    return (await within(asked, giveUpMs - monotonicMs())) ?? false;
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
