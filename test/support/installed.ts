/** The package as a user has it: the files that are published, beside nothing but the dependencies it declares. */

import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

/** The parts of `package.json` that matter here. */
export const manifest: {
  readonly files: readonly string[];
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
} = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));

/** Puts the package into `folder`, where code can then import it. Optional peers are not there. */
export function installInto(folder: string): void {
  const modules = join(folder, 'node_modules');
  for (const file of published()) link(join(PACKAGE, file), join(modules, 'docket', file));
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(PACKAGE, 'node_modules', name), join(modules, name));
  }
}

let files: readonly string[] | undefined;

/** The files that are published; a few more, which `files` of `package.json` leaves out. */
function published(): readonly string[] {
  files ??= ['package.json', ...manifest.files.filter((file) => !file.startsWith('!'))].flatMap((entry) => {
    if (!statSync(join(PACKAGE, entry)).isDirectory()) return [entry];
    const below = readdirSync(join(PACKAGE, entry), { recursive: true, withFileTypes: true });
    return below.filter((one) => one.isFile()).map((one) => relative(PACKAGE, join(one.parentPath, one.name)));
  });
  return files;
}

const made = new Set<string>();

/** Puts a file at another path, too. It has two names then, which costs a tenth of a copy, and is no symbolic link. */
function link(file: string, target: string): void {
  const folder = dirname(target);
  if (!made.has(folder)) mkdirSync(folder, { recursive: true });
  made.add(folder);
  try {
    linkSync(file, target);
  } catch {
    copyFileSync(file, target); // the folder may be on another disk
  }
}
