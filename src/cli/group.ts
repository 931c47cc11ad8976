/** Groups of commands, such as `docket tasks`: commands that have subcommands. */
import { Command } from 'commander';

/** Makes a group. `alone` is what the group does without a subcommand; if it is left out, a subcommand is required. */
export function groupCommand(
  name: string,
  description: string,
  commands: readonly Command[],
  alone?: (command: Command) => Promise<void>,
): Command {
  const group = new Command(name).description(description).helpCommand(false);
  for (const command of commands) group.addCommand(command);
  return refuseUnknownCommands(group, alone);
}

/** Makes a group refuse an unknown subcommand with one line; commander by itself writes the whole help to stderr. */
export function refuseUnknownCommands(group: Command, alone?: (command: Command) => Promise<void>): Command {
  return group
    .usage(alone ? '[options] [command]' : '[options] <command>')
    .allowExcessArguments()
    .action((_flags: object, command: Command) => {
      const { args } = command;
      if (args.length === 0 && alone) return alone(command);
      const problem = args.length === 0 ? 'no command was given' : `unknown command '${args[0]}'`;
      return group.error(`${problem}, see ${pathOf(group)} --help`);
    });
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
