/**
 * Removes executions that have not started: scheduled, waiting for a permit, queued. Owns the rule that exactly what
 * was placed before a watermark is removed, while producers add and workers read, park and wake in between the scripts.
 *
 *   limits ──wake──> front             Cleared from left to right, as executions move. Only those that a worker reads and
 *   schedule ─due──> high, work, low   parks move back, so there are two passes, and more while a pass finds something.
 */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { type Move, moveIn } from './producer-store.js';
import { BATCH_ITEMS, STREAM_LETTERS, type StreamLetter } from './schema.js';
import { runScript } from './script.js';

/** Called with the key of an execution that was removed while a worker moves it to another partition, and with that move. */
export type DepartureCallback = (key: string, move: Move) => void;

/** Returns the number of executions that were removed. Each script looks at a bounded number of them. */
export async function clear(redis: Redis, keys: Keys, onDeparture: DepartureCallback): Promise<number> {
  const watermark = await takeWatermark(redis, keys);
  let total = 0;
  for (let pass = 0, removed = 0; pass < 2 || removed > 0; pass++) {
    removed = await clearWaiting(redis, keys, watermark, onDeparture);
    removed += await clearParked(redis, keys, { watermark, limit: '', onDeparture });
    // Entries behind these ids were added since, or will be seen by the next pass.
    const ends = await takeWatermark(redis, keys);
    for (const [i, letter] of STREAM_LETTERS.entries()) {
      removed += await clearStream(redis, keys, watermark, { letter, lastId: ends.lastIds[i]!, onDeparture });
    }
    total += removed;
  }
  return total;
}

interface Watermark {
  readonly generation: string;
  /** The last id on each stream, in the order of `STREAM_LETTERS`. */
  readonly lastIds: readonly string[];
}

async function takeWatermark(redis: Redis, keys: Keys): Promise<Watermark> {
  const reply = (await runScript(redis, 'watermark', [keys.work], [keys.prefix])) as Buffer[];
  const [generation, ...lastIds] = reply.map(String) as [string, ...string[]];
  return { generation, lastIds };
}

async function clearWaiting(
  redis: Redis,
  keys: Keys,
  watermark: Watermark,
  onDeparture: DepartureCallback,
): Promise<number> {
  let removed = 0;
  let cursor = '0';
  do {
    const [next, page] = await redis.hscan(keys.waiting, cursor, 'COUNT', BATCH_ITEMS);
    const limits = page.filter((_, i) => i % 2 === 0);
    const counts = await Promise.all(
      limits.map((limit) => clearParked(redis, keys, { watermark, limit, onDeparture })),
    );
    for (const count of counts) removed += count;
    cursor = next;
  } while (cursor !== '0');
  return removed;
}

/** Removes executions from the schedule (`limit` is ''), or from the waiters at a limit. */
async function clearParked(
  redis: Redis,
  keys: Keys,
  {
    watermark,
    limit,
    onDeparture,
  }: { readonly watermark: Watermark; readonly limit: string; readonly onDeparture: DepartureCallback },
): Promise<number> {
  const common = [keys.prefix, watermark.generation, watermark.lastIds.join(' '), limit, BATCH_ITEMS] as const;
  let removed = 0;
  let lastStayed = '';
  let cursor = '0'; // number of members that stayed so far; '' once all were looked at
  do {
    const args = [...common, lastStayed, cursor];
    const reply = await runScript(redis, 'clear-parked', [keys.work, keys.front, keys.schedule], args);
    const [count, last, next, departures] = reply as [number, Buffer, Buffer, Buffer[]];
    removed += count;
    reportDepartures(departures, onDeparture);
    lastStayed = last.toString();
    cursor = next.toString();
  } while (cursor !== '');
  return removed;
}

async function clearStream(
  redis: Redis,
  keys: Keys,
  watermark: Watermark,
  {
    letter,
    lastId,
    onDeparture,
  }: { readonly letter: StreamLetter; readonly lastId: string; readonly onDeparture: DepartureCallback },
): Promise<number> {
  const common = [keys.prefix, watermark.generation, watermark.lastIds.join(' '), letter] as const;
  let removed = 0;
  let cursor = ''; // id of the entry that was looked at last; '' before the first, and once all were looked at
  do {
    const firstId = cursor === '' ? '-' : `(${cursor}`;
    const args = [...common, firstId, lastId, BATCH_ITEMS];
    const reply = await runScript(redis, 'clear-queued', [keys.work, keys.front, keys.schedule], args);
    const [count, next, departures] = reply as [number, Buffer, Buffer[]];
    removed += count;
    reportDepartures(departures, onDeparture);
    cursor = next.toString();
  } while (cursor !== '');
  return removed;
}

/** @param departures - key, `RECORD.departing` and generation of each, in turn */
function reportDepartures(departures: readonly Buffer[], onDeparture: DepartureCallback): void {
  for (let at = 0; at < departures.length; at += 3) {
    const move = moveIn(departures[at + 1], departures[at + 2]);
    if (move !== null) onDeparture(String(departures[at]), move);
  }
}
