/** The version of this package. */
import { readFileSync } from 'node:fs';

/** Reads the version from package.json; `unknown` in a program that was bundled into one file, which has none beside it. */
export function versionOfPackage(): string {
  try {
    const { name, version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
    return name === 'docket' ? version : 'unknown'; // that of a bundle is another package's
  } catch {
    return 'unknown';
  }
}
