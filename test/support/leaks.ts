/** Checks that a docket leaves nothing behind in Redis for ever. */

import type { Redis } from 'ioredis';
import { STREAM_NAMES } from './built.js';

/** The keys of a docket that live as long as it does. */
const PERMANENT_KEYS: readonly string[] = [...STREAM_NAMES, 'generation', 'workers', 'strikes', 'layout'];

export interface LeakCheck {
  /** Whether work may be left: its records and the schedule live until it is done. */
  readonly mayLeaveWork?: boolean;
  /** Suffixes of further keys that may live for ever. */
  readonly permanent?: readonly string[];
}

/**
 * Fails when a key with this prefix has no TTL, unless a docket keeps it for ever. It reads the keys as they are: let the
 * docket come to rest first.
 */
export async function assertNoLeaks(redis: Redis, prefix: string, check: LeakCheck = {}): Promise<void> {
  const permanent = new Set([...PERMANENT_KEYS, ...(check.permanent ?? [])]);
  const keys = new Set<string>();
  for await (const page of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    for (const key of page as string[]) keys.add(key);
  }
  const suspects = [...keys].filter((key) => !permanent.has(key.slice(prefix.length)));
  if (suspects.length === 0) return;
  const asked = redis.pipeline();
  for (const key of suspects) asked.pttl(key).type(key);
  const answers = ((await asked.exec()) ?? []).map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
  const pending = new Set(check.mayLeaveWork ? await pendingKeys(redis, prefix) : []);
  // -1: no TTL; -2: gone since the scan.
  const leaks = suspects.flatMap((key, i) => {
    const isLeak = answers[2 * i] === -1 && !pending.has(key.slice(prefix.length));
    return isLeak ? [`${key} (${answers[2 * i + 1]})`] : [];
  });
  if (leaks.length > 0) throw new Error(`keys left without a TTL: ${leaks.sort().join(', ')}`);
}

/** Suffixes of the keys that are there for work that is still to be done. */
async function pendingKeys(redis: Redis, prefix: string): Promise<string[]> {
  const scheduled = await redis.zrange(`${prefix}schedule`, '0', '-1');
  const queued: string[] = [];
  for (const stream of STREAM_NAMES) {
    for (const [, fields] of await redis.xrange(`${prefix}${stream}`, '-', '+')) {
      const at = fields.findIndex((field, i) => i % 2 === 0 && field === 'k');
      if (at >= 0) queued.push(fields[at + 1]!);
    }
  }
  const parked = scheduled.map((member) => `${member[0] === 'k' ? 'run' : 'parked'}:${member.slice(1)}`);
  const records = [...parked, ...queued.map((key) => `run:${key}`)];
  return records.length > 0 ? ['schedule', 'chains', ...records] : records;
}
