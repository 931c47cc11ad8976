// Decides which tests are run with which mutants, and in which order of files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COPY } from './sandbox.js';

/** Longer tests are only used where there are no others. */
const LONGEST_MS = 1500;

const nameOf = ({ file, name }) => `${file} > ${name}`;

/**
 * Returns the tests for a mutant, likely and cheap ones first: one of each file, then a second of each, and so on.
 * Tests of a file that share a worker come last, because a mutant may break it for all of them.
 */
export function testsFor(mutant, tests) {
  const all = byStatement(tests).get(mutant.statement) ?? [];
  const short = all.filter(({ ms }) => ms <= LONGEST_MS);
  const byFile = new Map();
  for (const test of short.length > 0 ? short : all) {
    if (!byFile.has(test.file)) byFile.set(test.file, []);
    byFile.get(test.file).push(test);
  }
  const ranked = [...byFile.values()].flatMap((ofFile) =>
    ofFile
      .sort((one, other) => one.ms - other.ms)
      .map((test, round) => ({
        name: nameOf(test),
        file: test.file,
        ms: test.ms,
        round: round + (shares(test.file) ? 100 : 0),
      })),
  );
  return ranked.sort((one, other) => one.round - other.round || one.ms - other.ms);
}

/**
 * Returns the plan for some mutants: `tests` with the ids of their mutants, `mutants` by id, `files` in order, and
 * `longestMs` of a test.
 */
export function planFor(mutants, tests, { known, most, unusable }) {
  const plan = { tests: {}, mutants: {}, files: [], longestMs: 0 };
  const weights = new Map(); // how much a file may decide, for the time that its tests take
  for (const mutant of mutants) {
    const done = known.get(mutant.id)?.survived ?? new Set();
    const chosen = testsFor(mutant, tests)
      .slice(0, most)
      .filter(({ name }) => !done.has(name) && !(unusable.get(name) > 1));
    for (const [rank, { name, file, ms }] of chosen.entries()) {
      plan.tests[name] ??= [];
      plan.tests[name].push(mutant.id);
      plan.longestMs = Math.max(plan.longestMs, ms);
      plan.mutants[mutant.id] = { file: mutant.file, source: mutant.source };
      weights.set(file, (weights.get(file) ?? 0) + 1 / (rank + 1) / (ms + 20) - (shares(file) ? 1 : 0));
    }
  }
  plan.files = [...weights].sort(([, one], [, other]) => other - one).map(([file]) => file);
  return plan;
}

const sharing = new Map();
function shares(file) {
  if (!sharing.has(file)) {
    sharing.set(file, /shareWorker\(|\bbeforeAll\(/.test(readFileSync(join(COPY, file), 'utf8')));
  }
  return sharing.get(file);
}

const indexes = new Map();
function byStatement(tests) {
  if (!indexes.has(tests)) {
    const index = new Map();
    for (const test of tests) {
      for (const name of test.ran) {
        if (!index.has(name)) index.set(name, []);
        index.get(name).push(test);
      }
    }
    indexes.set(tests, index);
  }
  return indexes.get(tests);
}
