/** Prints the figures of a run, and what the auditor found. */
import { grouped } from './audit/grouped.js';
import { Hits } from './audit/hits.js';
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
  const hits = new Hits(history);
  const unhit = attempts.filter((attempt) => hits.on(attempt).length === 0);
  console.log(
    `no fault would have excused a repeat of ${Math.floor((100 * unhit.length) / attempts.length)} % of them`,
  );
  console.log(`drained ${reachedMs === null ? 'never' : `${reachedMs - beganMs} ms`} after the last fault\n`);
  const repeats = repeatsByFault(duplicates.map(({ faults: [first] }) => first!));
  const rows = [...grouped(faults, ({ fault, name }) => `${fault} ${name}`)].sort(([a], [b]) =>
    a.localeCompare(b, undefined, { numeric: true }),
  );
  const silenceDuring = silences(history);
  for (const [name, windows] of rows) {
    const silent = windows.map(silenceDuring);
    const longest = (what: 'adds' | 'ends') => `${Math.max(...silent.map((silence) => silence[what]))} ms`;
    const again = repeats.get(name) ?? 0;
    console.log(
      `${name.padEnd(60)} ${String(windows.length).padStart(2)} times, ${String(again).padStart(3)} repeats, at most ${longest('adds')} without an add and ${longest('ends')} without an end`,
    );
  }
}

/** The faults during which nothing was acknowledged, or nothing ended, for too long. */
export function slowRecoveries(history: History, allowedMs: number): Violation[] {
  const silenceDuring = silences(history);
  return history.faults.flatMap((window): Violation[] => {
    const { adds, ends } = silenceDuring(window);
    if (Math.max(adds, ends) <= allowedMs) return [];
    return [{ rule: 7, what: `${window.name}: ${adds} ms without an add, ${ends} ms without an end` }];
  });
}

/** For how long nothing was acknowledged, and nothing ended, at a time at which a fault lasted. */
function silences({ added, attempts }: History): (window: FaultWindow) => { adds: number; ends: number } {
  const adds = gapsOf(added.flatMap(({ outcome, settledMs }) => (outcome === 'acknowledged' ? [settledMs] : [])));
  const ends = gapsOf(attempts.flatMap(({ endedMs }) => (endedMs === null ? [] : [endedMs])));
  return ({ beganMs, endedMs }) => {
    const longest = (gaps: readonly Gap[]) =>
      gaps.reduce(
        (most, { fromMs, toMs }) => (fromMs <= endedMs && toMs >= beganMs ? Math.max(most, toMs - fromMs) : most),
        0,
      );
    return { adds: longest(adds), ends: longest(ends) };
  };
}

interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

function gapsOf(times: number[]): Gap[] {
  times.sort((a, b) => a - b);
  return times.slice(1).map((toMs, i) => ({ fromMs: times[i]!, toMs }));
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
