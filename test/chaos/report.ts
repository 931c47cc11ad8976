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
    const recovery = Math.max(...windows.map(({ endedMs }) => recoveryMs(history, endedMs)));
    const again = repeats.get(name) ?? 0;
    console.log(
      `${name.padEnd(60)} ${String(windows.length).padStart(3)} times, ${String(again).padStart(4)} repeats, next end after ${recovery} ms at most`,
    );
  }
}

/** How long it took after a fault until the next body came to its end. */
function recoveryMs({ attempts }: History, afterMs: number): number {
  const next = attempts.reduce((least, { endedMs }) => {
    return endedMs !== null && endedMs >= afterMs ? Math.min(least, endedMs) : least;
  }, Infinity);
  return next === Infinity ? 0 : next - afterMs;
}

function repeatsByFault(faults: readonly FaultWindow[]): Map<string, number> {
  return new Map([...grouped(faults, ({ fault, name }) => `${fault} ${name}`)].map(([name, all]) => [name, all.length]));
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
