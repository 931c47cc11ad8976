/**
 * Checks that the tests notice when a rule is taken out of a script: leaves out one statement of the Lua files at a
 * time, or negates one condition, and runs tests that use that statement. It needs `dist` and redis-server, and changes
 * nothing in the repository. What it finds out is kept in a folder for temporary files (DOCKET_MUTANTS), and a later
 * run goes on from there. That a mutant survives a test is forgotten when the file of the test changes. Where tests or
 * scripts were added, first find out what they run (`--coverage`).
 *
 *   node tools/mutate-scripts.js                          all mutants
 *   node tools/mutate-scripts.js --script settle,_rates   those of some Lua files
 *   node tools/mutate-scripts.js --script settle --line 7 those of one line, with what became of each
 *   node tools/mutate-scripts.js test/behaviour/x.test.ts all mutants, with the tests of some files only
 *
 *   --sample N    no more than N mutants, spread over all files
 *   --tests N     run no more than N tests with each mutant (12)
 *   --parts N     run N processes at once, each with a part of the mutants (2): tests wait for most of their time
 *   --list        show what is known, and run nothing
 *   --coverage    find out anew which statements the tests use, of all files or of those that are named
 *   --again       forget the verdicts of the chosen mutants first
 *
 * Exits with 1 when a mutant survives that mutants-accepted.json does not name, or when that file names one that is killed or does
 * not exist.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { coverage } from './mutants/coverage.js';
import { events, forget, note, sizeOf, verdicts } from './mutants/journal.js';
import { allMutants } from './mutants/mutants.js';
import { planFor } from './mutants/planning.js';
import { report } from './mutants/report.js';
import { FOLDER, luaFiles, makeCopy, planOf, runTests, scriptsOf, writeScripts } from './mutants/sandbox.js';

/** No test takes as long as this; a mutant may hold a server for ever. */
const LONGEST_MS = 90_000;

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    script: { type: 'string' },
    line: { type: 'string' },
    sample: { type: 'string' },
    tests: { type: 'string', default: '12' },
    parts: { type: 'string', default: '2' },
    list: { type: 'boolean' },
    coverage: { type: 'boolean' },
    again: { type: 'boolean' },
  },
});

mkdirSync(FOLDER, { recursive: true });
const all = allMutants();
const chosen = choose(all);
const found = await coverage({ isFresh: options.coverage, files });
if (options.again) forget(FOLDER, new Set(chosen.map(({ id }) => id)));
const unusable = new Map(); // how often each test has failed without a mutant
if (!options.list) {
  makeCopy({ longestWaitMs: 4_000 });
  writeScripts(scriptsOf(luaFiles));
  await Promise.all(
    Array.from({ length: Number(options.parts) }, async (_, part) => {
      const mutants = chosen.filter((_, i) => i % options.parts === part);
      while (await runSome(mutants, part));
    }),
  );
}
process.exitCode = report({
  ...{ mutants: chosen, all, tests: found, known: verdicts(FOLDER) },
  ...{ most: Number(options.tests), isDetailed: options.line !== undefined },
});

function choose(mutants) {
  const names = options.script?.split(',').map((name) => `${name}.lua`);
  const some = mutants.filter(
    ({ file, line }) => (!names || names.includes(file)) && (!options.line || line === Number(options.line)),
  );
  if (!options.sample || some.length <= Number(options.sample)) return some;
  return Array.from({ length: Number(options.sample) }, (_, i) => some[Math.floor((i * some.length) / options.sample)]);
}

/**
 * Runs tests with those mutants that are not decided yet, until all are or a process is given up. Returns whether any
 * test was run.
 */
async function runSome(mutants, part) {
  const known = verdicts(FOLDER);
  const open = mutants.filter(({ id }) => !known.get(id)?.killed && !known.get(id)?.timedOut);
  const usable = files.length > 0 ? found.filter(({ file }) => files.includes(file)) : found;
  const plan = planFor(open, usable, { known, unusable, most: Number(options.tests) });
  if (plan.files.length === 0) return false;
  writeFileSync(planOf(part), JSON.stringify(plan));
  const before = sizeOf(FOLDER);
  const last = new Map(); // the last event of each process, and when it was seen
  let [seen, isGivenUp] = [before, false];
  // Many mutants are noticed only when a test waits in vain.
  const timeoutMs = 3_000 + 3 * plan.longestMs;
  const env = {
    MUTANTS_ORDER: JSON.stringify(plan.files),
    MUTANTS_TEST_TIMEOUT: String(timeoutMs),
    MUTANTS_PART: String(part),
  };
  await runTests(plan.files, env, () => {
    if (isGivenUp) return false;
    const from = seen;
    seen = sizeOf(FOLDER);
    for (const event of eventsOf(part, from)) {
      last.set(event.process, { ...event, at: Date.now() });
      if (!event.givenUp) continue;
      if (event.isBroken) unusable.set(event.test, (unusable.get(event.test) ?? 0) + 1);
      isGivenUp = true;
    }
    for (const { begun, test, at } of last.values()) {
      if (begun === undefined || Date.now() - at < LONGEST_MS) continue;
      if (begun !== 'none') note(FOLDER, { id: begun, test, result: 'timed out' });
      isGivenUp = true;
    }
    return !isGivenUp;
  });
  return eventsOf(part, before).length > 0;
}

function eventsOf(part, from) {
  return events(FOLDER, from).filter((event) => event.part === part);
}
