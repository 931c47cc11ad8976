/**
 * Removes what has not started: scheduled, waiting for a slot, queued. Owns the rule that exactly what was placed before a
 * watermark goes, while producers add and workers read, park and wake in between the scripts.
 *
 *   limits ──wake──> front        Looked at in this order, against which nothing moves but what a worker reads and parks
 *   schedule ─due──> work         again; so it is looked at twice, and again as long as something was found.
 */
import type { Redis } from 'ioredis';
import { BATCH_ITEMS } from './delivery-store.js';
import type { Keys } from './keys.js';
import { runScript } from './script.js';

/** Answers how many executions were removed. Each script looks at 256 of them at most. */
export async function clear(redis: Redis, keys: Keys): Promise<number> {
  const mark = await takeWatermark(redis, keys);
  let total = 0;
  for (let pass = 0, removed = 0; pass < 2 || removed > 0; pass++) {
    removed = await clearWaiting(redis, keys, mark);
    removed += await clearParked(redis, keys, mark, '');
    // What lies behind these ids was added since, or will be seen by the next pass.
    const ends = await takeWatermark(redis, keys);
    removed += await clearStream(redis, keys, mark, 'f', ends.lastFront);
    removed += await clearStream(redis, keys, mark, 'w', ends.lastWork);
    total += removed;
  }
  return total;
}

interface Watermark {
  readonly generation: string;
  readonly lastWork: string;
  readonly lastFront: string;
}

async function takeWatermark(redis: Redis, keys: Keys): Promise<Watermark> {
  const reply = (await runScript(redis, 'watermark', [keys.work, keys.front], [keys.prefix])) as Buffer[];
  const [generation, lastWork, lastFront] = reply.map(String) as [string, string, string];
  return { generation, lastWork, lastFront };
}

async function clearWaiting(redis: Redis, keys: Keys, mark: Watermark): Promise<number> {
  let removed = 0;
  let cursor = '0';
  do {
    const [next, page] = await redis.hscan(keys.waiting, cursor, 'COUNT', BATCH_ITEMS);
    const limits = page.filter((_, i) => i % 2 === 0);
    const counts = await Promise.all(limits.map((limit) => clearParked(redis, keys, mark, limit)));
    for (const count of counts) removed += count;
    cursor = next;
  } while (cursor !== '0');
  return removed;
}

/** Removes from the schedule (`limit` is ''), or from those who wait at a limit. */
async function clearParked(redis: Redis, keys: Keys, mark: Watermark, limit: string): Promise<number> {
  const mostly = [keys.prefix, mark.generation, mark.lastWork, limit, BATCH_ITEMS] as const;
  let removed = 0;
  let [last, stayed] = ['', '0'];
  while (stayed !== '') {
    const args = [...mostly, last, stayed];
    const reply = await runScript(redis, 'clear-parked', [keys.work, keys.front, keys.schedule], args);
    const [count, ...position] = reply as [number, Buffer, Buffer];
    removed += count;
    [last, stayed] = position.map(String) as [string, string];
  }
  return removed;
}

async function clearStream(
  redis: Redis,
  keys: Keys,
  mark: Watermark,
  letter: 'w' | 'f',
  lastId: string,
): Promise<number> {
  let removed = 0;
  for (let first = '-'; first !== '('; ) {
    const args = [keys.prefix, mark.generation, mark.lastWork, letter, first, lastId, BATCH_ITEMS];
    const reply = await runScript(redis, 'clear-queued', [keys.work, keys.front, keys.schedule], args);
    const [count, next] = reply as [number, Buffer];
    removed += count;
    first = `(${next}`;
  }
  return removed;
}
