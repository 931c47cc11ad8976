/**
 * Reads and writes the list of strikes: one hash, read as a whole, with the version of the list in a field of its own.
 * Nothing else is stored: after ten thousand strikes and restores, the present strikes and that field remain.
 */
import type { Redis } from 'ioredis';
import { parseStrike, type Strike } from '../wire/strikes.js';
import type { Keys } from './keys.js';
import type { ListChange, ListSource } from './list-follower.js';
import { CHANGE, STRIKES } from './schema.js';
import { runScript } from './script.js';
import { storedTime } from './stored-time.js';

/** The list at one moment. */
export interface StrikeSnapshot {
  readonly strikes: readonly Strike[];
  /** Grows with each change; '' before the first one. */
  readonly version: string;
}

/** Returns the list for a follower. */
export function strikeSource(redis: Redis, keys: Keys): ListSource<Strike> {
  const load = async () => {
    const { strikes, version } = await loadStrikes(redis, keys);
    return { items: strikes, version };
  };
  return {
    channel: keys.strikeChanges,
    load,
    loadChanged: async (version) => {
      const latest = await strikesVersion(redis, keys);
      return latest === version ? null : await load();
    },
    parseChange,
  };
}

/** Reads the version of the strikes; '' before the first one. */
export async function strikesVersion(redis: Redis, keys: Keys): Promise<string> {
  return (await redis.hget(keys.strikes, STRIKES.version)) ?? '';
}

/** Reads the whole list. */
export async function loadStrikes(redis: Redis, keys: Keys): Promise<StrikeSnapshot> {
  const { [STRIKES.version]: version = '', ...fields } = await redis.hgetall(keys.strikes);
  const strikes = Object.keys(fields).map(parseStrike);
  return { strikes: strikes.filter((strike) => strike !== null), version };
}

/** A strike, and when it was made, in server milliseconds. */
export interface DatedStrike {
  readonly strike: Strike;
  readonly sinceMs: number;
}

/** Reads the strikes that this version understands, in the order of their canonical texts. */
export async function listStrikes(redis: Redis, keys: Keys): Promise<DatedStrike[]> {
  const fields = Object.entries(await redis.hgetall(keys.strikes)).sort(([a], [b]) => (a < b ? -1 : 1));
  return fields.flatMap(([field, since]) => {
    const strike = field === STRIKES.version ? null : parseStrike(field);
    return strike ? [{ strike, sinceMs: storedTime(since) ?? 0 }] : [];
  });
}

/** Adds a strike, and publishes the change to all followers. Does nothing when there was the same one. */
export async function addStrike(redis: Redis, keys: Keys, { field }: Strike): Promise<void> {
  await runScript(redis, 'strike', [keys.strikes], [keys.prefix, CHANGE.strike, field]);
}

/** Removes a strike, and publishes the change to all followers. Returns whether there was one. */
export async function removeStrike(redis: Redis, keys: Keys, { field }: Strike): Promise<boolean> {
  return (await runScript(redis, 'strike', [keys.strikes], [keys.prefix, CHANGE.restore, field])) === 1;
}

/** Reads `<version before> <version> <+ or -><canonical text>`. */
function parseChange(message: string): ListChange<Strike> {
  const first = message.indexOf(' ');
  const second = message.indexOf(' ', first + 1);
  return {
    versionBefore: message.slice(0, first),
    version: message.slice(first + 1, second),
    isAdded: message[second + 1] === CHANGE.strike,
    item: parseStrike(message.slice(second + 2)),
  };
}
