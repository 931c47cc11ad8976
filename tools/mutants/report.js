// Says what became of the mutants.
import { readFileSync } from 'node:fs';
import { testsFor } from './planning.js';

const acceptedIn = new URL('../mutants-accepted.json', import.meta.url);

/** Prints a table, and each mutant that survived. Returns the exit code. */
export function report({ mutants, all, tests, known, most, isDetailed }) {
  const accepted = new Map(JSON.parse(readFileSync(acceptedIn, 'utf8')).map((one) => [one.mutant, one.why]));
  const rows = new Map();
  const problems = [...accepted.keys()]
    .filter((id) => !all.some((mutant) => mutant.id === id))
    .map((id) => `mutants-accepted.json: there is no mutant ${id}`);
  for (const mutant of mutants) {
    const fate = fateOf(mutant, { tests, verdict: known.get(mutant.id), accepted, most });
    if (!rows.has(mutant.file)) rows.set(mutant.file, {});
    const row = rows.get(mutant.file);
    row[fate.kind] = (row[fate.kind] ?? 0) + 1;
    if (isDetailed) console.log(`${mutant.file}:${mutant.line} ${mutant.id}\n    ${fate.kind}: ${fate.detail}`);
    else if (fate.isProblem)
      problems.push(`${mutant.file}:${mutant.line} ${mutant.id}\n    ${fate.kind}: ${fate.detail}`);
  }
  console.log(table(rows));
  if (problems.length > 0) console.log(`\n${problems.join('\n')}`);
  return problems.length > 0 ? 1 : 0;
}

function fateOf(mutant, { tests, verdict, accepted, most }) {
  const why = accepted.get(mutant.id);
  const killer = verdict?.killed ?? verdict?.timedOut;
  if (killer && why) return { kind: 'wrongly accepted', detail: `killed by ${killer.test}`, isProblem: true };
  if (verdict?.killed) return { kind: 'killed', detail: `${killer.test}: ${killer.error ?? ''}` };
  if (verdict?.timedOut) return { kind: 'timed out', detail: killer.test };
  if (why) return { kind: 'accepted', detail: why };
  const count = testsFor(mutant, tests).length;
  if (count === 0) return { kind: 'survived', detail: 'no test runs it', isProblem: true };
  const tried = verdict?.survived.size ?? 0;
  const detail = `${tried} of ${count} tests were run, and pass`;
  if (tried < Math.min(most, count)) return { kind: 'not run', detail };
  return { kind: 'survived', detail, isProblem: true };
}

const KINDS = ['killed', 'timed out', 'accepted', 'survived', 'wrongly accepted', 'not run'];

function table(rows) {
  const sum = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
  for (const row of rows.values()) for (const kind of KINDS) sum[kind] += row[kind] ?? 0;
  const lines = [...rows, ['all', sum]].map(([file, row]) => {
    const caught = (row.killed ?? 0) + (row['timed out'] ?? 0);
    const all = caught + (row.survived ?? 0);
    const rate = all > 0 ? `${((100 * caught) / all).toFixed(1)} %` : '';
    return `| ${[file, ...KINDS.map((kind) => row[kind] ?? ''), rate].join(' | ')} |`;
  });
  const head = ['file', ...KINDS, 'caught'];
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n');
}
