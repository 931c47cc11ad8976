/**
 * Names files of this package that are loaded or read by themselves: what threads run, and the page of the dashboard.
 *
 * Owns the rule that bundlers see no such file. Most of them follow `new URL('./file.js', import.meta.url)`: they would
 * take in the embedded server with its optional package, and parts of threads without what these import. The path is
 * therefore a parameter, and the module's own address is looked at in the call, since bundles in CommonJS have none.
 */

/**
 * Returns the URL of a file of the built package by its path below `dist/src`. In a program that was bundled, no such
 * file is beside it.
 * @throws TypeError in a bundle in CommonJS
 */
export function ownFile(path: string): URL {
  const here = import.meta.url;
  return new URL(path, new URL('../../src/', here)); // the CommonJS build is beside `src`, and names the files there
}
