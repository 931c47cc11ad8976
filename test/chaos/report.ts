/** Prints the figures of a run, and what the auditor found. */
import { grouped } from './audit/grouped.js';
import { RULES, type Rule, type Violation } from './audit/rules.js';
import type { Audit } from './auditor.js';
import type { FaultWindow, History } from './history.js';

/** Violations of one rule that are printed. */
const SHOWN = 10;

/** Lines of each worker that are printed after a failed run. */
const LOG_LINES = 40;

export function printFigures(history: History, { duplicates }: Audit): void {
  const { added, attempts, faults, quiescence } = history;
  const outcomes = grouped(added, ({ outcome }) => outcome);
  const count = (outcome: 'acknowledged' | 'refused' | 'uncertain') => outcomes.get(outcome)?.length ?? 0;
  const { beganMs, reachedMs } = quiescence;
  console.log(
    `\nadds: ${count('acknowledged')} acknowledged, ${count('refused')} refused, ${count('uncertain')} uncertain`,
  );
  console.log(`attempts: ${attempts.length}, of which ${duplicates.length} repeated another that a fault had hit`);
  console.log(`drained ${reachedMs === null ? 'never' : `${reachedMs - beganMs} ms`} after the last fault\n`);
  const repeats = repeatsByFault(duplicates.map(({ faults: [first] }) => first!));
  const rows = [...grouped(faults, ({ fault, name }) => `${fault} ${name}`)].sort(([a], [b]) =>
    a.localeCompare(b, undefined, { numeric: true }),
  );
  for (const [name, windows] of rows) {
    const silences = windows.map((window) => silenceOf(history, window));
    const longest = (what: 'adds' | 'ends') => `${Math.max(...silences.map((silence) => silence[what]))} ms`;
    const again = repeats.get(name) ?? 0;
    console.log(
      `${name.padEnd(60)} ${String(windows.length).padStart(2)} times, ${String(again).padStart(3)} repeats, at most ${longest('adds')} without an add and ${longest('ends')} without an end`,
    );
  }
}

/** The faults during which nothing was acknowledged, or nothing ended, for too long. */
export function slowRecoveries(history: History, allowedMs: number): Violation[] {
  return history.faults.flatMap((window) => {
    const { adds, ends } = silenceOf(history, window);
    if (Math.max(adds, ends) <= allowedMs) return [];
    return [{ rule: 7, what: `${window.name}: ${adds} ms without an add, ${ends} ms without an end` }];
  });
}

/** For how long nothing was acknowledged, and nothing ended, at a time at which a fault lasted. */
function silenceOf({ added, attempts }: History, { beganMs, endedMs }: FaultWindow): { adds: number; ends: number } {
  const settled = added.flatMap(({ outcome, settledMs }) => (outcome === 'acknowledged' ? [settledMs] : []));
  const ended = attempts.flatMap((attempt) => (attempt.endedMs === null ? [] : [attempt.endedMs]));
  const longestGap = (times: number[]) => {
    times.sort((a, b) => a - b);
    const gaps = times.slice(1).map((time, i) => ({ fromMs: times[i]!, toMs: time }));
    const during = gaps.filter(({ fromMs, toMs }) => fromMs <= endedMs && toMs >= beganMs);
    return during.reduce((longest, { fromMs, toMs }) => Math.max(longest, toMs - fromMs), 0);
  };
  return { adds: longestGap(settled), ends: longestGap(ended) };
}

function repeatsByFault(faults: readonly FaultWindow[]): Map<string, number> {
  return new Map(
    [...grouped(faults, ({ fault, name }) => `${fault} ${name}`)].map(([name, all]) => [name, all.length]),
  );
}

export function printAudit({ violations }: Audit, logs: Readonly<Record<string, readonly string[]>>): void {
  if (violations.length === 0) return console.log('\nevery promise was kept');
  for (const [rule, broken] of grouped(violations, (violation: Violation): Rule => violation.rule)) {
    console.log(`\nbroken promise ${rule}, ${broken.length} times: ${RULES[rule]}`);
    for (const { what } of broken.slice(0, SHOWN)) console.log(`  ${what}`);
  }
  for (const [worker, lines] of Object.entries(logs)) {
    console.log(`\nthe last lines of ${worker}:`);
    for (const line of lines.slice(-LOG_LINES)) console.log(`  ${line}`);
  }
}
