/** The package as a user has it: the files that are published, beside nothing but the dependencies it declares. */

import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
  const files = manifest.files.filter((file) => !file.startsWith('!')); // those are left out
  for (const file of ['package.json', ...files]) {
    cpSync(join(PACKAGE, file), join(modules, 'docket', file), { recursive: true });
  }
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(PACKAGE, 'node_modules', name), join(modules, name));
  }
}
