/** `docket watch`: follows one execution to its end. */
import { Command } from 'commander';
import { ExecutionNotFoundError } from '../core/errors.js';
import { follow } from './follow.js';
import { type CommonFlags, withDocket } from './session.js';

export function watchCommand(): Command {
  return new Command('watch')
    .description('Shows the state, progress, timing and worker of an execution live, until it ends.')
    .argument('<key>', 'key of the execution')
    .option('--json', 'write JSON, one event per line')
    .action((key: string, { json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const execution = await docket.getExecution(key);
        if (!execution) throw new ExecutionNotFoundError(key);
        return await follow(docket, execution, json);
      }),
    );
}
