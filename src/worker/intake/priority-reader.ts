/**
 * Decides which streams are asked for entries, one after the other, so that what is taken follows the priorities:
 *
 *   while there is a backlog   front and high, and low when its share is due ─none─> work ─none─> all, until one has entries
 *   otherwise                  all, until one has entries
 *
 * Owns three rules:
 *
 * - In a backlog, nothing is taken from `work` while `front` or `high` has anything: a read takes its count from each stream
 *   that it names, so what it took of `work` would be in the way of what is still on `high`.
 * - In a backlog, one in 32 that are taken is from `low` while it has any. Otherwise `low` is read only when nothing else is there.
 * - What is read at once is bounded: twice the count in a backlog, else 32 from each of the four streams.
 */
import type { Entry } from '../../redis/entry.js';
import { LOW_SHARE, STREAM, STREAM_NAMES, type StreamName } from '../../redis/schema.js';
import { inOneWrite, readEntries } from '../../redis/stream-reader.js';
import type { WorkerContext } from '../context.js';

/** The maximum number of entries that a read of all streams takes from each. */
const MOST_OF_EACH = 32;
const URGENT: readonly StreamName[] = ['front', 'high'];
const NORMAL: readonly StreamName[] = ['work'];
const LOW: readonly StreamName[] = ['low'];

export interface PriorityReaderOptions extends Pick<WorkerContext, 'blocking' | 'keys' | 'consumer'> {
  /** How long a read waits for the first entry, in milliseconds. */
  readonly longestReadMs: number;
}

export interface PriorityRead<Claim> {
  /** How many entries may be read. */
  readonly count: number;
  /** Whether the last read may have left some. */
  readonly hasBacklog: boolean;
  /** Sends a claim behind a read of `work`; returns `null` when none is to be sent. */
  claim(): Promise<Claim> | null;
  /** Aborts when the worker stops: then no read waits any more. */
  readonly signal: AbortSignal;
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
  /** How many entries were taken from the other streams since the last look at `low`. */
  #sinceLow = 0;

  constructor(options: PriorityReaderOptions) {
    this.#options = options;
  }

  /** Reads entries, in the order in which they are to start. Resolves to none when the longest wait is over. */
  async read<Claim>({ count, hasBacklog, claim, signal }: PriorityRead<Claim>): Promise<PriorityEntries<Claim>> {
    if (hasBacklog) {
      const urgent = await this.#readUrgent(count);
      if (urgent.length > 0) return { entries: urgent, claiming: null, hasBacklog: true };
      const usual = await this.#readWith(claim, { streams: NORMAL, count, blockMs: null });
      if (usual.entries.length > 0) return { ...usual, hasBacklog: usual.entries.length >= count };
      if (signal.aborted) return { entries: [], claiming: null, hasBacklog: false };
    }
    const ofEach = Math.min(count, MOST_OF_EACH);
    const { longestReadMs } = this.#options;
    const read = await this.#readWith(claim, { streams: STREAM_NAMES, count: ofEach, blockMs: longestReadMs });
    return { ...read, hasBacklog: read.entries.length >= ofEach };
  }

  /**
   * Reads what goes before normal entries, and the share of those of low priority. Both commands are in one write, and what one
   * brings counts even when the other fails: an entry that was read and not passed on would wait for the end of its lease.
   */
  async #readUrgent(count: number): Promise<Entry[]> {
    const share = Math.min(count, Math.floor(this.#sinceLow / (LOW_SHARE - 1)));
    if (share > 0) this.#sinceLow = 0;
    const [urgent, low] = await Promise.allSettled(
      inOneWrite(this.#options.blocking, () => [
        this.#send({ streams: URGENT, count, blockMs: null }),
        share > 0 ? this.#send({ streams: LOW, count: share, blockMs: null }) : [],
      ]),
    );
    const entries = [urgent!, low!].flatMap((read) => (read.status === 'fulfilled' ? read.value : []));
    if (entries.length === 0 && urgent!.status === 'rejected') throw urgent!.reason;
    this.#count(entries);
    return entries;
  }

  async #readWith<Claim>(
    claim: () => Promise<Claim> | null,
    read: StreamRead,
  ): Promise<{ entries: readonly Entry[]; claiming: Promise<Claim> | null }> {
    const [reading, claiming] = inOneWrite(this.#options.blocking, () => [this.#send(read), claim()] as const);
    const entries = await reading;
    this.#count(entries);
    return { entries, claiming };
  }

  #send(read: StreamRead): Promise<Entry[]> {
    const { blocking, keys, consumer } = this.#options;
    return readEntries(blocking, keys, { consumer, ...read });
  }

  #count(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const isMixed = entries.at(-1)!.token.startsWith(STREAM.low); // these come last
    this.#sinceLow += isMixed ? entries.filter(({ token }) => !token.startsWith(STREAM.low)).length : entries.length;
  }
}

interface StreamRead {
  readonly streams: readonly StreamName[];
  readonly count: number;
  readonly blockMs: number | null;
}
