/** `docket tasks`: adds the built-in tasks, which every worker has, to try out an installation. */
import { Command } from 'commander';
import * as builtin from '../tasks/builtin.js';
import { type AddFlags, addAndReport, withAddFlags } from './add.js';
import { groupCommand } from './group.js';
import { withDocket } from './session.js';
import { durationArgument } from './values.js';

export function tasksCommand(): Command {
  return groupCommand('tasks', 'Adds one of the tasks that every worker has, to try out or diagnose an installation.', [
    withAddFlags(new Command('trace'))
      .description('Logs a message on a worker, with the key and age of the execution and the name of the worker.')
      .argument('[message]', 'message to log', 'hello')
      .action((message: string, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndReport(docket, builtin.trace, { message }, flags)),
      ),
    withAddFlags(new Command('fail'))
      .description('Fails, and is retried once.')
      .argument('[message]', 'message of the error', 'failed on purpose')
      .action((message: string, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndReport(docket, builtin.fail, { message }, flags)),
      ),
    withAddFlags(new Command('sleep'))
      .description('Does nothing for a while.')
      .argument('[duration]', 'how long (default: 1s)', durationArgument)
      .action((ms: number = 1_000, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndReport(docket, builtin.sleep, { seconds: ms / 1_000 }, flags)),
      ),
  ]);
}
