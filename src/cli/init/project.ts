/** The folder that gets docket, as it is found: its language, its kind of modules, and how its packages are installed. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { CommandError } from '../failure.js';
import { checkName, dependsOn, type Json, type Manifest, parseManifest } from './manifest.js';

export type Language = 'typescript' | 'javascript';

export interface Project {
  /** Absolute path. It may not exist yet. */
  readonly folder: string;
  readonly language: Language;
  readonly modules: 'module' | 'commonjs';
  readonly manifest: Manifest;
  readonly hasManifest: boolean;
  readonly hasSources: boolean;
  readonly packageManager: 'npm' | 'pnpm' | 'yarn';
}

/**
 * Looks at a folder, and changes nothing.
 * @throws CommandError when no project can be made there
 */
export function inspectProject(path: string, wanted: { name?: string; language?: Language }): Project {
  const folder = resolve(path);
  if (isTaken(folder)) throw new CommandError(`${path} is not a folder`);
  const text = readManifest(folder);
  const manifest = text === null ? newManifest(folder, wanted.name) : parseManifest(text);
  const isTyped = existsSync(join(folder, 'tsconfig.json')) || dependsOn(manifest, 'typescript');
  return {
    folder,
    language: wanted.language ?? (isTyped || text === null ? 'typescript' : 'javascript'),
    modules: manifest.content.type === 'module' ? 'module' : 'commonjs',
    manifest,
    hasManifest: text !== null,
    hasSources: existsSync(join(folder, 'src')),
    packageManager: packageManagerOf(folder, manifest.content),
  };
}

/** Whether something else than a folder is there, or on the way there. */
function isTaken(folder: string): boolean {
  try {
    return !statSync(folder).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code === 'ENOTDIR') return true;
    throw new CommandError(`${folder} cannot be looked at (${(error as Error).message})`);
  }
}

function readManifest(folder: string): string | null {
  try {
    return readFileSync(join(folder, 'package.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CommandError(`package.json cannot be read (${(error as Error).message})`);
  }
}

function newManifest(folder: string, given: string | undefined): Manifest {
  const name = given ?? basename(folder);
  checkName(name, given === undefined ? 'the name of the folder (--name gives another one),' : '--name,');
  return {
    content: { name, version: '0.0.0', private: true, type: 'module' },
    indent: '  ',
    lineEnd: '\n',
    isMarked: false,
  };
}

const MANAGERS = ['npm', 'pnpm', 'yarn'] as const;
const LOCK_FILES = { 'pnpm-lock.yaml': 'pnpm', 'yarn.lock': 'yarn', 'package-lock.json': 'npm' } as const;

/** Returns what installs packages here: as the project says, or the workspace that it is a part of. */
function packageManagerOf(folder: string, content: Json): Project['packageManager'] {
  const own = managerIn(folder, content);
  if (own) return own;
  for (let inner = folder, at = dirname(folder); at !== inner; inner = at, at = dirname(at)) {
    const above = contentOf(at);
    const isWorkspace = above?.workspaces !== undefined || existsSync(join(at, 'pnpm-workspace.yaml'));
    const found = isWorkspace ? managerIn(at, above ?? {}) : null;
    if (found) return found;
  }
  return 'npm';
}

function managerIn(folder: string, { packageManager }: Json): Project['packageManager'] | null {
  const named = MANAGERS.find((name) => typeof packageManager === 'string' && packageManager.startsWith(`${name}@`));
  if (named) return named;
  const lock = Object.entries(LOCK_FILES).find(([file]) => existsSync(join(folder, file)));
  return lock ? lock[1] : null;
}

/** Returns the package.json of a folder above the project; `null` when there is none that can be read. */
function contentOf(folder: string): Json | null {
  try {
    return parseManifest(readFileSync(join(folder, 'package.json'), 'utf8')).content;
  } catch {
    return null;
  }
}
