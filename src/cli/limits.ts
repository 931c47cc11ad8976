/** `docket limits`: which limits are in use, who holds their permits, and who waits. */
import { Command } from 'commander';
import type { LimitInfo } from '../tasks/limit-info.js';
import { printJson, printTable, spanText } from './output.js';
import { type CommonFlags, withDocket } from './session.js';
import { wholeNumber } from './values.js';

interface LimitsFlags extends CommonFlags {
  readonly limit?: number;
}

export function limitsCommand(): Command {
  return new Command('limits')
    .description('Lists the concurrency limits in use. Those at which executions wait come first.')
    .option('--limit <n>', 'how many limits, up to 1000 (default: 100)', wholeNumber)
    .option('--json', 'write JSON, with up to ten holders and waiters of each limit')
    .action(({ limit, json = false }: LimitsFlags, command: Command) =>
      withDocket(command, async (docket) => {
        const limits = await docket.limits(limit === undefined ? {} : { limit });
        if (json) return printJson(limits);
        printTable(['limit', 'taken', 'held by', 'waiting', 'next', 'since'], limits.map(rowOf), 'no limit is in use');
      }),
    );
}

function rowOf({ description, taken, max, holders, waiting, waiters }: LimitInfo): (string | number)[] {
  const [first] = waiters;
  return [
    description,
    `${taken} of ${max ?? '?'}`,
    holders.map(({ key, worker }) => (worker === null ? key : `${key} on ${worker}`)).join(', '),
    waiting,
    first?.key ?? '',
    first ? `${spanText(Date.now() - first.since.getTime())} ago` : '',
  ];
}
