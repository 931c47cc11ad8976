/** `docket tasks`: adds the tasks every worker has, to try out an installation. */
import { Command } from 'commander';
import * as builtin from '../tasks/builtin.js';
import { type AddFlags, addAndTell, withAddFlags } from './add.js';
import { groupCommand } from './group.js';
import { withDocket } from './session.js';
import { durationArgument } from './values.js';

export function tasksCommand(): Command {
  return groupCommand('tasks', 'Adds a task that every worker has, to try out and to diagnose.', [
    withAddFlags(new Command('trace'))
      .description('Has a worker log a message, with key, age and worker.')
      .argument('[message]', 'what it logs', 'hello')
      .action((message: string, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndTell(docket, builtin.trace, { message }, flags)),
      ),
    withAddFlags(new Command('fail'))
      .description('Fails, and is retried once.')
      .argument('[message]', 'what it fails with', 'failed as told')
      .action((message: string, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndTell(docket, builtin.fail, { message }, flags)),
      ),
    withAddFlags(new Command('sleep'))
      .description('Does nothing for a while.')
      .argument('[duration]', 'for how long', durationArgument, 1_000)
      .action((ms: number, flags: AddFlags, command: Command) =>
        withDocket(command, (docket) => addAndTell(docket, builtin.sleep, { seconds: ms / 1_000 }, flags)),
      ),
  ]);
}
