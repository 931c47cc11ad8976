/** The package managers, in a folder of their own. */
import { join } from 'node:path';
import { manifest, project, succeed } from './project.js';

let installed;

/** Installs the package managers that do not come with Node, once. Returns the folder. */
export function installManagers() {
  installed ??= install();
  return installed;
}

async function install() {
  const folder = project({
    'package.json': manifest({ pnpm: 'latest', yarn: '1.22.22', '@yarnpkg/cli-dist': '^4.0.0' }),
  });
  await succeed('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder });
  return folder;
}

/** The words of the command that runs a package manager. */
export function commandOf(manager, node, folder) {
  const modules = join(folder, 'node_modules');
  switch (manager) {
    case 'npm':
      return ['npm'];
    case 'pnpm':
      return [join(modules, '.bin/pnpm')];
    case 'yarn 1':
      return [node, join(modules, 'yarn/bin/yarn.js')];
    default:
      return [node, join(modules, '@yarnpkg/cli-dist/bin/yarn.js')];
  }
}
