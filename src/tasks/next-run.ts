/** When a perpetual task runs next: by its policy, unless its body override otherwise. */
import type { Due } from '../core/due.js';
import { nextCronMs } from './cron.js';
import type { PerpetualData } from './policies.js';

/** What the body of a perpetual task override of its next run; what it did not say follows the policy. */
export interface NextRunOverride {
  /** Interval to use instead of the policy's. */
  readonly everyMs?: number;
  /** When it is due, instead of by an interval. */
  readonly due?: Due;
  /** Encoded arguments to use instead of this run's. */
  readonly args?: Uint8Array;
  /** There is none: the chain ends. */
  readonly isEnded?: true;
}

/**
 * Decides when the next run is due; `null` ends the chain.
 *
 * Intervals count from the due time of this run, not from its end, so they do not drift; the server takes its own time
 * when that has passed, so what was missed is not caught up. A cron's next match is searched after the due time too, so
 * that a clock here that is behind the server's does not find the match this run was for.
 *
 * @param run - `dueMs` is when this run was due, kept through its retries and redeliveries
 * @param override - what the body override of the next run
 * @param nowMs - the time here; only cron expressions use it
 */
export function nextRun(
  policy: PerpetualData,
  run: { readonly dueMs: number },
  override: NextRunOverride | undefined,
  nowMs: number,
): Due | null {
  if (override?.isEnded) return null;
  if (override?.due) return override.due;
  if (override?.everyMs !== undefined) return { atMs: run.dueMs + override.everyMs };
  if (policy.kind === 'perpetual') return { atMs: run.dueMs + policy.everyMs };
  return { atMs: nextCronMs(policy.expression, policy.timezone, Math.max(nowMs, run.dueMs)) };
}

/** What decides on the times of a task, as stable text: a deploy that changes it times the pending run anew. */
export function fingerprintOf(policy: PerpetualData): string {
  return policy.kind === 'cron' ? `cron ${policy.expression} ${policy.timezone}` : `every ${policy.everyMs}`;
}
