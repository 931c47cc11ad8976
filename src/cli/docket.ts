/** `docket`: everything an operator does from a shell. Each command is a file beside this one. */
import { Command, Option } from 'commander';
import { addCommand } from './add.js';
import { cancelCommand } from './cancel.js';
import { clearCommand } from './clear.js';
import { doctorCommand } from './doctor/doctor.js';
import { EXIT, EXIT_CODES_HELP } from './exit-codes.js';
import { failureLine, reportFailure } from './failure.js';
import { refusingOthers } from './group.js';
import { snapshotCommand } from './snapshot.js';
import { restoreCommand, strikeCommand, strikesCommand } from './strikes.js';
import { tasksCommand } from './tasks.js';
import { forgetEmptyVariables, refuseEmptyFlags } from './values.js';
import { versionCommand, versionOfPackage } from './version.js';
import { watchCommand } from './watch.js';
import { workerSubcommand } from './worker.js';
import { workersCommand } from './workers.js';

/** Parses the command line, runs the command, and sets the exit code. Never rejects. */
export async function runDocketCommand(argv: readonly string[]): Promise<void> {
  endQuietlyWithPipe();
  forgetEmptyVariables();
  const program = docketCommand();
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = reportFailure('docket', error);
  }
}

function docketCommand(): Command {
  const program = refusingOthers(new Command('docket'))
    .description('Looks after a docket: adds and watches work, strikes, cancels, and says how things are.')
    .version(versionOfPackage())
    .addOption(new Option('--url <url>', 'where Redis is (default: redis://localhost:6379/0)').env('DOCKET_URL'))
    .addOption(new Option('--docket <name>', 'name of the docket (default: docket)').env('DOCKET_NAME'))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(failureLine('docket', text)) })
    .exitOverride()
    .hook('preAction', (_program, command) => refuseEmptyFlags(command))
    .addHelpText('after', `\nDurations: 250ms, 30s, 5m, 1h, mm:ss, hh:mm:ss.${EXIT_CODES_HELP}`);
  for (const command of COMMANDS.map((make) => make())) program.addCommand(inheriting(command, program));
  return program;
}

const COMMANDS = [
  workerSubcommand,
  addCommand,
  watchCommand,
  snapshotCommand,
  workersCommand,
  strikeCommand,
  restoreCommand,
  strikesCommand,
  cancelCommand,
  clearCommand,
  tasksCommand,
  doctorCommand,
  versionCommand,
] as const satisfies readonly (() => Command)[];

/** How errors and help are written holds for all commands; the worker's help has its own flags and exit codes. */
function inheriting(command: Command, from: Command): Command {
  command.copyInheritedSettings(from);
  if (command.name() === 'worker')
    return command.allowExcessArguments(false).configureHelp({ showGlobalOptions: false });
  for (const one of command.commands) inheriting(one, command);
  return command.allowExcessArguments(command.commands.length > 0).addHelpText('after', EXIT_CODES_HELP);
}

/** Whoever read the output has gone, as `head` does: nothing more is worth saying. */
function endQuietlyWithPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(EXIT.brokenPipe);
    });
  }
}
