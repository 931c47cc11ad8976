/** `docket ls`: executions by task, state and arguments. */
import { Command } from 'commander';
import { waitText } from '../tasks/limit-text.js';
import type { ListedExecution } from '../tasks/listing.js';
import { printCounts } from './count.js';
import { type FilterFlags, filterOf, withFilterFlags } from './filter.js';
import { print, printJson, printTable, taskText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';

interface LsFlags extends CommonFlags, FilterFlags {
  readonly limit?: number;
  /** Name of an argument, or `true` without one. */
  readonly count?: string | true;
  readonly showArguments?: boolean;
}

const DEFAULT_LIMIT = 100;

export function lsCommand(): Command {
  return withFilterFlags(new Command('ls'), 'scheduled, queued, running, completed, failed, cancelled')
    .description(
      'Lists executions. Without --state, it lists those that have not ended: running ones first, then the others in order.',
    )
    .option(
      '--limit <n>',
      `how many at most (default: ${DEFAULT_LIMIT}); with --count, how many are looked at (default: 100000)`,
      wholeNumber,
    )
    .option('--count [argument]', 'count them by task, and by the value of an argument, instead')
    .option('--show-arguments', 'with --count: show values that may be private')
    .option('--json', 'write JSON')
    .addHelpText('after', EXAMPLES)
    .action(({ limit: given, json = false, count, showArguments = false, ...flags }: LsFlags, command: Command) =>
      withDocket(command, async (docket) => {
        if (count !== undefined) {
          const shared = { filter: filterOf(flags), limit: given, showsArguments: showArguments, isJson: json };
          return await printCounts(docket, { ...shared, by: count === true ? null : count });
        }
        const limit = given ?? DEFAULT_LIMIT;
        const listed: ListedExecution[] = [];
        for await (const one of docket.list({ ...filterOf(flags), limit })) listed.push(one);
        if (json) return printJson(listed);
        printTable(HEAD, listed.map(rowOf), 'no executions match');
        if (listed.length === limit) print(`these are the first ${limit}: --limit lists more`);
      }),
    );
}

const HEAD = ['execution', 'task', 'state', 'attempt', 'due', 'worker', 'waits for, or ended with'];

function rowOf(listed: ListedExecution) {
  const { key, task, state, attempt, priority, when, worker, completedAt, error, waitingFor } = listed;
  const wait = waitingFor === null ? '' : waitText(waitingFor);
  const end = error ?? completedAt?.toISOString() ?? '';
  return [key, taskText(task, priority), state, attempt, when.toISOString(), worker ?? '', wait || end];
}

const EXAMPLES = `
Examples:
  docket ls --task charge --where customerId=c-1
  docket ls --count                                 which tasks fill the queue
  docket ls --task sync --count customerId          whose work that is: one line for each value
  docket ls --state failed,cancelled --limit 20     searches the whole database, so it takes longer
  docket ls --where 'orderId="42"'                  quoted: the text 42, not the number`;
