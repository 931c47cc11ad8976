// A copy of the built package and of its tests, outside the repository, whose scripts may be changed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSchema } from '../../src/redis/scripts/schema-loader.js';
import { luaNames, substitute } from '../../src/redis/scripts/substitute.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What is known from earlier runs, and the copy. */
export const FOLDER = process.env.DOCKET_MUTANTS ?? join(tmpdir(), 'docket-mutants');
export const COPY = join(FOLDER, 'copy');
/** The file with the plan of one process. */
export const planOf = (part) => join(FOLDER, `plan-${part}.json`);
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const LUA = join(ROOT, 'src/redis/scripts');
const COPIED = ['bin', 'dist', 'docs', 'examples', 'src', 'templates', 'test', 'tools'];
const COPIED_FILES = ['package.json', 'tsconfig.json', 'vitest.config.ts', 'README.md'];

/** The Lua files, by name, as they are in the repository. */
export const luaFiles = new Map(
  readdirSync(LUA)
    .filter((name) => name.endsWith('.lua'))
    .sort()
    .map((name) => [name, readFileSync(join(LUA, name), 'utf8')]),
);

const names = luaNames((await loadSchema()).values);

/**
 * Makes the copy anew, with the scripts as they are. A mutant is often noticed by waiting in vain, so tests may wait
 * for less time.
 */
export function makeCopy({ longestWaitMs = 20_000 } = {}) {
  rmSync(COPY, { recursive: true, force: true });
  mkdirSync(COPY, { recursive: true });
  for (const name of COPIED) cpSync(join(ROOT, name), join(COPY, name), { recursive: true });
  for (const name of COPIED_FILES) cpSync(join(ROOT, name), join(COPY, name));
  symlinkSync(join(ROOT, 'node_modules'), join(COPY, 'node_modules'));
  const waiting = join(COPY, 'test/support/wait.ts');
  writeFileSync(waiting, readFileSync(waiting, 'utf8').replace('timeoutMs = 20_000', `timeoutMs = ${longestWaitMs}`));
}

/** Makes the scripts (sha and source) by name from the Lua files. `finish` may change a script once it is complete. */
export function scriptsOf(files, finish = (text) => text) {
  const problems = [];
  const scripts = {};
  for (const file of files.keys()) {
    if (file.startsWith('_')) continue;
    const source = finish(substitute(file, (name) => files.get(name), names, problems));
    scripts[file.slice(0, -'.lua'.length)] = { sha: createHash('sha1').update(source).digest('hex'), source };
  }
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return scripts;
}

/** Puts scripts into the copy, in a file of their own that each process and thread reads as it starts. */
export function writeScripts(scripts) {
  const target = join(COPY, 'dist/src/redis/scripts.generated.js');
  if (!existsSync(target)) throw new Error(`there is no ${target}: run npm run build first`);
  writeFileSync(
    target,
    [
      "import { readFileSync } from 'node:fs';",
      "const path = process.env.MUTANTS_SCRIPTS ?? new URL('scripts.json', import.meta.url);",
      "export const SCRIPTS = JSON.parse(readFileSync(path, 'utf8'));",
    ].join('\n'),
  );
  writeFileSync(join(COPY, 'dist/src/redis/scripts.json'), JSON.stringify(scripts));
}

/**
 * Starts vitest on the copy. `isUnderWay` is called now and then; when it returns false, everything is ended. Resolves at the end.
 */
export async function runTests(args, env, isUnderWay = () => true) {
  const config = join(COPY, 'tools/mutants/vitest.config.js');
  const child = spawn(
    process.execPath,
    [join(COPY, 'node_modules/vitest/vitest.mjs'), 'run', '--root', COPY, '--config', config, ...args],
    {
      cwd: COPY,
      env: { ...process.env, DOCKET_MUTANTS: FOLDER, ...env }, // tests have a folder for temporary files of their own
      detached: true, // a group of its own, so that it can be ended with its test processes
      stdio: ['ignore', openSync(join(FOLDER, `vitest-${env.MUTANTS_PART ?? 'coverage'}.log`), 'w'), 'inherit'],
    },
  );
  const end = () => endGroup(child.pid);
  process.once('exit', end);
  for (const signal of SIGNALS) process.once(signal, endWithCommand);
  const timer = setInterval(() => isUnderWay() || end(), 1000);
  await new Promise((done) => child.once('exit', done));
  clearInterval(timer);
  process.off('exit', end);
  for (const signal of SIGNALS) process.off(signal, endWithCommand);
}

/** Ends this process in the usual way when a signal comes, so that the command ends with it. */
const endWithCommand = () => process.exit(130);

/** Ends a command with its test processes. Their servers end with them. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
