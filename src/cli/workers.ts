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
    .option('--json', 'write JSON')
    .action(({ json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const workers = await docket.workers();
        if (json) printJson(workers);
        else printWorkers(workers);
      }),
    );
  const forTask = new Command('for-task')
    .description('Lists the workers that can run a task.')
    .argument('<name>', 'name of the task')
    .option('--json', 'write JSON')
    .action((name: string, { json = false }: CommonFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const workers = await docket.taskWorkers(name);
        if (workers.length === 0) throw new CommandError(`no live worker has a task '${name}'`, EXIT.unknown);
        if (json) printJson(workers);
        else printWorkers(workers);
      }),
    );
  return groupCommand('workers', 'Lists workers.', [list, forTask], 'ls');
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
