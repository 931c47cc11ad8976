/** `docket snapshot`: the state of a docket as tables or JSON. */
import { Command } from 'commander';
import { internalsOf } from '../client/internals.js';
import { describeDocket } from '../redis/docket-settings.js';
import { limitText } from '../tasks/limit-text.js';
import type { FutureEntry, QueuedEntry, Snapshot } from '../tasks/snapshot.js';
import { NO_WORKER } from './live-tasks.js';
import { print, printJson, printTable, spanText, taskText } from './output.js';
import { printPauses } from './pauses.js';
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
    .description('Shows how much work there is, and which workers are there to do it.')
    .option('--tasks', 'list the first executions of each kind: running, queued, scheduled, waiting')
    .option('--stats', 'count the listed executions by task')
    .option('--limit <n>', 'entries in each list, up to 1000 (default: 100)', wholeNumber)
    .option('--json', 'write the whole snapshot as JSON; with --stats, the counts too')
    .action(({ tasks, stats, limit, json }: SnapshotFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const snapshot = await docket.snapshot(limit === undefined ? {} : { limit });
        if (json) return printJson(stats ? { ...snapshot, stats: statsOf(snapshot) } : snapshot);
        print(`${describeDocket(internalsOf(docket).settings)}, ${snapshot.taken.toISOString()}`);
        const { queued, scheduled, waiting, paused, running, failures } = snapshot.totals;
        printTable(
          ['queued', 'scheduled', 'waiting', 'paused', 'running', 'failures'],
          [[queued, scheduled, waiting, paused, running, failures]],
          '',
        );
        if (snapshot.pauses.length > 0) printPauses(snapshot.pauses, snapshot.taken.getTime());
        if (stats) printStats(snapshot);
        if (tasks) printTasks(snapshot);
        printWorkers(snapshot.workers, snapshot.taken.getTime());
      }),
    );
}

/** The states that are counted by task, each with its list in the snapshot. */
const LIST_OF_STATE = { running: 'running', queued: 'queued', scheduled: 'future', waiting: 'waiting' } as const;
type CountedState = keyof typeof LIST_OF_STATE;
const STATES = Object.keys(LIST_OF_STATE) as CountedState[];

type TaskStats = { readonly task: string } & Readonly<Record<CountedState, number>>;

/** Counts only the listed entries: to count all would take longer with a longer backlog. */
function statsOf(snapshot: Snapshot): TaskStats[] {
  const stats = new Map<string, { task: string } & Record<CountedState, number>>();
  for (const state of STATES) {
    for (const { task } of snapshot[LIST_OF_STATE[state]]) {
      const counts = stats.get(task) ?? { task, running: 0, queued: 0, scheduled: 0, waiting: 0 };
      counts[state]++;
      stats.set(task, counts);
    }
  }
  return [...stats.values()].sort((a, b) => (a.task < b.task ? -1 : 1));
}

function printStats(snapshot: Snapshot): void {
  const listed = STATES.map(
    (state) => `${snapshot[LIST_OF_STATE[state]].length} of ${totalOf(snapshot, state)} ${state}`,
  );
  print(`by task, counting only what is listed: ${listed.join(', ')}`);
  const rows = statsOf(snapshot).map((counts) => [counts.task, ...STATES.map((state) => counts[state])]);
  printTable(['task', ...STATES], rows, `nothing is ${STATES.join(', ')}`);
}

/** Counts what the list of a state has entries of. That of the waiters also has those of paused tasks. */
function totalOf({ totals }: Snapshot, state: CountedState): number {
  return state === 'waiting' ? totals.waiting + totals.paused : totals[state];
}

function printTasks({ running, queued, future, waiting, taken, workers }: Snapshot): void {
  const now = taken.getTime();
  // When there is no worker at all, the line about workers says so once.
  const dueRow = ({ key, task, attempt, priority, hasWorker }: QueuedEntry | FutureEntry, due: string) => {
    return [key, taskText(task, priority), attempt, hasWorker || workers.length === 0 ? due : `${due}, ${NO_WORKER}`];
  };
  printTable(
    ['running', 'task', 'attempt', 'worker', 'since'],
    running.map(({ key, task, attempt, priority, worker, since }) => [
      key,
      taskText(task, priority),
      attempt,
      worker,
      since ? `${spanText(now - since.getTime())} ago` : '',
    ]),
    'nothing is running',
  );
  printTable(
    ['queued', 'task', 'attempt', 'due'],
    queued.map((entry) => dueRow(entry, `${spanText(now - entry.when.getTime())} ago`)),
    'nothing is queued',
  );
  printTable(
    ['scheduled', 'task', 'attempt', 'due in'],
    future.map((entry) => {
      const due = spanText(entry.when.getTime() - now);
      return dueRow(entry, entry.waitingFor === null ? due : `${due}, waits for limit ${limitText(entry.waitingFor)}`);
    }),
    'nothing is scheduled',
  );
  if (waiting.length > 0) {
    const rows = waiting.map(({ key, task, attempt, priority, waitingFor, isPaused }) => {
      return [key, taskText(task, priority), attempt, isPaused ? 'the resume of its task' : limitText(waitingFor)];
    });
    printTable(['waiting', 'task', 'attempt', 'for'], rows, '');
  }
}
