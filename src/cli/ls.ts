/** `docket ls`: executions by task, state and arguments. */
import { Command } from 'commander';
import { limitText } from '../tasks/limit-text.js';
import type { ListedExecution } from '../tasks/listing.js';
import { type FilterFlags, filterOf, withFilterFlags } from './filter.js';
import { countText, print, printJson, printTable, taskText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';

interface LsFlags extends CommonFlags, FilterFlags {
  readonly limit?: number;
}

const DEFAULT_LIMIT = 100;

export function lsCommand(): Command {
  return withFilterFlags(new Command('ls'), 'scheduled, queued, running, completed, failed, cancelled')
    .description(
      'Lists executions. Without --state: those that have not ended, first those that run, then those that wait, in order.',
    )
    .option('--limit <n>', `how many at most (default: ${DEFAULT_LIMIT})`, wholeNumber)
    .option('--json', 'write JSON')
    .addHelpText('after', EXAMPLES)
    .action(({ limit = DEFAULT_LIMIT, json = false, ...flags }: LsFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const listed: ListedExecution[] = [];
        for await (const one of docket.list({ ...filterOf(flags), limit })) listed.push(one);
        if (json) return printJson(listed);
        printTable(HEAD, listed.map(rowOf), 'there are no such executions');
        if (listed.length === limit) print(`the first ${countText(limit, 'execution')}: --limit lists more`);
      }),
    );
}

const HEAD = ['execution', 'task', 'state', 'attempt', 'due', 'worker', 'waits for, or ended with'];

function rowOf(listed: ListedExecution) {
  const { key, task, state, attempt, priority, when, worker, completedAt, error, waitingFor } = listed;
  const wait = waitingFor === null ? '' : `limit ${limitText(waitingFor)}`;
  const end = error ?? completedAt?.toISOString() ?? '';
  return [key, taskText(task, priority), state, attempt, when.toISOString(), worker ?? '', wait || end];
}

const EXAMPLES = `
Examples:
  docket ls --task charge --where customerId=c-1
  docket ls --state failed,cancelled --limit 20     looks through all keys, so it takes longer
  docket ls --where 'orderId="42"'                  in quotes: the text, not the number`;
