/** Whether limits held: by the permits in Redis, and by the bodies that ran at the same time. */
import type { Attempt, History } from '../history.js';
import { grouped } from './grouped.js';
import type { Hits } from './hits.js';
import type { Violation } from './rules.js';

export function auditLimits({ limits, permits, attempts, quiescence }: History, hits: Hits): Violation[] {
  const most = Math.max(...Object.values(limits));
  const taken = permits
    .filter((sample) => sample.taken > most)
    .map(({ limit, taken, atMs }) => `${taken} of ${most} permits of ${limit} were taken at ${atMs}`);
  const left = Object.entries(quiescence.permits).map(
    ([limit, count]) => `${count} permits of ${limit} are taken although nothing runs`,
  );
  const limited = attempts.filter(({ limit }) => limit !== null);
  const crowds = [...grouped(limited, ({ limit }) => limit!)].flatMap(([limit, own]) =>
    crowdsAt(limit, limits[limit] ?? most, own, hits),
  );
  return [...taken, ...left, ...crowds].map((what) => ({ rule: 4, what }));
}

/**
 * Where more bodies ran at once than the limit allows. An attempt that a fault hit may have lost its lease, and its permit with it,
 * so it does not count.
 */
function crowdsAt(limit: string, max: number, attempts: readonly Attempt[], hits: Hits): string[] {
  const sound = attempts.filter((attempt) => attempt.endedMs !== null && hits.on(attempt).length === 0);
  const changes = sound.flatMap(({ startedMs, endedMs, id }) => [
    { atMs: startedMs, by: 1, id },
    { atMs: endedMs!, by: -1, id },
  ]);
  // The end of a body is recorded before its permit is released: so ends come first.
  changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let running = 0;
  const crowds: string[] = [];
  for (const { atMs, by, id } of changes) {
    running += by;
    if (by > 0 && running > max) crowds.push(`${id} was number ${running} of ${max} in ${limit} at ${atMs}`);
  }
  return crowds;
}
