/** References to task modules: `module` or `module:export`, where module is a file path, a `file:` URL or a package. */
import { statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { TaskModuleError } from '../core/errors.js';
import { resolvePackage } from './package.js';

/** The parts of a reference. */
export interface ModuleReference {
  readonly module: string;
  /** Name of the export; `null` when the reference names none. */
  readonly exportName: string | null;
}

/** Splits a reference. The colon of a drive letter or a scheme is no separator, because no identifier follows it. */
export function parseReference(reference: string): ModuleReference {
  const match = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/su.exec(reference);
  return { module: match?.[1] ?? reference, exportName: match?.[2] ?? null };
}

/**
 * Returns the URL to import for a module. A module that exists as a file is that file; any other module is a package,
 * as resolved from the folder `from`.
 * @throws TaskModuleError when there is neither
 */
export function locateModule(reference: string, module: string, from: string): string {
  if (module === '') throw new TaskModuleError(reference, 'is empty: name a file, a file: URL or a package');
  const isUrl = module.startsWith('file:');
  const path = isUrl ? pathOf(reference, module) : resolve(from, module);
  if (isFile(path)) return isUrl ? module : pathToFileURL(path).href;
  if (!PATH.test(module)) return locatePackage(reference, module, path, from);
  const similar = ['.js', '.mjs', '.cjs', '.ts'].find((extension) => isFile(path + extension));
  const hint = similar === undefined ? '' : ` (did you mean ${module}${similar}?)`;
  throw new TaskModuleError(reference, `there is no file ${path}${hint}`);
}

/** Matches modules that start like a path or a URL, so that they cannot be packages. */
const PATH = /^(?:file:|\.{0,2}[\\/]|[A-Za-z]:[\\/])/;

function locatePackage(reference: string, module: string, path: string, from: string): string {
  try {
    const found = resolvePackage(module, from);
    return isAbsolute(found) ? pathToFileURL(found).href : found;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = code === 'MODULE_NOT_FOUND' ? `there is neither a file ${path} nor a package '${module}'` : message;
    throw new TaskModuleError(reference, problem, { cause });
  }
}

function pathOf(reference: string, url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new TaskModuleError(reference, (cause as Error).message, { cause });
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
