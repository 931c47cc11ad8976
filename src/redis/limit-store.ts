/**
 * Reads the limits that are in use: how many permits of each are taken, which executions hold them, and which wait.
 *
 * Owns the bounds. There may be a limit for each of a million customers, so only some are read, those at which executions wait
 * first. The entries that hold permits are searched up to a maximum, too.
 */
import type { Redis } from 'ioredis';
import { workerNameOf } from './fleet-store.js';
import { type Keys, streamNamed } from './keys.js';
import { type Listed, listParked } from './listing-store.js';
import { isLine } from './pause-store.js';
import { BATCH_ITEMS, GROUP, LETTER } from './schema.js';
import { permitsOf } from './show-store.js';
import { type Identity, identify } from './snapshot-store.js';

export interface LimitRecord {
  readonly limit: string;
  /** `null` when no execution that holds or needs its permits was found. */
  readonly max: number | null;
  readonly taken: number;
  readonly waiting: number;
  readonly holders: readonly Holder[];
  readonly waiters: readonly Listed[];
}

export interface Holder extends Identity {
  /** Name of the worker that has it; `null` while it has a permit and waits to be read. */
  readonly reader: string | null;
}

export interface LimitBounds {
  /** Maximum number of limits. */
  readonly limits: number;
  /** Maximum number of holders, and of waiters, of each limit. */
  readonly each: number;
}

/** Entries with permits that are looked at. */
const MOST_HOLDERS = 20_000;

/** Lists limits: those at which executions wait come first. */
export async function readLimits(redis: Redis, keys: Keys, { limits, each }: LimitBounds): Promise<LimitRecord[]> {
  const names = await limitNames(redis, keys, limits);
  const [taken, held, lines] = await Promise.all([
    countTaken(redis, keys, names),
    findHolders(redis, keys, { names: new Set(names), each }),
    Promise.all(names.map((limit) => readLine(redis, keys, limit, each))),
  ]);
  const records: LimitRecord[] = [];
  for (const [i, limit] of names.entries()) {
    const { tokens, max } = held.get(limit)!;
    const { waiting, waiters } = lines[i]!;
    const needed = waiters[0] && permitsOf(waiters[0].needs).find((permit) => permit.limit === limit);
    if (taken[i] === 0 && waiting === 0) continue; // released meanwhile
    records.push({
      limit,
      max: max ?? needed?.max ?? null,
      taken: taken[i]!,
      waiting,
      holders: await identifyHolders(redis, keys, tokens),
      waiters,
    });
  }
  return records;
}

/** Returns up to `count` names: of limits that may have waiters, then of those with permits that are taken. */
async function limitNames(redis: Redis, keys: Keys, count: number): Promise<string[]> {
  const names = new Set<string>();
  for (const hash of [keys.waiting, keys.permitsTaken]) {
    let cursor = '0';
    do {
      const [next, page] = await redis.hscan(hash, cursor, 'COUNT', BATCH_ITEMS);
      for (let i = 0; i < page.length && names.size < count; i += 2) if (!isLine(page[i]!)) names.add(page[i]!);
      cursor = next;
    } while (cursor !== '0' && names.size < count);
  }
  return [...names];
}

async function countTaken(redis: Redis, keys: Keys, names: readonly string[]): Promise<number[]> {
  if (names.length === 0) return [];
  const counts = await redis.hmget(keys.permitsTaken, ...names);
  return counts.map((count) => Number(count) || 0);
}

interface Held {
  readonly tokens: string[];
  max: number | null;
}

/** Finds up to `each` entries that hold permits of each of the named limits. */
async function findHolders(
  redis: Redis,
  keys: Keys,
  { names, each }: { readonly names: ReadonlySet<string>; readonly each: number },
): Promise<Map<string, Held>> {
  const held = new Map<string, Held>([...names].map((name) => [name, { tokens: [], max: null }]));
  let cursor = '0';
  let looked = 0;
  do {
    const [next, page] = await redis.hscan(keys.permits, cursor, 'COUNT', BATCH_ITEMS);
    for (let i = 0; i + 1 < page.length; i += 2) {
      for (const { limit, max } of permitsOf(page[i + 1]!)) {
        const found = held.get(limit);
        if (!found) continue;
        found.max = max;
        if (found.tokens.length < each) found.tokens.push(page[i]!);
      }
    }
    looked += page.length / 2;
    cursor = next;
  } while (cursor !== '0' && looked < MOST_HOLDERS);
  return held;
}

async function readLine(
  redis: Redis,
  keys: Keys,
  limit: string,
  each: number,
): Promise<{ readonly waiting: number; readonly waiters: readonly Listed[] }> {
  const criteria = { task: '', states: ['queued'], test: null } as const;
  const first = { limit, score: '', member: '', criteria, wanted: each };
  const waiting = await redis.zcard(keys.limit(limit));
  return { waiting, waiters: waiting > 0 && each > 0 ? (await listParked(redis, keys, first)).found : [] };
}

async function identifyHolders(redis: Redis, keys: Keys, tokens: readonly string[]): Promise<Holder[]> {
  if (tokens.length === 0) return [];
  const [identities, readers] = await Promise.all([
    identify(
      redis,
      keys,
      tokens.map((token) => LETTER.entry + token),
    ),
    Promise.all(tokens.map((token) => readerOf(redis, keys, token))),
  ]);
  return identities.flatMap((identity, i) => (identity ? [{ ...identity, reader: readers[i]! }] : []));
}

async function readerOf(redis: Redis, keys: Keys, token: string): Promise<string | null> {
  const stream = keys[streamNamed(token[0])!];
  const [pending] = (await redis.xpending(stream, GROUP, token.slice(1), token.slice(1), 1)) as [string, string][];
  return pending ? workerNameOf(pending[1]) : null;
}
