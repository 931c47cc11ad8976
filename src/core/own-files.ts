/**
 * Names files of this package that are loaded or read by themselves: what threads run, and the page of the dashboard.
 *
 * Owns the rule that bundlers see no such file. Most of them follow `new URL('./file.js', import.meta.url)`: they would
 * take in the embedded server with its optional package, and parts of threads without what these import. The path is
 * therefore a parameter, and the module's own address is looked at in the call, since bundles in CommonJS have none.
 */
import { existsSync } from 'node:fs';
import { BundledError } from './errors.js';

/**
 * Returns the URL of a file of the built package by its path below `dist/src`.
 * @throws BundledError in a program that was bundled, beside which there is no such file
 */
export function ownFile(path: string): URL {
  const here: string | undefined = import.meta.url; // bundles in CommonJS have none
  const file = here === undefined ? null : new URL(path, new URL('../../src/', here)); // `dist/cjs` has none of them
  if (file === null || !existsSync(file)) throw new BundledError(path);
  return file;
}
