/** A command that has commands. */
import { Command } from 'commander';

/** Makes one. Without `alone`, what it does by itself, one of its commands has to be named. */
export function groupCommand(
  name: string,
  description: string,
  commands: readonly Command[],
  alone?: (command: Command) => Promise<void>,
): Command {
  const group = new Command(name).description(description).helpCommand(false);
  for (const command of commands) group.addCommand(command);
  return refusingOthers(group, alone);
}

/** Says of what is no command of a group that it is none; commander by itself writes the whole help to stderr. */
export function refusingOthers(group: Command, alone?: (command: Command) => Promise<void>): Command {
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
