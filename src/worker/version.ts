/** The version of this package. */
import { readFileSync } from 'node:fs';
import { ownFile } from '../core/own-files.js';

/** Reads the version from package.json; `unknown` in a program that was bundled into one file, which has none beside it. */
export function versionOfPackage(): string {
  try {
    const { name, version } = JSON.parse(readFileSync(ownFile('../../package.json'), 'utf8'));
    return name === 'docket' ? version : 'unknown'; // that of a bundle is another package's
  } catch {
    return 'unknown';
  }
}
