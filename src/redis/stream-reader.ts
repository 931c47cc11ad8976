/** Reads new entries of both streams on a connection of its own, blocking while there are none. */
import type { Redis } from 'ioredis';
import { type Entry, type RawEntry, readEntry } from './entry.js';
import type { Keys } from './keys.js';
import { GROUP, STREAM } from './schema.js';

export interface Read {
  readonly consumer: string;
  /** Largest number of entries to read from each stream. */
  readonly count: number;
  /** How long to wait for the first entry. */
  readonly blockMs: number;
}

/** Reads entries. `front` is named first, so that executions that have waited before are served before new ones. */
export async function readEntries(blocking: Redis, keys: Keys, { consumer, count, blockMs }: Read): Promise<Entry[]> {
  const reply = (await blocking.xreadgroupBuffer(
    'GROUP',
    GROUP,
    consumer,
    'COUNT',
    count,
    'BLOCK',
    blockMs,
    'STREAMS',
    keys.front,
    keys.work,
    '>',
    '>',
  )) as [stream: Buffer, entries: RawEntry[]][] | null;
  const entries: Entry[] = [];
  for (const [stream, raw] of reply ?? []) {
    const letter = stream.toString() === keys.front ? STREAM.front : STREAM.work;
    for (const entry of raw) entries.push(readEntry(letter, entry));
  }
  return entries;
}

/** Reads what is on the stream `front`, without waiting for any. */
export async function readFront(
  blocking: Redis,
  keys: Keys,
  { consumer, count }: Pick<Read, 'consumer' | 'count'>,
): Promise<Entry[]> {
  const reply = (await blocking.xreadgroupBuffer(
    'GROUP',
    GROUP,
    consumer,
    'COUNT',
    count,
    'STREAMS',
    keys.front,
    '>',
  )) as [stream: Buffer, entries: RawEntry[]][] | null;
  return (reply ?? []).flatMap(([, raw]) => raw.map((entry) => readEntry(STREAM.front, entry)));
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
