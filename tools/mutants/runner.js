// In a test process: runs each test once with every mutant that is planned for it, in place of once. The scripts are replaced
// between two runs, so a mutant costs no more than the test itself.
//
// A test that fails is run again without a mutant. If it fails then, too, something was left broken, perhaps by the mutant: the
// verdict is unclear, and the process is given up (mutate-scripts.js). With such a mutant the test is first run without it next time,
// in a new process.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TestRunner } from 'vitest';
import { note, verdicts } from './journal.js';
import { includedBy } from './mutants.js';
import { COPY, FOLDER, luaFiles, scriptsOf } from './sandbox.js';

const built = join(COPY, 'dist/src/redis/scripts');
process.env.MUTANTS_SCRIPTS = `${built}-${process.pid}.json`; // for threads and child processes

const original = scriptsOf(luaFiles);
writeFileSync(process.env.MUTANTS_SCRIPTS, JSON.stringify(original));
const plan = JSON.parse(readFileSync(join(FOLDER, 'plan.json'), 'utf8'));
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
    this.state = { name, todo, needsCheck: todo.some((id) => known.get(id)?.unclear.has(name)), isChecked: false };
    return super.onBeforeRunTask(test);
  }

  async onBeforeTryTask(test) {
    const { state } = this;
    state.id = state.needsCheck ? undefined : state.todo[0];
    note(FOLDER, { process: process.pid, begun: state.id ?? 'none', test: state.name });
    await use(state.id);
    test.result.state = 'run';
    test.result.errors = undefined;
    return super.onBeforeTryTask(test);
  }

  async onAfterRetryTask(test) {
    const { state } = this;
    const hasFailed = test.result.state === 'fail';
    const error = test.result.errors?.[0]?.message?.slice(0, 300);
    if (state.id === undefined) this.#afterCheck(hasFailed, error);
    else {
      state.todo.shift();
      state.needsCheck = hasFailed;
      if (hasFailed) state.failed = { id: state.id, error, isCertain: state.isChecked };
      else this.#decide(state.id, 'survived');
    }
    if (state.todo.length > 0 || state.needsCheck) return;
    await use(undefined);
    test.result.state = 'skip'; // ends the repetitions
  }

  /** The test has run without a mutant. */
  #afterCheck(hasFailed, error) {
    const { state } = this;
    const { failed } = state;
    state.needsCheck = false;
    state.isChecked = !hasFailed;
    state.failed = undefined;
    if (failed) this.#decide(failed.id, hasFailed && !failed.isCertain ? 'unclear' : 'killed', failed.error);
    if (!hasFailed) return;
    note(FOLDER, { process: process.pid, givenUp: true, test: state.name, isBroken: failed === undefined, error });
    state.todo.length = 0;
  }

  #decide(id, result, error) {
    note(FOLDER, { process: process.pid, id, test: this.state.name, result, ...(error && { error }) });
    if (result === 'killed') known.set(id, { killed: true });
  }
}
