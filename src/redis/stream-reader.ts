/** Reads new entries of the streams on a connection of its own. */
import type { Redis } from 'ioredis';
import { type Entry, type RawEntry, readEntry } from './entry.js';
import type { Keys } from './keys.js';
import { GROUP, STREAM, STREAM_NAMES, type StreamLetter, type StreamName } from './schema.js';

export interface Read {
  readonly consumer: string;
  /** The streams to read. Their entries come in this order. @default all */
  readonly streams?: readonly StreamName[];
  /** Largest number of entries to read from each stream. */
  readonly count: number;
  /** How long to wait for the first entry; `null` not at all. */
  readonly blockMs: number | null;
}

/** Reads entries. */
export async function readEntries(
  blocking: Redis,
  keys: Keys,
  { consumer, streams = STREAM_NAMES, count, blockMs }: Read,
): Promise<Entry[]> {
  const block = blockMs === null ? [] : ['BLOCK', blockMs];
  const names = streams.map((stream) => keys[stream]);
  const args = ['GROUP', GROUP, consumer, 'COUNT', count, ...block, 'STREAMS', ...names, ...streams.map(() => '>')];
  const reply = (await blocking.xreadgroupBuffer(...(args as Parameters<Redis['xreadgroupBuffer']>))) as
    | [stream: Buffer, entries: RawEntry[]][]
    | null;
  const entries: Entry[] = [];
  for (const [stream, raw] of reply ?? []) {
    addEntries(entries, STREAM[streams[names.indexOf(stream.toString())]!], raw);
  }
  return entries;
}

/** A function of its own, so that the loop over all entries is compiled by itself. */
function addEntries(entries: Entry[], letter: StreamLetter, raw: readonly RawEntry[]): void {
  for (const entry of raw) entries.push(readEntry(letter, entry));
}

/**
 * Returns whether large messages may be on the streams. Messages that workers or producers of versions without this marker
 * added are not known.
 */
export async function mayHaveLarge(blocking: Redis, keys: Keys): Promise<boolean> {
  return (await blocking.exists(keys.large)) === 1;
}

/** Sends the commands of `send` in one write, so that neither this process nor the server wakes up twice for them. */
export function inOneWrite<T>(redis: Redis, send: () => T): T {
  const stream = redis.stream as Redis['stream'] | undefined; // there is none before the first connection
  stream?.cork();
  try {
    return send();
  } finally {
    stream?.uncork();
  }
}
