/**
 * Reads entries from the streams while there is room for them, and passes them on batch by batch. The PriorityReader chooses
 * the streams.
 *
 * Owns:
 * - how much is read: the room that RoomShares leaves to this partition, and no more than the byte budget has room for
 * - the pace: a read blocks while the streams are empty, so an idle worker sends one every two seconds. When the threads have
 *   enough, nothing is read until there is room. While the whole docket is paused, nothing is read either.
 * - the order: in a backlog the next read is sent before a batch is accepted, so that the server collects the next batch
 *   meanwhile. Otherwise a batch is accepted first, since what it brings can start at once. If it must be claimed, the next
 *   read waits for that: what it brings can then be claimed with it, which saves a round trip.
 * - the order after a pause of the docket: what was given back is on `front`, and older than all that is on `work`. One read
 *   brings entries of both, so `front` is read alone until nothing more is there.
 * - the entries of a read until they are accepted. While the worker cannot write, nothing is read. Entries that were read are kept
 *   until it can, and those that are still ours then are accepted. While the guards may have missed something, entries are kept
 *   until the guards have looked up what must not run.
 */
import { monotonicMs } from '../../core/clock.js';
import { jittered, pause, Service } from '../../core/service.js';
import { renew, type Token } from '../../redis/delivery-store.js';
import type { Entry } from '../../redis/entry.js';
import { isGroupMissing } from '../../redis/reply-errors.js';
import { STREAM, type StreamName } from '../../redis/schema.js';
import { mayHaveLarge, readEntries } from '../../redis/stream-reader.js';
import type { WorkerContext } from '../context.js';
import { tokensOf } from '../delivery.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { logRetry } from '../log-retry.js';
import { retryUntilLeaseEnds } from '../retry-until-lease-ends.js';
import type { ByteBudget, ByteRoom } from './byte-budget.js';
import type { Claimer } from './claimer.js';
import type { Lookout } from './lookout.js';
import type { PauseGuard } from './pause-guard.js';
import { PriorityReader } from './priority-reader.js';
import type { ReadClaim, ReadClaims } from './read-claims.js';
import type { RoomShare, RoomShares } from './room-shares.js';
import { Unblocker } from './unblocker.js';

/** The maximum number of entries in one read. More gains nothing (measured). */
const MOST_ENTRIES = 1_024;
/**
 * How long a read may rely on Redis' word that nothing is large, from the question on: the answer may have waited for this process. In
 * this time producers add far less than may be in hand.
 */
const SMALL_FOR_MS = 100;
const RETRY_AFTER_MS = 250;
/**
 * How long entries that were read wait for the answer to the claim behind the read. Both were sent at once, so the answer is
 * late only where the link breaks between the two.
 */
const CLAIM_PATIENCE_MS = 100;
const FRONT: readonly StreamName[] = ['front'];

export interface IntakeOptions
  extends Pick<WorkerContext, 'redis' | 'link' | 'blocking' | 'keys' | 'streams' | 'consumer' | 'leaseMs' | 'logger'> {
  readonly longestReadMs: number;
  readonly pauseGuard: Pick<PauseGuard, 'isDocketPaused'>;
  readonly lookout: Pick<Lookout, 'isHearing' | 'interruptions' | 'lookUp'>;
  /** Says how many deliveries it has room for, and how many it has. */
  readonly dispatcher: Pick<Dispatcher, 'room' | 'size'>;
  /** Divides that room among the partitions. */
  readonly roomShares: RoomShares;
  /** Deliveries that are being claimed take room too, and the intake waits for them when it stops. */
  readonly claimer: Pick<Claimer, 'claiming' | 'lastAnswerMs' | 'idle'>;
  /** Bounds the bytes that are read. */
  readonly byteBudget: ByteBudget;
  /** Claims what is read, where that is the last step before the start. */
  readonly readClaims: Pick<ReadClaims, 'claim' | 'noteRead' | 'fresh' | 'isWorthwhile'>;
  /** Takes the entries that were read, some of which were claimed as well. Must not throw. */
  accept(entries: readonly Entry[], claimed: ReadonlySet<Token>): void;
}

/** What came with one read. */
interface Batch {
  readonly entries: readonly Entry[];
  /** The answer to the claim behind the read; `null` when none was sent. */
  readonly claiming: Promise<ReadClaim | null> | null;
  /** The number of interruptions of the guards when the read was sent. */
  readonly interruptions: number;
}

export class Intake extends Service {
  readonly #options: IntakeOptions;
  readonly #unblocker: Unblocker;
  readonly #reader: PriorityReader;
  readonly #share: RoomShare;
  #unaccepted: readonly Entry[] = [];
  /** Whether the last read may have left entries. */
  #hasBacklog = false;
  /** When Redis was asked whether anything on the streams was large, and last said no, on the monotonic clock. */
  #wasSmallMs = Number.NEGATIVE_INFINITY;
  #wake: (() => void) | undefined;
  #isStopping = false;
  #lastReadMs = 0;
  /** Whether `front` is read alone, because the docket was paused. */
  #isFrontFirst = false;

  constructor(options: IntakeOptions) {
    super();
    this.#options = options;
    this.#unblocker = new Unblocker(options);
    this.#reader = new PriorityReader(options);
    this.#share = options.roomShares.join({
      pending: () => this.#notDispatched,
      isReachable: () => options.link.isUsable,
      wake: () => this.wake(),
    });
    options.link.onUsable(() => this.wake());
  }

  /** When the server last answered a read or a claim, in milliseconds of this process' monotonic clock. */
  get lastAnswerMs(): number {
    return Math.max(this.#lastReadMs, this.#options.claimer.lastAnswerMs);
  }

  /**
   * Whether it takes work: the server has answered a read or a claim within `patienceMs`, or it does not read because all
   * threads have enough, or because the docket is paused.
   */
  isTaking(patienceMs: number): boolean {
    if (this.#isStopping) return false;
    const { dispatcher, pauseGuard } = this.#options;
    if (pauseGuard.isDocketPaused) return true;
    return monotonicMs() - this.lastAnswerMs <= patienceMs || (dispatcher.size > 0 && dispatcher.room <= 0);
  }

  /** Entries that were read and not yet accepted. */
  get unaccepted(): readonly Entry[] {
    return this.#unaccepted;
  }

  /** Ends the wait for room or for a usable link: there may be one again. */
  wake(): void {
    this.#wake?.();
  }

  /** Reads again, after the docket was paused. The time until the next answer counts from now. */
  resume(): void {
    this.#lastReadMs = monotonicMs();
    this.#isFrontFirst = true;
    this.wake();
  }

  override async stop(): Promise<void> {
    this.#isStopping = true;
    const stopped = super.stop();
    this.wake();
    await this.#unblocker.endRead(stopped);
    await this.#options.claimer.idle();
    this.#share.leave();
  }

  /** The number of entries that are being accepted or claimed. */
  get #notDispatched(): number {
    return this.#unaccepted.length + this.#options.claimer.claiming.size;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { link, readClaims, accept } = this.#options;
    let reading: Promise<Batch> | null = null;
    this.#lastReadMs = monotonicMs();
    while (!signal.aborted || reading) {
      reading ??= this.#read(signal);
      if (!reading) {
        await this.#woken();
        continue;
      }
      try {
        const read: Batch = await reading;
        reading = null;
        this.#unaccepted = read.entries;
        this.#share.release();
        const claim = await answerOf(read);
        if (!link.isUsable) this.#unaccepted = await this.#whenUsable(read.entries, signal);
        const entries = this.#unaccepted;
        if (entries.length === 0) continue;
        const isNewsMissed = this.#mayHaveMissed(read) && !this.#isStopping; // a worker that stops starts nothing
        if (isNewsMissed && !(await this.#lookUp(read, entries))) {
          this.#unaccepted = [];
          continue;
        }
        if (this.#hasBacklog) reading = this.#read(signal);
        this.#unaccepted = [];
        accept(entries, readClaims.fresh(isNewsMissed || goesBeforeWork(entries[0]!) ? null : claim));
      } catch (error) {
        reading = null;
        this.#share.release();
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
   * Keeps entries that were read while the worker could not write, until it can again. Returns those that are still ours;
   * the others were redelivered meanwhile. If the worker stops first, they are left to their leases.
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
        logRetry(logger, error, 'leases of what was read could not be renewed');
        await pause(jittered(RETRY_AFTER_MS), signal);
      }
    }
    return [];
  }

  /**
   * Starts a read for the room that entries being accepted or claimed leave; `null` when there is none, or when the worker
   * could not write outcomes or the docket is paused.
   */
  #read(signal: AbortSignal): Promise<Batch> | null {
    const { link, pauseGuard } = this.#options;
    if (!link.isUsable || pauseGuard.isDocketPaused || signal.aborted || this.#waitsForClaim) {
      this.#share.withdraw();
      return null;
    }
    const room = this.#share.room();
    if (room <= 0) return null;
    const { ofEach, inAll } = this.#bounds();
    const count = Math.min(room, ofEach);
    if (count <= 0) {
      this.#share.wait();
      return null;
    }
    this.#share.take(count);
    const reading = this.#isFrontFirst ? this.#readFront(count) : this.#readEntries(count, inAll, signal);
    reading.catch(() => undefined); // handled where it is awaited, which may be later
    return reading;
  }

  /** Otherwise a worker whose executions come one by one would go on claiming each of them by itself, once it has begun. */
  get #waitsForClaim(): boolean {
    const { claimer, readClaims } = this.#options;
    return claimer.claiming.size > 0 && !this.#hasBacklog && readClaims.isWorthwhile;
  }

  /**
   * Returns how many entries of each stream the next read may bring, and how many in all. All messages of a read may be large for
   * once, so it is short. Only while there is a backlog and Redis has just said that nothing in it is large, it is long: large
   * batches cost less for each execution.
   */
  #bounds(): ByteRoom {
    const { byteBudget } = this.#options;
    const { ahead, coming } = this.#share;
    const areSmall = this.#hasBacklog && monotonicMs() - this.#wasSmallMs < SMALL_FOR_MS;
    if (!areSmall) return byteBudget.room(ahead, coming);
    const { ofEach, inAll } = byteBudget.roomForSmall(ahead, coming);
    return { ofEach: Math.min(MOST_ENTRIES, ofEach), inAll };
  }

  /** While anything that was read before is still to be claimed, nothing is claimed with this read: it would start first. */
  async #readEntries(count: number, inAll: number, signal: AbortSignal): Promise<Batch> {
    const mustFollow = this.#notDispatched > 0;
    const { readClaims, lookout, byteBudget, pauseGuard } = this.#options;
    const { interruptions } = lookout;
    const mayGoOn = () => !signal.aborted && !pauseGuard.isDocketPaused;
    const claim = () => (mustFollow ? null : readClaims.claim());
    const standBy = () => this.#share.standBy(count);
    const reading = this.#reader.read({ count, inAll, hasBacklog: this.#hasBacklog, claim, mayGoOn, standBy });
    // This is asked behind the read, for the next one: a read that waited for the answer would cost two round trips.
    if (this.#hasBacklog) void this.#learnWhetherSmall();
    const { entries, claiming, hasBacklog } = await reading;
    readClaims.noteRead(entries);
    this.#hasBacklog = hasBacklog;
    this.#lastReadMs = monotonicMs();
    byteBudget.addEntries(entries);
    return { entries, claiming, interruptions };
  }

  /** Reads what was given back while the docket was paused. */
  async #readFront(count: number): Promise<Batch> {
    const { blocking, keys, consumer, lookout, byteBudget } = this.#options;
    const { interruptions } = lookout;
    const entries = await readEntries(blocking, keys, { consumer, streams: FRONT, count, blockMs: null });
    this.#isFrontFirst = entries.length >= count;
    this.#hasBacklog = this.#isFrontFirst;
    this.#lastReadMs = monotonicMs();
    byteBudget.addEntries(entries);
    return { entries, claiming: null, interruptions };
  }

  /** Asks Redis whether anything on the streams is large. Never rejects: then it may be. */
  async #learnWhetherSmall(): Promise<void> {
    const { blocking, keys } = this.#options;
    const askedMs = monotonicMs();
    const isLarge = await mayHaveLarge(blocking, keys).catch(() => true);
    this.#wasSmallMs = isLarge ? Number.NEGATIVE_INFINITY : askedMs;
  }

  /**
   * Whether the guards may have missed news about what was read. A claim that is sent after the read finds most of that news
   * in Redis. But if an execution was claimed with the read, a cancel only asks it to stop. So then all news since the read was
   * sent counts.
   */
  #mayHaveMissed({ claiming, interruptions }: Batch): boolean {
    const { lookout } = this.#options;
    return !lookout.isHearing || (claiming !== null && lookout.interruptions !== interruptions);
  }

  /** Asks Redis whether these entries must not run. Returns whether they are still ours afterwards. */
  async #lookUp({ claiming }: Batch, entries: readonly Entry[]): Promise<boolean> {
    const { link, lookout, leaseMs, logger } = this.#options;
    const untilMs = monotonicMs() + leaseMs;
    try {
      await retryUntilLeaseEnds(() => lookout.lookUp(entries, claiming !== null), {
        link,
        leaseMs,
        pauseMs: RETRY_AFTER_MS,
        canRetry: () => !this.#isStopping,
        onRetry: (error) => logRetry(logger, error, 'cancels, strikes and pauses could not be looked up'),
      });
      if (monotonicMs() < untilMs) return true; // a command waits while its link is down
      logger.warn(
        { count: entries.length },
        'looking up cancels, strikes and pauses took longer than the lease of these entries',
      );
    } catch (error) {
      if (this.#isStopping) return true;
      const fields = { error: String(error), count: entries.length };
      logger.error(
        fields,
        'cancels, strikes and pauses could not be looked up: these entries are left to their leases',
      );
    }
    return false;
  }

  /** Creates streams and group when they have vanished (FLUSHALL, a restart without persistence); else waits a moment. */
  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { streams, logger } = this.#options;
    logRetry(logger, error, 'reading failed');
    try {
      if (isGroupMissing(error)) await streams.restore();
      else await pause(jittered(RETRY_AFTER_MS), signal);
    } catch {
      await pause(jittered(RETRY_AFTER_MS), signal);
    }
  }
}

/** Whether an entry goes before those of `work`, which would start first if they were claimed with the read. */
function goesBeforeWork({ token }: Entry): boolean {
  return token.startsWith(STREAM.front) || token.startsWith(STREAM.high);
}

/**
 * Returns the answer to the claim behind a read; `null` when there is none, or when it does not come with the read. Each
 * execution of an idle worker waits for this, so it takes a plain timer: `within` costs 30 us.
 */
async function answerOf({ entries, claiming }: Batch): Promise<ReadClaim | null> {
  if (!claiming || entries.length === 0) return null;
  return await new Promise((resolve) => {
    const timer = setTimeout(resolve, CLAIM_PATIENCE_MS, null);
    void claiming.then((claim) => {
      clearTimeout(timer);
      resolve(claim);
    });
  });
}
