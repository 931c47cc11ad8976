/** `docket workers`: who is there to run tasks. */
import { Command } from 'commander';
import type { WorkerInfo } from '../client/snapshot.js';
import { EXIT } from './exit-codes.js';
import { CommandError } from './failure.js';
import { groupCommand } from './group.js';
import { printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

export function workersCommand(): Command {
  const list = new Command('ls')
    .description('Lists the workers that live and can take work.')
    .action((_flags: object, command: Command) => listWorkers(command));
  const forTask = new Command('for-task')
    .description('Lists the workers that can run a task.')
    .argument('<name>', 'name of the task')
    .action((name: string, _flags: object, command: Command) =>
      withDocket(command, async (docket) => {
        const workers = await docket.taskWorkers(name);
        if (workers.length === 0) throw new CommandError(`no live worker has a task '${name}'`, EXIT.unknown);
        tell(workers, command);
      }),
    );
  return groupCommand('workers', 'Lists workers.', [list, forTask], listWorkers).option('--json', 'write JSON');
}

function listWorkers(command: Command): Promise<void> {
  return withDocket(command, async (docket) => tell(await docket.workers(), command));
}

function tell(workers: readonly WorkerInfo[], command: Command): void {
  if (command.optsWithGlobals<CommonFlags>().json) printJson(workers);
  else printWorkers(workers);
}

/** Writes a table of workers. Times are of the server's clock: how long ago is told against the latest of them. */
export function printWorkers(workers: readonly WorkerInfo[], takenMs = latest(workers)): void {
  printTable(
    ['worker', 'threads', 'running', 'at once', 'last seen', 'tasks'],
    workers.map(({ name, threads, running, concurrency, lastSeen, tasks }) => {
      const seen = `${spanText(takenMs - lastSeen.getTime())} ago`;
      return [name, threads, running, concurrency, seen, tasks.join(', ')];
    }),
    'no worker is live',
  );
}

function latest(workers: readonly WorkerInfo[]): number {
  return workers.reduce((latestMs, { lastSeen }) => Math.max(latestMs, lastSeen.getTime()), Date.now());
}
