/**
 * Decides which streams are asked for entries, one after the other, so that what is taken follows the priorities:
 *
 *   while there is a backlog   front and high ─none─> work ─none─> low, if it had any ─none─> all, until one has entries
 *                              front, high and work together, where a read is long, the last one found nothing on high, and
 *                              the bytes in hand leave room for all
 *   otherwise                  all, until one has entries
 *
 * Owns three rules:
 *
 * - In a backlog of longer executions, nothing is taken from `work` while `front` or `high` has anything. A read takes its count
 *   from each stream that it names, so what it took of `work` would be in the way of what is still on `high`. A long read is
 *   for short executions, and another turn of the event loop before it would leave the threads without work (measured). So it
 *   may bring too many once: they wait here, behind those of high priority.
 * - In a backlog, one in 32 that are taken is from `low` while it has any. Otherwise `low` is read only when nothing else is there.
 * - What is read at once is bounded: a few times the count in a backlog, else 32 from each of the four streams. Where the bytes in
 *   hand leave room for fewer, that room is divided among the streams of a read: each of them may bring its part, and one at least.
 */
import { monotonicMs } from '../../core/clock.js';
import type { Entry } from '../../redis/entry.js';
import { LOW_SHARE, STREAM, STREAM_NAMES, type StreamName } from '../../redis/schema.js';
import { inOneWrite, readEntries } from '../../redis/stream-reader.js';
import type { WorkerContext } from '../context.js';

/** The maximum number of entries that a read of all streams takes from each. */
const MOST_OF_EACH = 32;
/** From this count on, a read is long: there are so many executions in the 50 ms of work that are read ahead. */
const LONG_READ = 64;
/** How long `low` is not looked at again when it was empty, while there is a backlog. */
const LOOK_AGAIN_MS = 50;
/**
 * The maximum number of entries of the other streams that count towards the next share of `low`, however long it was empty.
 */
const MOST_COUNTED = 1_024;
const TOGETHER: readonly StreamName[] = ['front', 'high', 'work'];
const URGENT: readonly StreamName[] = ['front', 'high'];
const NORMAL: readonly StreamName[] = ['work'];
const LOW: readonly StreamName[] = ['low'];

export interface PriorityReaderOptions extends Pick<WorkerContext, 'blocking' | 'keys' | 'consumer'> {
  /** How long a read waits for the first entry, in milliseconds. */
  readonly longestReadMs: number;
}

export interface PriorityRead<Claim> {
  /** How many entries each stream may bring. */
  readonly count: number;
  /** How many entries there is room for in all, by their bytes. */
  readonly inAll: number;
  /** Whether the last read may have left some. */
  readonly hasBacklog: boolean;
  /** Sends a claim behind a read of `work`; returns `null` when none is to be sent. */
  claim(): Promise<Claim> | null;
  /** Whether another read may follow one that has brought nothing. */
  mayGoOn(): boolean;
  /** Called before a read that waits for the first entry. Returns how many entries of each stream it may bring. */
  standBy(): number;
}

export interface PriorityEntries<Claim> {
  readonly entries: readonly Entry[];
  /** The answer to the claim behind the read; `null` when none was sent. */
  readonly claiming: Promise<Claim> | null;
  /** Whether the streams may have more. */
  readonly hasBacklog: boolean;
}

export class PriorityReader {
  readonly #options: PriorityReaderOptions;
  /** How many entries were taken from the other streams since `low` had its share. */
  #sinceLow = 0;
  /** When `low` was last found empty, on the monotonic clock. */
  #wasEmptyMs = Number.NEGATIVE_INFINITY;
  /** Whether the last read found anything on `high`. */
  #hasHigh = false;
  /** Whether the last read of `low` found anything there. */
  #hasLow = false;

  constructor(options: PriorityReaderOptions) {
    this.#options = options;
  }

  /** Reads entries, in the order in which they are to start. Resolves to none when the longest wait is over. */
  async read<Claim>({
    count,
    inAll,
    hasBacklog,
    claim,
    mayGoOn,
    standBy,
  }: PriorityRead<Claim>): Promise<PriorityEntries<Claim>> {
    if (hasBacklog) {
      const isTogether = count >= LONG_READ && !this.#hasHigh && inAll >= TOGETHER.length * count;
      for (const streams of isTogether ? [TOGETHER, LOW] : [URGENT, NORMAL, LOW]) {
        if (streams === LOW && !this.#hasLow) break;
        const counts = this.#countsOf(streams, count, inAll);
        const read = await this.#take(streams, counts, streams === URGENT || streams === LOW ? none : claim);
        if (read) return read;
        if (!mayGoOn()) return { entries: [], claiming: null, hasBacklog: false };
      }
    }
    const ofEach = Math.min(standBy(), MOST_OF_EACH, partOf(inAll, STREAM_NAMES.length));
    const { longestReadMs } = this.#options;
    const [reading, claiming] = inOneWrite(this.#options.blocking, () => [
      this.#send({ streams: STREAM_NAMES, count: ofEach, blockMs: longestReadMs }),
      claim(),
    ]);
    const entries = await reading;
    this.#note(entries, STREAM_NAMES);
    return { entries, claiming, hasBacklog: entries.length >= ofEach };
  }

  /**
   * Takes what is there, and the share of those of low priority. Returns `null` when there is nothing. All commands are in one
   * write, and what one brings counts even when the other fails: an entry that was read and not passed on would wait for the
   * end of its lease.
   */
  async #take<Claim>(
    streams: readonly StreamName[],
    { count, share }: Counts,
    claim: () => Promise<Claim> | null,
  ): Promise<PriorityEntries<Claim> | null> {
    const [reading, claiming, readingLow] = inOneWrite(this.#options.blocking, () => [
      this.#send({ streams, count, blockMs: null }),
      claim(),
      share > 0 ? this.#send({ streams: LOW, count: share, blockMs: null }) : null,
    ]);
    if (!readingLow) {
      const entries = await reading;
      this.#note(entries, streams);
      // Urgent entries are taken from `high` and `front` alone, so `work` may have any number.
      return entries.length > 0
        ? { entries, claiming, hasBacklog: streams === URGENT || entries.length >= count }
        : null;
    }
    const [first, low] = await Promise.allSettled([reading, readingLow]);
    if (first.status === 'rejected' && (low.status === 'rejected' || low.value.length === 0)) throw first.reason;
    const entries = first.status === 'fulfilled' ? first.value : [];
    const lowEntries = low.status === 'fulfilled' ? low.value : [];
    this.#note(entries, streams);
    this.#noteLow(lowEntries.length, share);
    if (entries.length + lowEntries.length === 0) return null;
    const hasBacklog = streams === URGENT || entries.length >= count || lowEntries.length > 0;
    return { entries: [...entries, ...lowEntries], claiming, hasBacklog };
  }

  #countsOf(streams: readonly StreamName[], count: number, inAll: number): Counts {
    const share = streams === LOW ? 0 : this.#shareOfLow(count);
    const part = partOf(inAll, streams.length + (share > 0 ? 1 : 0));
    return { count: Math.min(count, part), share: Math.min(share, part) };
  }

  /** Returns how many entries of `low` are to be taken with the next ones. The remainder counts for the next share. */
  #shareOfLow(count: number): number {
    const share = Math.min(count, Math.floor(this.#sinceLow / (LOW_SHARE - 1)));
    if (share === 0 || monotonicMs() - this.#wasEmptyMs < LOOK_AGAIN_MS) return 0;
    this.#sinceLow %= LOW_SHARE - 1;
    return share;
  }

  /** Takes note of how many entries `low` has brought, of so many that were wanted. */
  #noteLow(found: number, wanted: number): void {
    this.#hasLow = found >= wanted;
    if (!this.#hasLow) this.#sinceLow = 0;
    if (found === 0) this.#wasEmptyMs = monotonicMs();
  }

  #send(read: StreamRead): Promise<Entry[]> {
    const { blocking, keys, consumer } = this.#options;
    return readEntries(blocking, keys, { consumer, ...read });
  }

  /** Takes note of what these streams have brought. */
  #note(entries: readonly Entry[], streams: readonly StreamName[]): void {
    if (streams === LOW || streams === STREAM_NAMES)
      this.#hasLow = entries.at(-1)?.token.startsWith(STREAM.low) ?? false;
    if (streams !== NORMAL && streams !== LOW) {
      const first = entries.find(({ token }) => !token.startsWith(STREAM.front));
      this.#hasHigh = first?.token.startsWith(STREAM.high) ?? false;
    }
    for (let i = entries.length - 1; i >= 0; i--) {
      if (entries[i]!.token.startsWith(STREAM.low)) continue; // these come last
      this.#sinceLow = Math.min(this.#sinceLow + i + 1, MOST_COUNTED);
      return;
    }
  }
}

function none(): null {
  return null;
}

/** Returns the part of one of so many streams. */
function partOf(inAll: number, streams: number): number {
  return Math.max(1, Math.floor(inAll / streams));
}

/** How many entries each stream of a read may bring, and how many of `low` are taken beside them. */
interface Counts {
  readonly count: number;
  readonly share: number;
}

interface StreamRead {
  readonly streams: readonly StreamName[];
  readonly count: number;
  readonly blockMs: number | null;
}
