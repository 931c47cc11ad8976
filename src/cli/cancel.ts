/** `docket cancel`: cancels executions, by their keys or by a filter. */
import { Command } from 'commander';
import type { Docket } from '../client/docket.js';
import { internalsOf } from '../client/internals.js';
import { InvalidOptionError } from '../core/errors.js';
import { describeDocket } from '../redis/docket-settings.js';
import type { CancelFilter, CancelResult } from '../tasks/cancelling.js';
import { confirmUnless } from './confirm.js';
import { type Filter, type FilterFlags, filterOf, withFilterFlags } from './filter.js';
import { countText, print, printable, printJson } from './output.js';
import { type CommonFlags, withDocket } from './session.js';

interface CancelFlags extends CommonFlags, FilterFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export function cancelCommand(): Command {
  return withFilterFlags(new Command('cancel'), 'scheduled, queued, running')
    .description(
      'Cancels executions: removes those that have not started, and asks running ones to stop. A schedule, or the chain of a perpetual task, ends with its run. An unknown key is not an error.',
    )
    .argument('[keys...]', 'keys of executions; without keys, all executions that match the flags')
    .option('--all', 'all executions that have not ended')
    .option('--yes', 'do not ask for confirmation; required without a terminal, unless keys are given')
    .option('--json', 'write JSON, one line for each key')
    .action((keys: string[], flags: CancelFlags, command: Command) => {
      const filter = filterOf(flags);
      checkChoice(keys, filter, flags);
      return withDocket(command, (docket) =>
        keys.length > 0 ? cancelKeys(docket, keys, flags) : cancelFiltered(docket, filter, flags),
      );
    });
}

/** @throws InvalidOptionError unless either keys or flags say what is cancelled */
function checkChoice(keys: readonly string[], filter: Filter, { all = false }: CancelFlags): void {
  const isFiltered = Object.keys(filter).length > 0;
  if (keys.length > 0 && (isFiltered || all)) {
    throw new InvalidOptionError('keys', 'give either keys or flags that select executions, not both');
  }
  if (keys.length > 0 || isFiltered !== all) return;
  throw new InvalidOptionError(
    all ? '--all' : 'keys',
    all
      ? 'it cannot be combined with --task, --state or --where'
      : 'give keys, or --task, --state or --where, or --all',
  );
}

async function cancelKeys(docket: Docket, keys: readonly string[], { json = false }: CancelFlags): Promise<void> {
  for (const key of keys) {
    const result = await docket.cancel(key);
    if (json) printJson({ key, ...result });
    else print(`${printable(key)}  ${textOf(result)}`);
  }
}

function textOf({ state, outcome }: CancelResult): string {
  switch (outcome) {
    case 'removed':
      return 'cancelled';
    case 'stopping':
      return 'running, asked to stop';
    case 'ended already':
      return `had already ended: ${state}`;
    default:
      return 'unknown key; if an execution without state is queued under it, it will not start';
  }
}

async function cancelFiltered(docket: Docket, filter: Filter, { yes, all, json }: CancelFlags): Promise<void> {
  const chosen = { ...filter, ...(all && { all }) } as CancelFilter;
  await confirmUnless(yes === true, () => questionAbout(docket, filter), 'nothing was cancelled');
  const { removed, stopping, missed } = await docket.cancelMany(chosen);
  if (json) return printJson({ removed, stopping, missed });
  print(`cancelled ${removed}, asked ${stopping} to stop`);
  if (missed > 0) print(`${missed} ended or moved on before they could be cancelled`);
}

async function questionAbout(docket: Docket, filter: Filter): Promise<string> {
  const count = await countOf(docket, filter);
  const schedules = await countSchedules(docket, filter);
  const where = describeDocket(internalsOf(docket).settings);
  const end = schedules === 0 ? '' : ` and end ${countText(schedules, 'schedule')}`;
  return `Cancel ${countText(count, 'execution')}${end} in ${where}?`;
}

/** Counts the chains that end. A listing of schedules has no arguments, so with `where` it is not known. */
async function countSchedules(docket: Docket, { task, state, where }: Filter): Promise<number> {
  if (where || (state && !state.includes('scheduled'))) return 0;
  let count = 0;
  for await (const _ of docket.schedules({ ...(task !== undefined && { task }), limit: MOST_SCHEDULES })) count += 1;
  return count;
}

/** More than these are not counted. */
const MOST_SCHEDULES = 10_000;

async function countOf(docket: Docket, filter: Filter): Promise<number> {
  let count = 0;
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<Docket['listPage']>> = await docket.listPage({ ...filter, limit: 1_000, after });
    count += page.executions.length;
    after = page.next;
  } while (after !== null);
  return count;
}
