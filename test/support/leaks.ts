/** Checks that a docket leaves nothing behind in Redis for ever. */

import type { Redis } from 'ioredis';

/** The keys of a docket that live as long as it does. */
const PERMANENT_KEYS: readonly string[] = ['work', 'front', 'generation', 'workers', 'strikes'];

/**
 * Fails when a key of this docket has no TTL, unless its suffix (what follows `{name}:`) is one of `permanent`.
 * It reads the keys as they are: let the docket come to rest first.
 */
export async function assertNoLeaks(
  redis: Redis,
  docketName: string,
  permanent: readonly string[] = PERMANENT_KEYS,
): Promise<void> {
  const prefix = `{${docketName}}:`;
  const keys = new Set<string>();
  for await (const page of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    for (const key of page as string[]) keys.add(key);
  }
  const suspects = [...keys].filter((key) => !permanent.includes(key.slice(prefix.length)));
  const asked = redis.pipeline();
  for (const key of suspects) asked.pttl(key).type(key);
  const answers = ((await asked.exec()) ?? []).map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
  // -1: no TTL; -2: gone since the scan.
  const leaks = suspects.flatMap((key, i) => (answers[2 * i] === -1 ? [`${key} (${answers[2 * i + 1]})`] : []));
  if (leaks.length > 0) throw new Error(`keys left without a TTL: ${leaks.sort().join(', ')}`);
}
