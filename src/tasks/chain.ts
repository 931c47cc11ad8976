/**
 * Chains as their records describe them, for `docket.schedules()`. Owns the text in the record (`RECORD.chain` in the schema), and
 * works out the next runs.
 */
import { nextRun } from './next-run.js';
import type { ExecutionPolicies } from './overrides.js';
import type { PerpetualData } from './policies.js';

/** The chain that a record describes. */
export interface Chain {
  readonly policy: PerpetualData;
  /** No run is due later than this; `null` when the chain does not end by itself. */
  readonly untilMs: number | null;
  /** Number of runs that are left, the present or pending one included; `null` when they are not counted. */
  readonly runsLeft: number | null;
}

/**
 * Returns the text for the record of an execution; `null` when it is not a run of a chain. Scripts look for two things in it:
 * an interval is the first value, and a policy that is an override says so.
 */
export function chainText({ perpetual, untilMs, runsLeft, isOwnSchedule }: ExecutionPolicies): string | null {
  if (!perpetual) return null;
  const { kind, isAutomatic, ...timing } = perpetual;
  return JSON.stringify({
    ...timing,
    ...(isAutomatic && { isAutomatic }),
    ...(isOwnSchedule && { isOwnSchedule }),
    untilMs,
    runsLeft,
  });
}

/** Reads the text of a record; `null` when it is none. */
export function parseChainText(text: string): Chain | null {
  try {
    const { everyMs, expression, timezone, isAutomatic = false, untilMs = null, runsLeft = null } = JSON.parse(text);
    const policy: PerpetualData =
      expression === undefined
        ? { kind: 'perpetual', everyMs, isAutomatic }
        : { kind: 'cron', expression, timezone, isAutomatic };
    const chain = { policy, untilMs, runsLeft };
    return isSound(chain) ? chain : null;
  } catch {
    return null; // somebody else wrote it
  }
}

function isSound({ policy, untilMs, runsLeft }: Chain): boolean {
  const hasTiming =
    policy.kind === 'perpetual'
      ? Number.isFinite(policy.everyMs) && policy.everyMs >= 0
      : typeof policy.expression === 'string' && typeof policy.timezone === 'string';
  return (
    hasTiming &&
    typeof policy.isAutomatic === 'boolean' &&
    (untilMs === null || isTime(untilMs)) &&
    (runsLeft === null || Number.isSafeInteger(runsLeft))
  );
}

/** Whether a Date can have this time. A long interval leads farther. */
function isTime(ms: unknown): boolean {
  return typeof ms === 'number' && !Number.isNaN(new Date(ms).getTime());
}

/** The run that a record is about. */
export interface PresentRun {
  /** When it was or is due, in server milliseconds. */
  readonly dueMs: number;
  /** Whether it waits for its due time. */
  readonly isScheduled: boolean;
}

/**
 * Returns when the next runs of a chain are due, at most `count`: the present run if it is still pending, and those that follow by
 * the policy. Runs without an interval follow at an unknown time, so they are left out.
 * @param nowMs - the server's time
 */
export function upcomingRuns(chain: Chain, run: PresentRun, nowMs: number, count: number): number[] {
  const { policy, untilMs, runsLeft } = chain;
  const upcoming: number[] = [];
  const isPending = run.isScheduled && run.dueMs > nowMs;
  if (isPending) upcoming.push(run.dueMs);
  const follow = policy.kind === 'cron' || policy.everyMs > 0;
  const left = runsLeft === null ? count : Math.min(count, isPending ? runsLeft : runsLeft - 1);
  for (let dueMs = run.dueMs; follow && upcoming.length < left; ) {
    const next = nextMs(policy, dueMs, nowMs);
    if (next === null || (untilMs !== null && next > untilMs)) break;
    dueMs = next;
    upcoming.push(dueMs);
  }
  return upcoming;
}

/** Returns when the next run is due; `null` when there is none, or when the time zone is unknown here. */
function nextMs(policy: PerpetualData, dueMs: number, nowMs: number): number | null {
  try {
    const next = nextRun(policy, { dueMs }, undefined, nowMs);
    return next !== null && 'atMs' in next && isTime(next.atMs) ? next.atMs : null;
  } catch {
    return null;
  }
}
