/**
 * Finds the remains of lost workers and lost keys: expired leases, permits without entries, executions without a place,
 * consumers. Each script looks at one page.
 */
import type { Redis } from 'ioredis';
import { batchesOf } from '../core/batcher.js';
import type { Token } from './delivery-store.js';
import type { Keys } from './keys.js';
import { BATCH_ITEMS, GROUP, STREAM, STREAM_NAMES, type StreamName } from './schema.js';
import { runScript } from './script.js';

export interface Begun {
  /** Where the scan of permits goes on. */
  readonly cursor: string;
  /** Server milliseconds. */
  readonly nowMs: number;
}

/**
 * Begins a sweep, and looks at one page of permits. Returns `null` when another worker has begun a sweep within the last
 * `pauseMs`.
 * @param cursor - where that scan is; '0' starts a new one
 */
export async function beginSweep(
  redis: Redis,
  keys: Keys,
  { pauseMs, cursor }: { readonly pauseMs: number; readonly cursor: string },
): Promise<Begun | null> {
  const names = [keys.work, keys.front, keys.sweeper];
  const reply = await runScript(redis, 'sweep', names, [keys.prefix, Math.ceil(pauseMs), cursor]);
  const [next, now] = (reply as Buffer[]).map(String);
  return next === undefined ? null : { cursor: next, nowMs: Number(now) };
}

export interface Expired {
  readonly token: Token;
  readonly consumer: string;
}

export interface PendingPage {
  readonly expired: readonly Expired[];
  /** Where the next page begins; `null` after the last one. */
  readonly next: string | null;
}

/** The beginning of the pending entries of a stream. */
export const FIRST_PAGE = '-';

/** Looks at one page of the pending entries of a stream for leases that ran out. */
export async function findExpired(
  redis: Redis,
  keys: Keys,
  { stream, leaseMs, from }: { readonly stream: StreamName; readonly leaseMs: number; readonly from: string },
): Promise<PendingPage> {
  const reply = (await runScript(redis, 'find-expired', [keys[stream]], [leaseMs, BATCH_ITEMS, from])) as Buffer[];
  const [next, ...found] = reply.map(String) as [string, ...string[]];
  const expired: Expired[] = [];
  for (let i = 0; i < found.length; i += 2) {
    expired.push({ token: `${STREAM[stream]}${found[i]!}`, consumer: found[i + 1]! });
  }
  return { expired, next: next === '' ? null : next };
}

/**
 * Deletes the consumers of dead workers, which would pile up. A consumer with pending entries is kept until they are
 * redelivered.
 * @param live - consumers of live workers
 */
export async function forgetDeadConsumers(
  redis: Redis,
  keys: Keys,
  live: ReadonlySet<string>,
  leaseMs: number,
): Promise<void> {
  const forget = async (stream: string) => {
    const consumers = (await redis.xinfo('CONSUMERS', stream, GROUP).catch(() => [])) as unknown[][];
    const dead: string[] = [];
    for (const info of consumers) {
      const field = (name: string) => info[info.indexOf(name) + 1];
      const name = String(field('name'));
      if (field('pending') === 0 && Number(field('idle')) > leaseMs && !live.has(name)) dead.push(name);
    }
    for (const batch of batchesOf(dead, { maxItems: BATCH_ITEMS })) {
      await runScript(redis, 'forget-consumers', [stream], batch);
    }
  };
  await Promise.all(STREAM_NAMES.map((name) => forget(keys[name])));
}

export interface LostPage {
  /** Where the next page begins; `null` after the last one. */
  readonly next: string | null;
  /** Number of executions that have lost their place and whose message is known. */
  readonly known: number;
  /** Number of those whose message is lost, too. */
  readonly unknown: number;
  /** Key or id of the first; `null` when there is none. */
  readonly first: string | null;
}

/** Looks at one page of all keys for executions that have lost their place. Changes nothing. */
export async function findLost(redis: Redis, keys: Keys, cursor: string): Promise<LostPage> {
  return await lookForLost(redis, keys, cursor, false);
}

/**
 * Looks at the next page of all keys, behind that of the last call in the whole fleet, for executions that have lost their
 * place. Puts those whose message is known back on the schedule, and fails the others.
 */
export async function mendLost(redis: Redis, keys: Keys): Promise<LostPage> {
  return await lookForLost(redis, keys, '', true);
}

async function lookForLost(redis: Redis, keys: Keys, cursor: string, mends: boolean): Promise<LostPage> {
  const names = [keys.work, keys.front, keys.schedule];
  const reply = await runScript(redis, 'find-lost', names, [keys.prefix, cursor, mends ? 1 : '']);
  const [next, known, unknown, first] = reply as [Buffer, number, number, Buffer];
  return { next: String(next) === '0' ? null : String(next), known, unknown, first: String(first) || null };
}
