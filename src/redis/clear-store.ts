/**
 * Removes executions that have not started: scheduled, waiting for a permit, queued. Owns the rule that exactly what
 * was placed before a watermark is removed, while producers add and workers read, park and wake in between the scripts.
 *
 *   limits ──wake──> front             Cleared from left to right, as executions move. Only those that a worker reads and
 *   schedule ─due──> high, work, low   parks move back, so there are two passes, and more while a pass finds something.
 */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { departingBy, type Move, moveIn } from './producer-store.js';
import { BATCH_ITEMS, STREAM_LETTERS, type StreamLetter } from './schema.js';
import { runScript } from './script.js';

/**
 * Removes an execution that a worker moves to another partition, unless it has started there. Called with its key and
 * with that move. Returns whether it was removed.
 */
export type MovingRemover = (key: string, move: Move) => Promise<boolean>;

/** Returns the number of executions that were removed. Each script looks at a bounded number of them. */
export async function clear(redis: Redis, keys: Keys, removeMoving: MovingRemover): Promise<number> {
  const watermark = await takeWatermark(redis, keys);
  const departures = new Departures(removeMoving);
  let total = 0;
  for (let pass = 0, removed = 0; pass < 2 || removed > 0; pass++) {
    removed = await clearWaiting(redis, keys, watermark, departures);
    removed += await clearParked(redis, keys, { watermark, limit: '', departures });
    // Entries behind these ids were added since, or will be seen by the next pass.
    const ends = await takeWatermark(redis, keys);
    for (const [i, letter] of STREAM_LETTERS.entries()) {
      removed += await clearStream(redis, keys, watermark, { letter, lastId: ends.lastIds[i]!, departures });
    }
    removed += await departures.remove();
    total += removed;
  }
  return total;
}

/** The execution that is removed, and where it is looked for. */
export interface ClearTarget {
  readonly key: string;
  readonly generation: string;
  /** The move by which it may come here. @default none: it was found here */
  readonly move?: Move;
  /** The move that was stopped where it leads, so that the execution is removed here. @default none */
  readonly stopped?: Move;
}

/**
 * Removes an execution that a worker moves, unless it has started. Returns whether it was removed or cannot come here any more, and
 * the move by which a worker takes it elsewhere, if one does.
 */
export async function clearMoving(
  redis: Redis,
  keys: Keys,
  { key, generation, move, stopped }: ClearTarget,
): Promise<{ readonly wasRemoved: boolean; readonly move: Move | null }> {
  const args = [keys.prefix, key, generation, move?.name ?? '', stopped ? departingBy(stopped) : ''];
  const reply = (await runScript(redis, 'clear-moving', [keys.work, keys.front, keys.schedule], args)) as unknown[];
  return { wasRemoved: reply[0] === 1, move: moveIn(reply[1], generation) };
}

/** The executions that scripts have found on their way to another partition. Those that stay are found by each pass. */
class Departures {
  readonly #remove: MovingRemover;
  readonly #known = new Set<string>();
  #found: { readonly key: string; readonly move: Move }[] = [];

  constructor(remove: MovingRemover) {
    this.#remove = remove;
  }

  /** @param departures - key, `RECORD.departing` and generation of each, in turn */
  add(departures: readonly Buffer[]): void {
    for (let at = 0; at < departures.length; at += 3) {
      const key = String(departures[at]);
      const move = moveIn(departures[at + 1], departures[at + 2]);
      if (move === null || this.#known.has(move.name)) continue;
      this.#known.add(move.name);
      this.#found.push({ key, move });
    }
  }

  /** Removes those that were found since the last call. Returns how many were removed. */
  async remove(): Promise<number> {
    const found = this.#found;
    this.#found = [];
    let removed = 0;
    for (let at = 0; at < found.length; at += BATCH_ITEMS) {
      const batch = found.slice(at, at + BATCH_ITEMS).map(({ key, move }) => this.#remove(key, move));
      removed += (await Promise.all(batch)).filter((wasRemoved) => wasRemoved).length;
    }
    return removed;
  }
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

async function clearWaiting(redis: Redis, keys: Keys, watermark: Watermark, departures: Departures): Promise<number> {
  let removed = 0;
  let cursor = '0';
  do {
    const [next, page] = await redis.hscan(keys.waiting, cursor, 'COUNT', BATCH_ITEMS);
    const limits = page.filter((_, i) => i % 2 === 0);
    const counts = await Promise.all(limits.map((limit) => clearParked(redis, keys, { watermark, limit, departures })));
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
    departures,
  }: { readonly watermark: Watermark; readonly limit: string; readonly departures: Departures },
): Promise<number> {
  const common = [keys.prefix, watermark.generation, watermark.lastIds.join(' '), limit, BATCH_ITEMS] as const;
  let removed = 0;
  let lastStayed = '';
  let cursor = '0'; // number of members that stayed so far; '' once all were looked at
  do {
    const args = [...common, lastStayed, cursor];
    const reply = await runScript(redis, 'clear-parked', [keys.work, keys.front, keys.schedule], args);
    const [count, last, next, departing] = reply as [number, Buffer, Buffer, Buffer[]];
    removed += count;
    departures.add(departing);
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
    departures,
  }: { readonly letter: StreamLetter; readonly lastId: string; readonly departures: Departures },
): Promise<number> {
  const common = [keys.prefix, watermark.generation, watermark.lastIds.join(' '), letter] as const;
  let removed = 0;
  let cursor = ''; // id of the entry that was looked at last; '' before the first, and once all were looked at
  do {
    const firstId = cursor === '' ? '-' : `(${cursor}`;
    const args = [...common, firstId, lastId, BATCH_ITEMS];
    const reply = await runScript(redis, 'clear-queued', [keys.work, keys.front, keys.schedule], args);
    const [count, next, departing] = reply as [number, Buffer, Buffer[]];
    removed += count;
    departures.add(departing);
    cursor = next.toString();
  } while (cursor !== '');
  return removed;
}
