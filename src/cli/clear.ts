/** `docket clear`: removes everything that has not started, after a confirmation. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { describeDocket } from '../redis/docket-settings.js';
import { confirmUnless } from './confirm.js';
import { print, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface ClearFlags extends CommonFlags {
  readonly yes?: boolean;
}

export function clearCommand(): Command {
  return new Command('clear')
    .description('Removes all queued, scheduled and waiting executions. Running ones continue, and strikes stay.')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--json', 'write JSON')
    .action(({ yes = false, json = false }: ClearFlags, command: Command) =>
      withDocket(command, async (docket) => {
        await confirmUnless(yes, () => questionAbout(docket));
        const removed = await docket.clear();
        if (json) printJson({ removed });
        else print(`removed ${removed}`);
      }),
    );
}

async function questionAbout(docket: Docket): Promise<string> {
  const { totals } = await docket.snapshot({ limit: 0 });
  const { queued, scheduled } = totals;
  const waiting = totals.waiting + totals.paused;
  const contents = `${queued} queued, ${scheduled} scheduled and ${waiting} waiting executions`;
  return `Remove ${contents} from ${describeDocket(internalsOf(docket).settings)}?`;
}
