/**
 * Writes a plan into its project. Owns two promises: nothing is written when one of the files is there already, unless
 * `force` says so, and nothing is written outside the project, even where a folder of it or its package.json is a link.
 */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { CommandError } from '../failure.js';
import type { Plan } from './plan.js';

const MANIFEST = 'package.json';

/**
 * Writes the files, and package.json last.
 * @throws CommandError when a file is there already or cannot be written
 */
export function writePlan(folder: string, plan: Plan, force: boolean): void {
  const paths = Object.keys(plan.files);
  try {
    const taken = paths.filter((path) => statOf(folder, path));
    const folders = paths.filter((path) => statOf(folder, path)?.isDirectory());
    if (folders.length > 0) throw new CommandError(`nothing was written: ${folders.join(', ')} is a folder`);
    if (taken.length > 0 && !force) {
      throw new CommandError(`nothing was written: --force overwrites ${taken.join(', ')}`);
    }
    makeFolder(folder);
    for (const path of paths) checkInside(folder, path);
    checkManifest(folder);
    for (const path of paths) writeNew(join(folder, path), plan.files[path]!);
    writeFileSync(join(folder, MANIFEST), plan.manifest);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${folder} cannot be written to (${(error as Error).message})`);
  }
}

/** @throws the error of a path that leads through a file. With `throwIfNoEntry`, Node 24 would say that nothing is there. */
function statOf(folder: string, path: string): Stats | null {
  try {
    return lstatSync(join(folder, path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Refuses a path that a link would lead out of the project. */
function checkInside(folder: string, path: string): void {
  let existing = dirname(join(folder, path));
  while (!existsSync(existing)) existing = dirname(existing);
  checkReal(folder, path, realpathSync(existing));
}

/**
 * Refuses a package.json that cannot be written, or that is a link out of the project or to nothing. It is written as
 * it is found.
 */
function checkManifest(folder: string): void {
  if (!statOf(folder, MANIFEST)) return;
  const file = join(folder, MANIFEST);
  checkReal(folder, MANIFEST, realpathSync(file));
  accessSync(file, constants.W_OK);
}

function checkReal(folder: string, path: string, real: string): void {
  const root = realpathSync(folder);
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
