/** `docket version`, and the version for `--version`. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { print, printJson } from './output.js';
import type { CommonFlags } from './session.js';

export function versionCommand(): Command {
  return new Command('version')
    .description('Prints the version of docket.')
    .option('--json', 'write JSON')
    .action(({ json = false }: CommonFlags) => {
      const version = versionOfPackage();
      if (json) printJson({ version });
      else print(version);
    });
}

/** Reads the version from package.json. */
export function versionOfPackage(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return version as string;
}
