/** `docket version`, and the version every command knows. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { print } from './output.js';

export function versionCommand(): Command {
  return new Command('version').description('Says the version of docket.').action(() => print(versionOfPackage()));
}

export function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return version as string;
}
