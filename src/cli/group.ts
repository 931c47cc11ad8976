/** A command that has commands. */
import { Command } from 'commander';

/** Makes one. Without a default among them, one has to be named; an unknown name is wrong usage, in one line. */
export function groupCommand(
  name: string,
  description: string,
  commands: readonly Command[],
  fallback?: string,
): Command {
  const group = new Command(name).description(description).helpCommand(false);
  for (const command of commands) group.addCommand(command, { isDefault: command.name() === fallback });
  return fallback === undefined ? refusingOthers(group) : group;
}

/** Says of what is no command of a group that it is none; commander by itself writes the whole help to stderr. */
export function refusingOthers(group: Command): Command {
  return group
    .usage('[options] <command>')
    .allowExcessArguments()
    .action((_flags: object, { args }: Command) => {
      const problem = args.length === 0 ? 'no command was given' : `unknown command '${args[0]}'`;
      group.error(`${problem}, see ${pathOf(group)} --help`);
    });
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
