/** What became of each execution, by the sets of their names: none lost, none run too often, too early or after its end. */
import type { Added, Attempt, FaultWindow, History, Loss } from '../history.js';
import { grouped } from './grouped.js';
import type { Hits } from './hits.js';
import type { Violation } from './rules.js';

/** A start that had a predecessor, and the fault that explains it. */
export interface Duplicate {
  readonly id: string;
  readonly faults: readonly FaultWindow[];
}

/** What was stopped may start for as long as a message takes, if a worker had it. */
const MESSAGE_TAKES_MS = 3_000;

/** Times of docket and of the history are rounded to milliseconds. */
const ROUNDING_MS = 1;

export interface ExecutionsAudit {
  readonly violations: Violation[];
  readonly duplicates: Duplicate[];
}

export function auditExecutions({ added, attempts, retryDelayMs }: History, hits: Hits): ExecutionsAudit {
  const violations: Violation[] = [];
  const duplicates: Duplicate[] = [];
  const byId = grouped(attempts, ({ id }) => id);
  for (const one of added) {
    const own = byId.get(one.id) ?? [];
    byId.delete(one.id);
    violations.push(...lossOf(one, own, hits), ...timesOf(one, own, hits), ...attemptsOf(one, own));
    violations.push(...hastyRetriesOf(one, own, retryDelayMs));
    for (const run of runsOf(one, own).values()) {
      for (const same of grouped(run, ({ attempt }) => attempt).values()) {
        const repeated = repetitionOf(one.id, same, hits);
        violations.push(...repeated.violations);
        duplicates.push(...repeated.duplicates);
      }
    }
  }
  for (const id of byId.keys()) violations.push({ rule: 3, what: `${id} ran, and nobody has added it` });
  return { violations, duplicates };
}

/** The attempts of each run. Only chains have several, and each run of one is due at another time. */
function runsOf({ shape }: Added, attempts: readonly Attempt[]): Map<number, Attempt[]> {
  return grouped(attempts, ({ whenMs }) => (shape === 'chain' ? whenMs : 0));
}

function lossOf(one: Added, attempts: readonly Attempt[], hits: Hits): Violation[] {
  const { id, outcome, runs, settledMs, stopped } = one;
  if (outcome === 'refused') {
    return attempts.length === 0
      ? []
      : [{ rule: 11, what: `${id} ran although its add said that nothing was written` }];
  }
  const finished = [...runsOf(one, attempts).values()].filter((run) => run.some((attempt) => isLast(one, attempt)));
  const excess = finished.length - runs;
  if (excess > 0 && !attempts.some((attempt) => hits.mayHaveLost(attempt.endedMs ?? Infinity, ['effects', 'recent']))) {
    return [{ rule: 3, what: `${id} had ${finished.length} runs, ${excess} more than it was added for` }];
  }
  // What was taken up must be brought to its end, whatever the producer was told.
  const isOwed = (outcome === 'acknowledged' || attempts.length > 0) && stopped === null;
  const losses: readonly Loss[] =
    outcome === 'acknowledged' ? ['recent', 'everything'] : ['effects', 'recent', 'everything'];
  if (!isOwed || excess >= 0 || hits.mayHaveLost(settledMs, losses)) return [];
  const seen = attempts.length === 0 ? 'it never started' : `${attempts.length} attempts started`;
  return [{ rule: 1, what: `${id} was ${outcome} and ended ${finished.length} of ${runs} runs: ${seen}` }];
}

function isLast({ shape, attempts }: Added, { attempt, endedMs }: Attempt): boolean {
  return endedMs !== null && (shape === 'hostile' || attempt === attempts);
}

function timesOf({ id, dueMs, stopped }: Added, attempts: readonly Attempt[], hits: Hits): Violation[] {
  return attempts.flatMap(({ startedMs, whenMs }): Violation[] => {
    const due = Math.max(whenMs, dueMs ?? 0);
    const early = due - startedMs;
    if (early > ROUNDING_MS) return [{ rule: 5, what: `${id} started ${early} ms before it was due` }];
    if (stopped === null || stopped.how === 'perhaps') return [];
    if (hits.mayHaveLost(stopped.settledMs, ['effects', 'recent', 'everything'])) return [];
    const late = startedMs - stopped.settledMs;
    const allowed = stopped.settledMs < (dueMs ?? 0) ? 0 : MESSAGE_TAKES_MS;
    return late > allowed ? [{ rule: 5, what: `${id} started ${late} ms after it was ${stopped.how}` }] : [];
  });
}

/** Each attempt comes to its end before the next one, so none was used up by a fault. */
function attemptsOf({ id, shape, attempts: allowed }: Added, attempts: readonly Attempt[]): Violation[] {
  const most = attempts.reduce((largest, { attempt }) => Math.max(largest, attempt), 0);
  if (most > allowed) return [{ rule: 8, what: `${id} had attempt ${most}, and should have had ${allowed}` }];
  if (shape === 'hostile') return []; // its first attempt ends with its thread
  const whole = new Set(attempts.filter(({ endedMs }) => endedMs !== null).map(({ attempt }) => attempt));
  for (let earlier = 1; earlier < most; earlier++) {
    if (!whole.has(earlier))
      return [{ rule: 8, what: `${id} had attempt ${most}, and attempt ${earlier} never ended` }];
  }
  return [];
}

/** An attempt that follows one that failed starts so much later at the earliest. */
function hastyRetriesOf({ id, shape }: Added, attempts: readonly Attempt[], delayMs: number): Violation[] {
  if (shape !== 'retried' && shape !== 'failing') return [];
  return attempts.flatMap(({ attempt, startedMs }): Violation[] => {
    const before = attempts.filter((other) => other.attempt === attempt - 1 && other.endedMs !== null);
    const firstEndMs = Math.min(...before.map(({ endedMs }) => endedMs!));
    if (before.length === 0 || startedMs - firstEndMs >= delayMs - ROUNDING_MS) return [];
    return [{ rule: 5, what: `${id} was tried again ${startedMs - firstEndMs} ms after an attempt had failed` }];
  });
}

/** Of several starts of one attempt, all but one must have been hit by a fault, which began before one of the others started. */
function repetitionOf(id: string, starts: readonly Attempt[], hits: Hits): ExecutionsAudit {
  if (starts.length === 1) return { violations: [], duplicates: [] };
  const causes = starts
    .map((start) => hits.on(start, lastOf(starts.filter((other) => other !== start))))
    .filter((faults) => faults.length > 0);
  const missing = starts.length - 1 - causes.length;
  const duplicates = causes.slice(0, starts.length - 1).map((faults) => ({ id, faults }));
  if (missing <= 0) return { violations: [], duplicates };
  const where = starts.map(({ worker, startedMs, attempt }) => `attempt ${attempt} on ${worker} at ${startedMs}`);
  const what = `${id} started ${starts.length} times, ${missing} without a fault that hit it: ${where.join(', ')}`;
  return { violations: [{ rule: 2, what }], duplicates };
}

function lastOf(starts: readonly Attempt[]): number {
  return Math.max(...starts.map(({ startedMs }) => startedMs));
}
