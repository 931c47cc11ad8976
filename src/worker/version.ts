/** The version of this package. */
import { readFileSync } from 'node:fs';

/** Reads the version from package.json. */
export function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return version as string;
}
