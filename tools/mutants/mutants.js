// The mutants of the scripts, each with an id that stays when other lines of its file change, and their scripts.
import { mutationsOf, statementAt, statementsOf } from './mutations.js';
import { luaFiles } from './sandbox.js';

/** The scripts that the check is about. */
const SCRIPTS = [
  'admit',
  'claim',
  'clear-parked',
  'clear-queued',
  'move-due',
  'redeliver',
  'schedule',
  'settle',
  'sweep',
];

/** Returns all mutants of the scripts and of what they include. */
export function allMutants() {
  return [...includedBy(SCRIPTS)].flatMap((file) => mutantsOf(file, luaFiles.get(file)));
}

/** Returns the mutants of one file. `statement` is the place that was marked for coverage. */
function mutantsOf(file, source) {
  const seen = new Map();
  const statements = statementsOf(source);
  return mutationsOf(source).map(({ kind, line, column, before, source: mutated }) => {
    const name = `${file.replace(/\.lua$/, '')} ${kind} ${before}`;
    const number = (seen.get(name) ?? 0) + 1;
    seen.set(name, number);
    return {
      id: number === 1 ? name : `${name} (${number})`,
      file,
      line,
      statement: `${file} ${statementAt(statements, line, column)}`,
      source: mutated,
    };
  });
}

/** Returns the names of the files of scripts and of all that they include, at any depth. */
export function includedBy(scripts) {
  const files = new Set();
  const add = (file) => {
    if (files.has(file)) return;
    files.add(file);
    for (const [, included] of luaFiles.get(file).matchAll(/^\s*--@include (\w+)$/gm)) add(`_${included}.lua`);
  };
  for (const script of scripts) add(`${script}.lua`);
  return files;
}
