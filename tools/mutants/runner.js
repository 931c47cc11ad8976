// In a test process: runs each test once with every mutant that is planned for it, in place of once. The scripts are replaced
// between two runs, so a mutant costs no more than the test itself.
//
// A test that fails with a mutant is run again without it, and then with it once more. Only a test that fails both times, and
// passes in between, kills the mutant: a machine that stood still makes a test fail once.
//
// If it also fails without the mutant, something was left broken, perhaps by the mutant: the verdict is unclear, and
// the process is given up (mutate-scripts.js). In the next process the test is first run without the mutant. If it
// passes, and fails with the mutant, the mutant is killed, whatever it leaves behind.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TestRunner } from 'vitest';
import { note, verdicts } from './journal.js';
import { includedBy } from './mutants.js';
import { COPY, FOLDER, luaFiles, planOf, scriptsOf } from './sandbox.js';

const built = join(COPY, 'dist/src/redis/scripts');
process.env.MUTANTS_SCRIPTS = `${built}-${process.pid}.json`; // for threads and child processes

const original = scriptsOf(luaFiles);
writeFileSync(process.env.MUTANTS_SCRIPTS, JSON.stringify(original));
const part = Number(process.env.MUTANTS_PART);
const plan = JSON.parse(readFileSync(planOf(part), 'utf8'));
let known = verdicts(FOLDER);
const isDecided = (id) => known.get(id)?.killed !== undefined || known.get(id)?.timedOut !== undefined;

let inUse; // the scripts of this process
let changed = []; // names of those that are not as they should be

async function use(id) {
  inUse ??= (await import(pathToFileURL(`${built}.generated.js`).href)).SCRIPTS;
  for (const name of changed) inUse[name] = original[name];
  const mutant = plan.mutants[id];
  const scripts = mutant ? { ...original, ...scriptsOf(withMutant(mutant)) } : original;
  changed = Object.keys(original).filter((name) => scripts[name].sha !== original[name].sha);
  for (const name of changed) inUse[name] = scripts[name];
  writeFileSync(process.env.MUTANTS_SCRIPTS, JSON.stringify(scripts));
}

/** The Lua files that are needed to make the scripts that a mutant changes. */
function withMutant({ file, source }) {
  const changes = ([name]) => !name.startsWith('_') && includedBy([name.slice(0, -'.lua'.length)]).has(file);
  return new Map([...luaFiles].filter((one) => one[0].startsWith('_') || changes(one)).concat([[file, source]]));
}

const fullName = (task) => (task.suite?.name ? `${fullName(task.suite)} ${task.name}` : task.name);

export default class MutantRunner extends TestRunner {
  async onBeforeRunTask(test) {
    const name = `${relative(COPY, test.file.filepath)} > ${fullName(test)}`;
    if (plan.tests[name]) known = verdicts(FOLDER); // other processes go on, too
    const todo = (plan.tests[name] ?? []).filter((id) => !isDecided(id) && !known.get(id)?.survived.has(name));
    if (test.mode !== 'run' && test.mode !== 'queued') return super.onBeforeRunTask(test);
    if (todo.length === 0) test.mode = 'skip';
    test.repeats = Number.POSITIVE_INFINITY;
    test.retry = 0;
    const unclear = new Set(todo.filter((id) => known.get(id)?.unclear.has(name)));
    this.state = { name, todo, unclear, needsCheck: false, isChecked: false };
    return super.onBeforeRunTask(test);
  }

  async onBeforeTryTask(test) {
    const { state } = this;
    // Vitest goes on without `onAfterRetryTask` when it meets an error that it cannot describe.
    if (state.isTried === false) this.#conclude(test);
    const isCheck =
      state.todo.length === 0 || state.needsCheck || (state.unclear.has(state.todo[0]) && !state.isChecked);
    state.id = isCheck ? undefined : state.todo[0];
    state.isTried = false;
    note(FOLDER, { part, process: process.pid, begun: state.id ?? 'none', test: state.name });
    await use(state.id);
    test.result.state = 'run';
    test.result.errors = undefined;
    return super.onBeforeTryTask(test);
  }

  async onAfterRetryTask(test) {
    const { state } = this;
    this.#conclude(test);
    if (state.todo.length > 0 || state.needsCheck) return;
    await use(undefined);
    test.result.state = 'skip'; // ends the repetitions
  }

  /** The test has run, with a mutant or without. */
  #conclude(test) {
    const { state } = this;
    const hasFailed = test.result.state === 'fail';
    const error = test.result.errors?.[0]?.message?.slice(0, 300);
    state.isTried = true;
    if (state.id === undefined) {
      this.#afterCheck(hasFailed, error);
      return;
    }
    const isSecond = state.failed !== undefined || state.unclear.has(state.id);
    state.failed = hasFailed ? { error, isSecond } : undefined;
    state.needsCheck = hasFailed;
    state.isChecked = false;
    if (!hasFailed) this.#decide('survived');
  }

  /** The test has run without a mutant. */
  #afterCheck(hasFailed, error) {
    const { state } = this;
    const { failed } = state;
    state.needsCheck = false;
    state.isChecked = !hasFailed;
    if (failed && (failed.isSecond || hasFailed)) {
      state.failed = undefined;
      this.#decide(failed.isSecond ? 'killed' : 'unclear', failed.error);
    }
    if (!hasFailed) return;
    note(FOLDER, {
      part,
      process: process.pid,
      givenUp: true,
      test: state.name,
      isBroken: failed === undefined,
      error,
    });
    state.todo.length = 0;
  }

  /** Notes what became of the mutant whose turn it is. */
  #decide(result, error) {
    const id = this.state.todo.shift();
    note(FOLDER, { part, process: process.pid, id, test: this.state.name, result, ...(error && { error }) });
    if (result === 'killed') known.set(id, { killed: true });
  }
}
