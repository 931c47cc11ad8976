/**
 * Writes a plan into its project. Owns two promises: nothing is written when one of the files is there already, unless
 * `force` says so, and nothing is written outside the project, even where one of its folders is a link.
 */
import { existsSync, lstatSync, mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { CommandError } from '../failure.js';
import type { Plan } from './plan.js';

/**
 * Writes the files, and package.json last.
 * @throws CommandError when a file is there already or cannot be written
 */
export function writePlan(folder: string, plan: Plan, force: boolean): void {
  const paths = Object.keys(plan.files);
  try {
    const taken = paths.filter((path) => lstatSync(join(folder, path), { throwIfNoEntry: false }));
    if (taken.length > 0 && !force) {
      throw new CommandError(`nothing was written: --force overwrites ${taken.join(', ')}`);
    }
    makeFolder(folder);
    for (const path of paths) checkInside(folder, path);
    for (const path of paths) writeNew(join(folder, path), plan.files[path]!);
    writeFileSync(join(folder, 'package.json'), plan.manifest);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${folder} cannot be written to (${(error as Error).message})`);
  }
}

/** Refuses a path that a link would lead out of the project. */
function checkInside(folder: string, path: string): void {
  let existing = dirname(join(folder, path));
  while (!existsSync(existing)) existing = dirname(existing);
  const root = realpathSync(folder);
  const real = realpathSync(existing);
  if (real !== root && !real.startsWith(root + sep)) {
    throw new CommandError(`nothing was written: ${path} would be outside the project, at ${real}`);
  }
}

/** Writes a file, or overwrites it. A link in its place is removed, and what it led to stays as it is. */
function writeNew(file: string, text: string): void {
  makeFolder(dirname(file));
  rmSync(file, { force: true });
  writeFileSync(file, text, { flag: 'wx' });
}

/** Makes a folder and those above it. `mkdirSync` with `recursive` never returns where a file system has no new folders. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder);
}
