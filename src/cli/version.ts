/** `docket version`, and the version for `--version`. */
import { Command } from 'commander';
import { versionOfPackage } from '../worker/version.js';
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
