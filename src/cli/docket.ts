/** `docket`: everything an operator does from a shell. Each command has a file in this folder. */
import { Command, Help, Option } from 'commander';
import { versionOfPackage } from '../worker/version.js';
import { addCommand } from './add.js';
import { endQuietlyWithPipe } from './broken-pipe.js';
import { cancelCommand } from './cancel.js';
import { clearCommand } from './clear.js';
import { dashboardCommand } from './dashboard.js';
import { doctorCommand } from './doctor.js';
import { EXIT_CODES_HELP } from './exit-codes.js';
import { failureLine, reportFailure } from './failure.js';
import { failuresCommand } from './failures.js';
import { refuseUnknownCommands } from './group.js';
import { initCommand } from './init.js';
import { limitsCommand } from './limits.js';
import { lsCommand } from './ls.js';
import { partitionsCommand } from './partitions.js';
import { pauseCommand, pausesCommand, resumeCommand } from './pauses.js';
import { schedulesCommand } from './schedules.js';
import { showCommand } from './show.js';
import { snapshotCommand } from './snapshot.js';
import { statsCommand } from './stats.js';
import { restoreCommand, strikeCommand, strikesCommand } from './strikes.js';
import { tasksCommand } from './tasks.js';
import { topCommand } from './top/top.js';
import { DURATIONS_HELP, forgetEmptyVariables, refuseEmptyFlags } from './values.js';
import { versionCommand } from './version.js';
import { watchCommand } from './watch.js';
import { workerSubcommand } from './worker.js';
import { workersCommand } from './workers.js';

/** Parses the command line, runs the command, and sets the exit code. Never rejects. */
export async function runDocketCommand(argv: readonly string[]): Promise<void> {
  endQuietlyWithPipe();
  forgetEmptyVariables();
  const program = docketCommand();
  let running: Command | undefined;
  program.hook('preAction', (_program, command) => {
    running = command;
  });
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = reportFailure('docket', error, running);
  }
}

/** Makes the whole command, with all subcommands. */
export function docketCommand(): Command {
  const program = refuseUnknownCommands(new Command('docket'))
    .description(
      'Operates a docket: adds, watches, pauses, cancels, strikes and retries work, and shows the state of the docket.',
    )
    .version(versionOfPackage())
    .addOption(new Option('--url <url>', 'where Redis is (default: redis://localhost:6379/0)').env('DOCKET_URL'))
    .addOption(new Option('--docket <name>', 'name of the docket (default: docket)').env('DOCKET_NAME'))
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions })
    .configureOutput({ outputError: (text, write) => write(failureLine('docket', text)) })
    .exitOverride()
    .hook('preAction', (_program, command) => refuseEmptyFlags(command))
    .addHelpText('after', `\n${DURATIONS_HELP}${EXIT_CODES_HELP}`);
  for (const command of COMMANDS.map((make) => make())) program.addCommand(withInherited(command, program));
  return program;
}

/** Lists the flags of the groups and of `docket`. One that a subcommand takes, too, is listed with that subcommand only. */
function visibleGlobalOptions(this: Help, command: Command): Option[] {
  const own = new Set(command.options.map(({ long }) => long));
  return Help.prototype.visibleGlobalOptions.call(this, command).filter(({ long }) => !own.has(long));
}

const COMMANDS = [
  workerSubcommand,
  addCommand,
  watchCommand,
  snapshotCommand,
  showCommand,
  lsCommand,
  limitsCommand,
  topCommand,
  statsCommand,
  workersCommand,
  strikeCommand,
  restoreCommand,
  strikesCommand,
  pauseCommand,
  resumeCommand,
  pausesCommand,
  schedulesCommand,
  cancelCommand,
  failuresCommand,
  clearCommand,
  partitionsCommand,
  tasksCommand,
  doctorCommand,
  dashboardCommand,
  initCommand,
  versionCommand,
] as const satisfies readonly (() => Command)[];

/** Passes on how errors and help are written. The worker is an exception: its help has its own flags and exit codes. */
function withInherited(command: Command, from: Command): Command {
  command.copyInheritedSettings(from);
  if (command.name() === 'worker')
    return command.allowExcessArguments(false).configureHelp({ showGlobalOptions: false });
  for (const subcommand of command.commands) withInherited(subcommand, command);
  return command.allowExcessArguments(command.commands.length > 0).addHelpText('after', EXIT_CODES_HELP);
}
