/** `docket clear`: removes everything that has not started, after a confirmation. */
import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { describeDocket } from '../redis/docket-settings.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { print, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface ClearFlags extends CommonFlags {
  readonly yes?: boolean;
}

export function clearCommand(): Command {
  return new Command('clear')
    .description('Removes all queued, scheduled and waiting executions. Running ones go on, and strikes stay.')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--json', 'write JSON')
    .action(({ yes = false, json = false }: ClearFlags, command: Command) =>
      withDocket(command, async (docket) => {
        if (!yes && !process.stdin.isTTY)
          throw new CommandError('there is no terminal to ask for confirmation: pass --yes', EXIT.usage);
        if (!yes && !(await confirm(docket))) throw new CommandError('nothing was removed');
        const removed = await docket.clear();
        if (json) printJson({ removed });
        else print(`removed ${removed}`);
      }),
    );
}

/** Asks on stderr, so that stdout has only the result of the command. */
async function confirm(docket: Docket): Promise<boolean> {
  const { totals } = await docket.snapshot({ limit: 0 });
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const { queued, scheduled } = totals;
    const waiting = totals.waiting + totals.paused;
    const contents = `${queued} queued, ${scheduled} scheduled and ${waiting} waiting executions`;
    const answer = await prompt.question(
      `Remove ${contents} from ${describeDocket(internalsOf(docket).settings)}? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error;
    process.stderr.write('\n');
    throw new CommandError('nothing was removed', EXIT.interrupted); // Ctrl-C
  } finally {
    prompt.close();
  }
}
