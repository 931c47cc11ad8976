/** `docket cancel`: cancels one execution. */
import { Command } from 'commander';
import { isTerminal } from '../core/states.js';
import { print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function cancelCommand(): Command {
  return new Command('cancel')
    .description('Cancels an execution: removes what has not started, tells what runs to stop. Unknown keys are fine.')
    .argument('<key>', 'key of the execution')
    .option('--json', 'write JSON')
    .action((key: string, { json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        await docket.cancel(key);
        const state = (await docket.getExecution(key))?.state ?? null;
        if (json) return printJson({ key, state });
        const text = state === null ? 'nothing is known of it' : isTerminal(state) ? state : `${state}, told to stop`;
        print(`${printable(key)}  ${text}`);
      }),
    );
}
