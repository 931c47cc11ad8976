/** When a perpetual task runs next: by its policy, unless its body said otherwise. */
import type { NextRun } from '../core/protocol.js';
import { nextCronMs } from '../tasks/cron.js';
import type { PerpetualData } from '../tasks/policies.js';

/** On the server's clock; a time that has passed means now. */
export type NextDue = { readonly atMs: number } | { readonly delayMs: number };

/**
 * Decides when the next run is due; `null` ends the chain.
 *
 * Intervals count from the due time of this run, not from its end, so they do not drift; the server takes its own time
 * when that has passed, so what was missed is not caught up. A cron's next match is searched after the due time too, so
 * that a clock here that is behind the server's does not find the match this run was for.
 *
 * @param run - `dueMs` is when this run was due, kept through its retries and redeliveries
 * @param said - what the body said of the next run
 * @param nowMs - the time here; only cron expressions use it
 */
export function nextRun(
  policy: PerpetualData,
  run: { readonly dueMs: number },
  said: NextRun | undefined,
  nowMs: number,
): NextDue | null {
  if (said?.isEnded) return null;
  if (said?.due) return said.due;
  if (said?.everyMs !== undefined) return { atMs: run.dueMs + said.everyMs };
  if (policy.kind === 'perpetual') return { atMs: run.dueMs + policy.everyMs };
  return { atMs: nextCronMs(policy.expression, policy.timezone, Math.max(nowMs, run.dueMs)) };
}

/** What decides on the times of a task, as stable text: a deploy that changes it times the pending run anew. */
export function fingerprintOf(policy: PerpetualData): string {
  return policy.kind === 'cron' ? `cron ${policy.expression} ${policy.timezone}` : `every ${policy.everyMs}`;
}
