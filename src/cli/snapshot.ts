/** `docket snapshot`: a docket at a glance. */
import { Command } from 'commander';
import { settingsOf } from '../client/docket.js';
import { describeDocket } from '../client/options.js';
import type { Snapshot } from '../client/snapshot.js';
import { print, printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';
import { printWorkers } from './workers.js';

interface SnapshotFlags extends CommonFlags {
  readonly tasks?: boolean;
  readonly stats?: boolean;
  readonly limit?: number;
}

export function snapshotCommand(): Command {
  return new Command('snapshot')
    .description('Shows how much there is to do, and who is there to do it.')
    .option('--tasks', 'list the executions: running, scheduled, waiting, in quarantine')
    .option('--stats', 'count what is listed by task')
    .option('--limit <n>', 'entries in each list, up to 1000 (default: 100)', wholeNumber)
    .option('--json', 'write the whole snapshot as JSON; with --stats the counts, too')
    .action(({ tasks, stats, limit, json }: SnapshotFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const snapshot = await docket.snapshot(limit === undefined ? {} : { limit });
        if (json) return printJson(stats ? { ...snapshot, stats: statsOf(snapshot) } : snapshot);
        print(`${describeDocket(settingsOf(docket))}, ${snapshot.taken.toISOString()}`);
        const { queued, scheduled, waiting, running, quarantined } = snapshot.totals;
        printTable(
          ['queued', 'scheduled', 'waiting', 'running', 'in quarantine'],
          [[queued, scheduled, waiting, running, quarantined]],
          '',
        );
        if (stats) printStats(snapshot);
        if (tasks) printTasks(snapshot);
        printWorkers(snapshot.workers, snapshot.taken.getTime());
      }),
    );
}

interface TaskStats {
  readonly task: string;
  readonly running: number;
  readonly scheduled: number;
  readonly waiting: number;
}

/** Counts the entries that are listed. What is queued is not among them: nobody has looked at it yet. */
function statsOf({ running, future, waiting }: Snapshot): TaskStats[] {
  const names = [...new Set([...running, ...future, ...waiting].map(({ task }) => task))].sort();
  const count = (list: readonly { readonly task: string }[], task: string) =>
    list.filter((entry) => entry.task === task).length;
  return names.map((task) => ({
    task,
    running: count(running, task),
    scheduled: count(future, task),
    waiting: count(waiting, task),
  }));
}

function printStats(snapshot: Snapshot): void {
  const rows = statsOf(snapshot).map(({ task, running, scheduled, waiting }) => [task, running, scheduled, waiting]);
  printTable(['task', 'running', 'scheduled', 'waiting'], rows, 'nothing is running, scheduled or waiting');
}

function printTasks({ running, future, waiting, quarantine, taken }: Snapshot): void {
  const now = taken.getTime();
  printTable(
    ['running', 'task', 'attempt', 'worker', 'since'],
    running.map(({ key, task, attempt, worker, since }) => [
      key,
      task,
      attempt,
      worker,
      since ? `${spanText(now - since.getTime())} ago` : '',
    ]),
    'nothing is running',
  );
  printTable(
    ['scheduled', 'task', 'attempt', 'due in'],
    future.map(({ key, task, attempt, when }) => [key, task, attempt, spanText(when.getTime() - now)]),
    'nothing is scheduled',
  );
  if (waiting.length > 0) {
    const rows = waiting.map(({ key, task, attempt, waitingFor }) => [key, task, attempt, waitingFor]);
    printTable(['waiting', 'task', 'attempt', 'for'], rows, '');
  }
  if (quarantine.length > 0) {
    const rows = quarantine.map(({ key, reason, at }) => [key ?? '', reason, `${spanText(now - at.getTime())} ago`]);
    printTable(['in quarantine', 'reason', 'since'], rows, '');
  }
}
