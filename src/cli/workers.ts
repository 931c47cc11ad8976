/** `docket workers`: the live workers, all of them or those for a task. */
import { Command } from 'commander';
import type { WorkerInfo } from '../tasks/snapshot.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { groupCommand } from './group.js';
import { printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function workersCommand(): Command {
  const list = new Command('ls')
    .description('Lists the live workers that can take work.')
    .action((_flags: object, command: Command) => listWorkers(command));
  const forTask = new Command('for-task')
    .description('Lists the live workers that can run a task.')
    .argument('<name>', 'name of the task')
    .action((name: string, _flags: object, command: Command) =>
      withDocket(command, async (docket) => {
        const workers = await docket.taskWorkers(name);
        if (workers.length === 0) throw new CommandError(`no live worker has a task '${name}'`, EXIT.notFound);
        show(workers, command);
      }),
    );
  return groupCommand('workers', 'Lists the live workers.', [list, forTask], listWorkers).option(
    '--json',
    'write JSON',
  );
}

function listWorkers(command: Command): Promise<void> {
  return withDocket(command, async (docket) => show(await docket.workers(), command));
}

function show(workers: readonly WorkerInfo[], command: Command): void {
  if (command.optsWithGlobals<CommonFlags>().json) printJson(workers);
  else printWorkers(workers);
}

/** Writes a table of workers. Times are by the clock of the server, so ages are counted from the latest of them. */
export function printWorkers(workers: readonly WorkerInfo[], takenMs = latest(workers)): void {
  printTable(
    ['worker', 'threads', 'running', 'at once', 'last seen', 'docket', 'node', 'tasks'],
    workers.map(({ name, version, nodeVersion, threads, running, concurrency, lastSeen, tasks }) => {
      const seen = `${spanText(takenMs - lastSeen.getTime())} ago`;
      return [name, threads, running, concurrency, seen, version ?? '-', nodeVersion ?? '-', tasks.join(', ')];
    }),
    'there are no live workers',
  );
}

function latest(workers: readonly WorkerInfo[]): number {
  return workers.reduce((latestMs, { lastSeen }) => Math.max(latestMs, lastSeen.getTime()), Date.now());
}
