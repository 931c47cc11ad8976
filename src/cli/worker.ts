/** `docket-worker`, also available as `docket worker`: runs a worker until it is told to stop. */
import type { Command } from 'commander';
import { InvalidOptionError, TaskModuleError } from '../core/errors.js';
import { endQuietlyWithPipe } from './broken-pipe.js';
import { endProcess } from './end-process.js';
import { EXIT } from './exit-codes.js';
import { linkLine, problemOf } from './failure.js';
import { forgetEmptyVariables, refuseEmptyFlags } from './values.js';
import { type WorkerFlags, workerCommand } from './worker-flags.js';

/** Makes `docket worker`. It takes its flags before or after its name, as the other commands do. */
export function workerSubcommand(): Command {
  const command = workerCommand('worker');
  return command.action(() => execute('docket worker', command, command.optsWithGlobals<WorkerFlags>()));
}

/** Parses the command line, and runs the worker, which ends the process. Sets the exit code if none starts. Never rejects. */
export async function runWorkerCommand(argv: readonly string[], end = endProcess): Promise<void> {
  const command = workerCommand('docket-worker');
  endQuietlyWithPipe();
  forgetEmptyVariables();
  try {
    command.parse(argv);
  } catch (error) {
    // commander has printed its line
    process.exitCode = (error as { exitCode?: number }).exitCode === 0 ? EXIT.done : EXIT.usage;
    return;
  }
  await execute('docket-worker', command, command.opts<WorkerFlags>(), end);
}

async function execute(name: string, command: Command, flags: WorkerFlags, end = endProcess): Promise<void> {
  const fail = (error: unknown): number => {
    console.error(`${name}: ${problemOf(error, command)}`);
    process.stderr.write(linkLine(error, process.stderr.isTTY));
    const cause = error instanceof TaskModuleError ? error.cause : undefined;
    if (cause instanceof Error && cause.stack) console.error(cause.stack); // the error of the user's module, with its place
    return error instanceof InvalidOptionError ? EXIT.usage : EXIT.failed;
  };
  try {
    refuseEmptyFlags(command);
    const { runWorker } = await import('./run-worker.js'); // loaded late: the other commands need nothing of a worker
    await runWorker(flags, { fail, end });
  } catch (error) {
    process.exitCode = fail(error);
  }
}
