/** The package.json of a project that gets docket: what it says about the project, and what is added to it. */
import { CommandError } from '../failure.js';

/** An object as JSON has it. */
export type Json = Readonly<Record<string, unknown>>;

/** A package.json that was read, with the look of its file, which is kept. */
export interface Manifest {
  readonly content: Json;
  readonly indent: string;
  readonly lineEnd: '\n' | '\r\n';
  /** Whether it begins with a byte order mark. */
  readonly isMarked: boolean;
}

/** What is added to a package.json, section by section. */
export type Additions = Readonly<
  Record<'scripts' | 'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
>;

const SECTIONS = ['scripts', 'dependencies', 'devDependencies'] as const satisfies readonly (keyof Additions)[];

const MARK = '\uFEFF';

/**
 * Parses a package.json. Which names are allowed is a matter of the package manager that the project has.
 * @throws CommandError when it is not JSON, has something else where an object must be, or is named like this package
 */
export function parseManifest(text: string): Manifest {
  const isMarked = text.startsWith(MARK);
  const json = isMarked ? text.slice(MARK.length) : text;
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch (error) {
    throw new CommandError(`package.json is not JSON (${(error as Error).message})`);
  }
  if (!isObject(content)) throw new CommandError('package.json holds no object');
  for (const section of SECTIONS) {
    if (content[section] !== undefined && !isObject(content[section]))
      throw new CommandError(`'${section}' in package.json is no object`);
  }
  checkNotDocket(content.name, 'the name in package.json,');
  const [, lineEnd, indent = '  '] = /^\{(\r?\n)([ \t]+)/.exec(json) ?? [];
  return { content, indent, lineEnd: lineEnd === '\r\n' ? lineEnd : '\n', isMarked };
}

const MAX_NAME_LENGTH = 214;

/**
 * Checks the name of a new project. `which` begins the line that refuses it.
 * @throws CommandError when npm refuses such a name, or when the project would hide the package docket from itself
 */
export function checkName(name: string, which: string): void {
  const isName =
    name.length <= MAX_NAME_LENGTH &&
    /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/.test(name) &&
    !['node_modules', 'favicon.ico'].includes(name);
  if (!isName) throw new CommandError(`${which} ${JSON.stringify(name)}, is not a name that npm accepts`);
  checkNotDocket(name, which);
}

function checkNotDocket(name: unknown, which: string): void {
  if (name === 'docket') throw new CommandError(`${which} "docket", is that of this package: choose another one`);
}

/** Whether the project has a dependency of this name. */
export function dependsOn({ content }: Manifest, name: string): boolean {
  return (['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'] as const).some((section) => {
    const packages = content[section];
    return isObject(packages) && Object.hasOwn(packages, name);
  });
}

/** Returns the additions that the manifest does not have yet; with `force`, scripts of the same names are replaced. */
export function missingFrom(manifest: Manifest, additions: Additions, force: boolean): Additions {
  const scripts = isObject(manifest.content.scripts) ? manifest.content.scripts : {};
  const isNew = (name: string) => !dependsOn(manifest, name);
  return {
    scripts: only(additions.scripts, (name) => force || !Object.hasOwn(scripts, name)),
    dependencies: only(additions.dependencies, isNew),
    devDependencies: only(additions.devDependencies, isNew),
  };
}

/** Writes the manifest with the additions as the text of a package.json, which looks as it did before. */
export function withAdditions({ content, indent, lineEnd, isMarked }: Manifest, additions: Additions): string {
  const merged: Record<string, unknown> = { ...content };
  for (const section of SECTIONS) {
    if (Object.keys(additions[section]).length === 0) continue;
    merged[section] = { ...(content[section] as Json | undefined), ...additions[section] };
  }
  const lines = JSON.stringify(merged, null, indent).split('\n'); // in its strings, line ends are escaped
  return `${isMarked ? MARK : ''}${lines.join(lineEnd)}${lineEnd}`;
}

function only(all: Readonly<Record<string, string>>, isWanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => isWanted(name)));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
