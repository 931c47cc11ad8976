/** The package.json of a project that gets docket: what it says about the project, and what is added to it. */
import { CommandError } from '../failure.js';

/** An object as JSON has it. */
export type Json = Readonly<Record<string, unknown>>;

/** A package.json that was read, with the indentation of its file. */
export interface Manifest {
  readonly content: Json;
  readonly indent: string;
}

/** What is added to a package.json, section by section. */
export type Additions = Readonly<
  Record<'scripts' | 'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
>;

const SECTIONS = ['scripts', 'dependencies', 'devDependencies'] as const satisfies readonly (keyof Additions)[];

/**
 * Parses a package.json.
 * @throws CommandError when it is not JSON, or has something else where an object or a name must be
 */
export function parseManifest(text: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new CommandError(`package.json is not JSON (${(error as Error).message})`);
  }
  if (!isObject(content)) throw new CommandError('package.json holds no object');
  for (const section of SECTIONS) {
    if (content[section] !== undefined && !isObject(content[section]))
      throw new CommandError(`'${section}' in package.json is no object`);
  }
  if (content.name !== undefined) checkName(content.name, 'the name in package.json,');
  return { content, indent: /^\{\r?\n([ \t]+)/.exec(text)?.[1] ?? '  ' };
}

const MAX_NAME_LENGTH = 214;

/**
 * Checks the name of a project. `which` begins the line that refuses it.
 * @throws CommandError when npm refuses such a name, or when the project would hide the package docket from itself
 */
export function checkName(name: unknown, which: string): void {
  const isName =
    typeof name === 'string' &&
    name.length <= MAX_NAME_LENGTH &&
    /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/.test(name) &&
    !['node_modules', 'favicon.ico'].includes(name);
  if (!isName) throw new CommandError(`${which} ${JSON.stringify(name)}, is not a name that npm accepts`);
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

/** Writes the manifest with the additions as the text of a package.json. */
export function withAdditions({ content, indent }: Manifest, additions: Additions): string {
  const merged: Record<string, unknown> = { ...content };
  for (const section of SECTIONS) {
    if (Object.keys(additions[section]).length === 0) continue;
    merged[section] = { ...(content[section] as Json | undefined), ...additions[section] };
  }
  return `${JSON.stringify(merged, null, indent)}\n`;
}

function only(all: Readonly<Record<string, string>>, isWanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => isWanted(name)));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
