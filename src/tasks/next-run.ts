/** Decides when a perpetual task runs next: by its policy, unless its body has overridden that. */
import type { Due } from '../core/due.js';
import { nextCronMs } from './cron.js';
import type { ExecutionPolicies } from './overrides.js';
import type { PerpetualData } from './policies.js';

/** What the body of a perpetual task has changed about its next run. Everything that it did not set follows the policy. */
export interface NextRunOverride {
  /** Interval to use instead of the policy's, in milliseconds. */
  readonly everyMs?: number;
  /** When the next run is due, instead of after an interval. */
  readonly due?: Due;
  /** Encoded arguments to use instead of this run's. */
  readonly args?: Uint8Array;
  /** There is no next run: the chain ends. */
  readonly isEnded?: true;
}

/**
 * Decides when the next run is due; `null` ends the chain.
 *
 * Intervals count from the due time of this run, not from its end, so they do not drift: due times are points of a grid,
 * and the next run is due at the first of them after now. Points that have passed are skipped, so a late run is not followed
 * by another at once. A cron expression is matched after the due time as well, so that a local clock behind the server's
 * does not find the match that this run was for.
 *
 * @param run - `dueMs` is when this run was due; it is kept through retries and redeliveries
 * @param override - what the body has changed about the next run
 * @param nowMs - the server's time as known here, in milliseconds
 */
export function nextRun(
  policy: PerpetualData,
  run: { readonly dueMs: number },
  override: NextRunOverride | undefined,
  nowMs: number,
): Due | null {
  if (override?.isEnded) return null;
  if (override?.due) return override.due;
  if (override?.everyMs !== undefined) return nextOnGrid(run.dueMs, override.everyMs, nowMs);
  if (policy.kind === 'perpetual') return nextOnGrid(run.dueMs, policy.everyMs, nowMs);
  return { atMs: nextCronMs(policy.expression, policy.timezone, Math.max(nowMs, run.dueMs)) };
}

/**
 * Decides when the run that follows another is due, with everything that can end the chain: its policy, its body, and the
 * overrides `until` and `times`. `null` ends the chain.
 * @param run - `counts` tells whether it is one of the `times` that the chain runs
 */
export function followingRun(
  { perpetual, untilMs, runsLeft }: ExecutionPolicies,
  run: { readonly dueMs: number; readonly counts: boolean },
  override: NextRunOverride | undefined,
  nowMs: number,
): Due | null {
  if (!perpetual || (run.counts && runsLeft === 1)) return null;
  const due = nextRun(perpetual, run, override, nowMs);
  if (due === null || untilMs === undefined) return due;
  const dueMs = 'atMs' in due ? due.atMs : nowMs + due.delayMs;
  return Math.max(nowMs, dueMs) > untilMs ? null : due;
}

/** Without an interval, the next run is due at once. */
function nextOnGrid(dueMs: number, everyMs: number, nowMs: number): Due {
  const passed = everyMs === 0 ? 0 : Math.max(0, Math.floor((nowMs - dueMs) / everyMs));
  return { atMs: dueMs + (passed + 1) * everyMs };
}

/** Returns the timing of a policy as stable text. A deploy that changes it retimes the pending run. */
export function fingerprintOf(policy: PerpetualData): string {
  return policy.kind === 'cron' ? `cron ${policy.expression} ${policy.timezone}` : `every ${policy.everyMs}`;
}
