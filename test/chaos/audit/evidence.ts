/**
 * Whether a run has shown anything. It shows nothing about a promise that it did not put to the test.
 */
import type { History } from '../history.js';
import type { Violation } from './rules.js';

/** Bodies that held permits for so long altogether are seen by one of the samples, which are taken four times a second. */
const SURELY_SAMPLED_MS = 10_000;

export function auditEvidence(history: History): Violation[] {
  const { added, attempts, permits, processes, reads } = history;
  const found: string[] = [];
  const acknowledged = added.filter(({ outcome }) => outcome === 'acknowledged');
  if (acknowledged.length === 0) found.push('nothing was acknowledged');
  const read = new Set(reads.map(({ id }) => id));
  const unread = acknowledged.filter(({ id, key }) => key !== null && !read.has(id));
  if (unread.length > 0)
    found.push(`the states of ${unread.length} executions were never read, as that of ${unread[0]!.id}`);
  const limitedMs = attempts
    .filter(({ limit, endedMs }) => limit !== null && endedMs !== null)
    .reduce((sum, { startedMs, endedMs }) => sum + endedMs! - startedMs, 0);
  if (limitedMs > SURELY_SAMPLED_MS && permits.every(({ taken }) => taken === 0)) {
    found.push(`limited bodies ran for ${limitedMs} ms, and no sample shows a permit that was taken`);
  }
  if (processes.length === 0) found.push('what workers need was never looked at');
  return found.map((what) => ({ rule: 13, what }));
}
