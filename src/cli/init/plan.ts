/** What `docket init` writes into a project. The templates are files of this package, so they are compiled and run as such. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Additions, missingFrom, withAdditions } from './manifest.js';
import type { Project } from './project.js';

export interface Plan {
  /** Texts by path, relative to the project, with slashes. None of them may be there already. */
  readonly files: Readonly<Record<string, string>>;
  /** The new text of package.json. */
  readonly manifest: string;
  readonly additions: Additions;
  /** The two commands that come next. */
  readonly next: readonly [install: string, attempt: string];
}

const TEMPLATES = new URL('../../../../templates/init/', import.meta.url);
/**
 * The test is named so that only Node's own runner takes it for one, for which it is written. Another runner that the project
 * has would fail with it.
 */
const SOURCES = ['tasks', 'try', 'add', 'tasks-test'] as const;

/** Decides what is written, and writes nothing. */
export function planInit(project: Project, force: boolean): Plan {
  const isTyped = project.language === 'typescript';
  const home = isTyped || project.hasSources ? 'src/docket' : 'docket';
  const extension = isTyped ? 'ts' : 'js';
  const from = isTyped ? 'typescript' : project.modules;
  const files: Record<string, string> = {};
  for (const name of SOURCES) files[`${home}/${name}.${extension}`] = template(`${from}/${name}.${extension}`);
  files[`${home}/compose.yaml`] = template('shared/compose.yaml');
  if (isTyped) files[`${home}/tsconfig.json`] = template('shared/tsconfig.json');
  if (!existsSync(join(project.folder, '.gitignore'))) files['.gitignore'] = template('shared/gitignore');
  const additions = missingFrom(project.manifest, wantedAdditions(home, isTyped), force);
  const { packageManager } = project;
  return {
    files,
    manifest: withAdditions(project.manifest, additions),
    additions,
    next: [`${cdInto(project.folder)}${packageManager} install`, `${packageManager} run docket:try`],
  };
}

function wantedAdditions(home: string, isTyped: boolean): Additions {
  const compile = isTyped ? `tsc -p ${home} && ` : '';
  const built = isTyped ? 'dist/docket' : home;
  const own = ownManifest();
  return {
    scripts: {
      'docket:try': `${compile}node ${built}/try.js`,
      'docket:test': `${compile}node --test ${built}/tasks-test.js`,
      'docket:redis': `docker compose -f ${home}/compose.yaml up -d`,
      'docket:worker': `${compile}docket-worker --tasks ${built}/tasks.js`,
      'docket:add': `${compile}node ${built}/add.js`,
    },
    dependencies: { docket: `^${own.version}` },
    devDependencies: {
      'js-redis-server': own.peerDependencies['js-redis-server'],
      ...(isTyped && { '@types/node': own.devDependencies['@types/node'], typescript: own.devDependencies.typescript }),
    },
  };
}

interface OwnManifest {
  readonly version: string;
  readonly peerDependencies: { readonly 'js-redis-server': string };
  readonly devDependencies: { readonly '@types/node': string; readonly typescript: string };
}

function ownManifest(): OwnManifest {
  return JSON.parse(readFileSync(new URL('../../package.json', TEMPLATES), 'utf8'));
}

function template(path: string): string {
  return readFileSync(fileURLToPath(new URL(path, TEMPLATES)), 'utf8');
}

/** Returns the text that goes to the folder first, with the path quoted for a shell; none when it is the current one. */
function cdInto(folder: string): string {
  if (folder === process.cwd()) return '';
  return `cd ${/^[\w@%+=:,./-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", `'\\''`)}'`} && `;
}
